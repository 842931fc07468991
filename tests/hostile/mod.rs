//! Hostile and malformed requests through the whole exchange: the filter rejects them and does not panic.

mod header_maps;
mod json;
mod names;
mod numbers;
mod requests;
mod sizes;

use crate::support::{Core, Outcome, get, inline, with};
use envoy_test::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER, assemble};
use envoy_test::{KeyKind, SigningKey, unix_now};
use sa_authn::denial::Reason;
use serde_json::json;

/// A trusted key, for tokens with a valid signature and invalid contents.
struct Forge {
    key: SigningKey,
    core: Core,
}

// === impl Forge ===

impl Forge {
    fn new() -> Self {
        Self::limited_to(16 * 1024)
    }

    fn limited_to(max_token_bytes: usize) -> Self {
        let key = SigningKey::generate(KeyKind::P256);
        let limits = json!({ "limits": { "maxTokenBytes": max_token_bytes } });
        let core = Core::new(&with(inline(&[&key]), limits));
        Self { key, core }
    }

    fn header(&self) -> String {
        json!({ "alg": "ES256", "kid": self.key.kid() }).to_string()
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        assemble(header, claims, |input| self.key.sign(input))
    }

    /// The outcome of a validly signed token with this JOSE header.
    fn with_header(&mut self, header: &str) -> Outcome {
        let token = self.sign(header, &claims(""));
        self.core.bearer(&token)
    }

    /// The outcome of a validly signed token with these claims.
    fn with_claims(&mut self, claims: &str) -> Outcome {
        let token = self.sign(&self.header(), claims);
        self.core.bearer(&token)
    }

    /// The reason and the detail of the denial of a validly signed token with these claims.
    fn refusal(&mut self, claims: &str) -> (Reason, String) {
        let token = self.sign(&self.header(), claims);
        let denial = self.core.denial(&get("/", &token));
        (denial.reason(), denial.detail().to_owned())
    }
}

/// Valid claims as JSON text, followed by `more`, such as `"x":1`.
fn claims(more: &str) -> String {
    let (now, comma) = (unix_now(), if more.is_empty() { "" } else { "," });
    format!(
        r#"{{"iss":"{DEFAULT_ISSUER}","aud":["{DEFAULT_AUDIENCE}"],"exp":{},"iat":{now},
        "sub":"system:serviceaccount:api:api","kubernetes.io":{{"namespace":"api",
        "serviceaccount":{{"name":"api","uid":"u1"}}}}{comma}{more}}}"#,
        now + 600
    )
}

/// The same without a member, so that `more` can define it.
fn claims_but(name: &str, more: &str) -> String {
    let mut object: serde_json::Value = serde_json::from_str(&claims("")).expect("JSON");
    object.as_object_mut().expect("an object").remove(name).expect("the member");
    let text = object.to_string();
    format!("{},{more}}}", text.strip_suffix('}').expect("an object"))
}

const MALFORMED: Outcome = Outcome::Refused(Reason::MalformedToken);

#[test]
fn assembled_token_with_a_valid_signature_passes() {
    let mut forge = Forge::new();
    assert!(forge.with_claims(&claims("")).passes());
    assert!(forge.with_claims(&claims(r#""x":{"y":[1,"2",null,true]}"#)).passes());
    assert!(
        forge.with_claims(&claims_but("iss", &format!(r#""iss":"{DEFAULT_ISSUER}""#))).passes()
    );
    let header = forge.header();
    assert!(forge.with_header(&header).passes());
}

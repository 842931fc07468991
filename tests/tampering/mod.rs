//! Genuine tokens with every kind of modification.

mod bits;
mod host;
mod parts;

use crate::support::{self, Core, Outcome, good};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use envoy_test::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER};
use envoy_test::{KeyKind, SigningKey};
use sa_authn::denial::Reason;
use serde_json::json;

/// A key, and the algorithm of its JWK.
struct Signer {
    alg: &'static str,
    key: SigningKey,
}

/// The verifier: the library or the host.
#[derive(Clone, Copy, Debug)]
enum Way {
    Native,
    Host,
}

/// The parts of a token, with the signature decoded.
#[derive(Clone)]
struct Parts {
    header: String,
    claims: String,
    signature: Vec<u8>,
}

// === impl Signer ===

impl Signer {
    fn new(alg: &'static str) -> Self {
        let kind = match alg {
            "ES256" => KeyKind::P256,
            "ES384" => KeyKind::P384,
            "ES512" => KeyKind::P521,
            _ => KeyKind::Rsa2048,
        };
        Self { alg, key: SigningKey::generate(kind) }
    }

    fn token(&self) -> String {
        good().header("alg", json!(self.alg)).sign(&self.key)
    }

    fn parts(&self) -> Parts {
        Parts::of(&self.token())
    }

    /// A core that trusts only this key.
    fn core(&self, way: Way) -> Core {
        let mut jwk = self.key.jwk();
        jwk["alg"] = json!(self.alg);
        let config = json!({ "issuers": [{
            "issuer": DEFAULT_ISSUER,
            "audiences": [DEFAULT_AUDIENCE],
            "keys": { "inline": { "keys": [jwk] } },
        }] });
        let host = match way {
            Way::Native => None,
            Way::Host => Some(host::knowing(&self.key)),
        };
        Core::with_host(host, envoy_test::unix_now(), &config)
    }
}

// === impl Parts ===

impl Parts {
    fn of(token: &str) -> Self {
        let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("three parts")
        };
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        Self { header: header.to_owned(), claims: claims.to_owned(), signature }
    }

    fn join(&self) -> String {
        self.with_signature(&self.signature)
    }

    fn with_signature(&self, signature: &[u8]) -> String {
        format!("{}.{}.{}", self.header, self.claims, URL_SAFE_NO_PAD.encode(signature))
    }
}

const BAD_SIGNATURE: Outcome = Outcome::Refused(Reason::BadSignature);
const MALFORMED: Outcome = Outcome::Refused(Reason::MalformedToken);

#[test]
fn unmodified_tokens_pass_with_every_supported_algorithm() {
    for alg in ["RS256", "RS384", "RS512", "ES256", "ES384"] {
        let signer = Signer::new(alg);
        for way in [Way::Native, Way::Host] {
            assert!(signer.core(way).bearer(&signer.token()).passes(), "{alg} {way:?}");
            assert!(signer.core(way).bearer(&signer.parts().join()).passes(), "{alg} {way:?}");
        }
    }
}

#[test]
fn es512_is_supported_only_if_the_host_verifies() {
    let signer = Signer::new("ES512");
    let denial = signer.core(Way::Native).denial(&support::get("/", &signer.token()));
    assert_eq!(denial.reason(), Reason::UnsupportedAlgorithm);
    assert_eq!(denial.detail(), "ES512 needs the host's verify_signature");
    assert!(signer.core(Way::Host).bearer(&signer.token()).passes());
}

#[test]
fn token_with_another_algorithm_than_its_key_is_rejected() {
    let signers = ["RS256", "RS384", "RS512"];
    let key = SigningKey::generate(KeyKind::Rsa2048);
    for wanted in signers {
        let mut core = Signer { alg: wanted, key: key.clone() }.core(Way::Native);
        for said in signers.into_iter().filter(|said| *said != wanted) {
            let token = Signer { alg: said, key: key.clone() }.token();
            let expected = Outcome::Refused(Reason::UnsupportedAlgorithm);
            assert_eq!(core.bearer(&token), expected, "{said} for {wanted}");
            // The header has the algorithm of the key; the signature has the other one.
            let mut parts = Parts::of(&token);
            parts.header =
                URL_SAFE_NO_PAD.encode(json!({ "alg": wanted, "kid": key.kid() }).to_string());
            let input = format!("{}.{}", parts.header, parts.claims);
            let signature = key.sign_as(said, input.as_bytes());
            assert_eq!(core.bearer(&parts.with_signature(&signature)), BAD_SIGNATURE);
        }
    }
}

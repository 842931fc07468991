//! Any bytes as claims with a valid signature: the result is never `bad_signature`.
//!
//! jwt-simple parses a token again before it verifies. If it rejected a token that our parser accepts, the two ways
//! of verifying a signature would have different verdicts.

use std::cell::RefCell;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use sa_authn::core::NativeDriver;
use sa_authn::denial::Reason;
use serde_json::{Value, json};

use super::Target;
use crate::genuine::{FILTER, ISSUER, TOKENS};
use crate::world::{bearer, config, encode, judge, under};

thread_local! {
    static WORLD: (SigningKey, RefCell<NativeDriver>) = world();
}

fn world() -> (SigningKey, RefCell<NativeDriver>) {
    let key = SigningKey::from_slice(&[7; 32]).expect("a number below the order");
    let core = under(&config(json!({ "inline": { "keys": [jwk(&key)] } }), json!({})));
    (key, RefCell::new(core))
}

fn jwk(key: &SigningKey) -> Value {
    let point = key.verifying_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(32);
    json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": encode(x), "y": encode(y) })
}

/// The target.
pub const TARGET: Target = Target { name: "signed_claims", check, seeds };

fn check(claims: &[u8]) {
    WORLD.with(|(key, core)| {
        let input = format!("{}.{}", encode(r#"{"alg":"ES256","kid":"k"}"#), encode(claims));
        let signature: Signature = key.sign(input.as_bytes());
        let token = format!("{input}.{}", encode(signature.to_bytes()));
        let finished = judge(&mut core.borrow_mut(), &bearer(token.as_bytes()));
        if let Err(denial) = &finished.caller {
            assert_ne!(denial.reason(), Reason::BadSignature, "{denial:?}");
        }
    });
}

fn seeds() -> Vec<Vec<u8>> {
    let payload = |token: &str| {
        let part = token.split('.').nth(1).expect("three parts");
        URL_SAFE_NO_PAD.decode(part).expect("base64url")
    };
    let mut claims: Vec<_> = TOKENS.iter().map(|genuine| payload(&genuine.token)).collect();
    claims.push(
        json!({ "iss": ISSUER, "aud": FILTER, "exp": 1_u64 << 53, "nonce": "", "x": [1e3, -1, null] })
            .to_string()
            .into(),
    );
    claims
}

//! Tokens combined from parts of several genuine tokens.

use super::{BAD_SIGNATURE, MALFORMED, Parts, Signer, Way};
use crate::support::{Core, good};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use envoy_test::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER};
use envoy_test::{Token, jwks};
use serde_json::{Value, json};

#[test]
fn claims_with_the_signature_of_another_token_are_rejected() {
    for alg in ["RS256", "ES256", "ES384"] {
        let signer = Signer::new(alg);
        let one = signer.parts();
        let token = Token::for_service_account("kube-system", "admin");
        let two = Parts::of(&token.header("alg", json!(alg)).sign(&signer.key));
        let mut core = signer.core(Way::Native);
        let swapped = Parts { claims: two.claims.clone(), ..one.clone() };
        assert_eq!(core.bearer(&swapped.join()), BAD_SIGNATURE, "{alg}: claims");
        assert_eq!(core.bearer(&one.with_signature(&two.signature)), BAD_SIGNATURE, "{alg}");
    }
}

#[test]
fn header_with_the_kid_of_another_key_is_rejected() {
    let signers = ["RS256", "RS256", "ES256", "ES256", "ES384"].map(Signer::new);
    let mut core = core_of(&signers);
    for (at, header) in signers.iter().enumerate() {
        for (other, rest) in signers.iter().enumerate().filter(|(other, _)| *other != at) {
            let mixed = Parts { header: header.parts().header, ..rest.parts() };
            assert_eq!(core.bearer(&mixed.join()), BAD_SIGNATURE, "header {at}, rest {other}");
        }
    }
}

#[test]
fn parts_in_another_order_are_malformed() {
    let signer = Signer::new("ES256");
    let Parts { header, claims, signature } = signer.parts();
    let signature = URL_SAFE_NO_PAD.encode(signature);
    for parts in [
        [&claims, &header, &signature],
        [&signature, &header, &claims],
        [&header, &signature, &claims],
        [&claims, &claims, &signature],
    ] {
        let token = parts.map(String::as_str).join(".");
        assert_eq!(signer.core(Way::Native).bearer(&token), MALFORMED, "{token}");
    }
}

#[test]
fn reformatted_claims_do_not_match_the_signature() {
    for alg in ["RS256", "ES256"] {
        let signer = Signer::new(alg);
        let genuine = signer.parts();
        let claims = URL_SAFE_NO_PAD.decode(&genuine.claims).unwrap();
        let parsed: Value = serde_json::from_slice(&claims).unwrap();
        let pretty = serde_json::to_string_pretty(&parsed).unwrap();
        for spelled in [pretty, format!("{parsed} "), format!(" {parsed}")] {
            let mixed = Parts { claims: URL_SAFE_NO_PAD.encode(spelled), ..genuine.clone() };
            assert_eq!(signer.core(Way::Native).bearer(&mixed.join()), BAD_SIGNATURE, "{alg}");
        }
    }
}

/// A core that trusts all of these keys.
fn core_of(signers: &[Signer]) -> Core {
    let keys: Vec<_> = signers.iter().map(|signer| &signer.key).collect();
    let config = json!({ "issuers": [{
        "issuer": DEFAULT_ISSUER,
        "audiences": [DEFAULT_AUDIENCE],
        "keys": { "inline": jwks(&keys) },
    }] });
    let mut core = Core::new(&config);
    for signer in signers {
        assert!(core.bearer(&good().sign(&signer.key)).passes(), "{}", signer.alg);
    }
    core
}

//! Keys of each kind: signatures, and published forms compared with Kubernetes.

use super::*;

const KINDS: [KeyKind; 6] = [
    KeyKind::Rsa2048,
    KeyKind::Rsa3072,
    KeyKind::Rsa4096,
    KeyKind::P256,
    KeyKind::P384,
    KeyKind::P521,
];

#[test]
fn each_kind_signs_what_it_verifies() {
    for kind in KINDS {
        let key = SigningKey::generate(kind);
        let signature = key.sign(b"message");
        assert!(key.verify(key.alg(), b"message", &signature), "{kind:?}");
        assert!(!key.verify(key.alg(), b"massage", &signature), "{kind:?}");
    }
}

#[test]
fn signatures_have_the_length_of_jose() {
    let lengths = KINDS.map(|kind| SigningKey::generate(kind).sign(b"m").len());
    assert_eq!(lengths, [256, 384, 512, 64, 96, 132]);
}

#[test]
fn rsa_key_signs_exactly_the_rsa_algorithms() {
    let key = SigningKey::generate(KeyKind::Rsa2048);
    for alg in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        assert!(key.verify(alg, b"m", &key.sign_as(alg, b"m")), "{alg}");
    }
    assert!(!key.can_sign("ES256"));
    assert!(!key.can_sign("none"));
}

#[test]
fn jwks_is_printed_in_the_order_of_the_api_server() {
    let rsa = SigningKey::generate(KeyKind::Rsa2048);
    let ec = SigningKey::generate(KeyKind::P521);
    let text = jwk::jwks_text(&[rsa.clone(), ec.clone()]);
    let (rsa_jwk, ec_jwk) = (rsa.jwk(), ec.jwk());
    let member = |jwk: &serde_json::Value, name: &str| jwk[name].as_str().unwrap().to_owned();
    assert_eq!(
        text,
        format!(
            concat!(
                r#"{{"keys":[{{"use":"sig","kty":"RSA","kid":"{}","alg":"RS256","n":"{}","e":"AQAB"}},"#,
                r#"{{"use":"sig","kty":"EC","kid":"{}","crv":"P-521","alg":"ES512","x":"{}","y":"{}"}}]}}"#
            ),
            rsa.kid(),
            member(&rsa_jwk, "n"),
            ec.kid(),
            member(&ec_jwk, "x"),
            member(&ec_jwk, "y"),
        )
    );
    assert_eq!(member(&ec_jwk, "x").len(), 88, "coordinates keep their leading zeros");
}

#[test]
fn kid_equals_the_kid_of_a_real_api_server() {
    // From a recording of kube-apiserver v1.36.2: its public key and the kid in its tokens.
    let der = STANDARD.decode(include_str!("../../testdata/recorded_spki.b64").trim()).unwrap();
    assert_eq!(kubernetes_kid(&der), "3KYNt844F-P-wt2UmuUPIJsj7h8C5E4bVd2L-0E58yE");
}

#[test]
fn pem_lines_are_64_characters() {
    let key = SigningKey::generate(KeyKind::Rsa2048);
    let pem = key.pem();
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"));
    assert!(pem.lines().all(|line| line.len() <= 64));
    assert!(key.pkcs1_pem().unwrap().starts_with("-----BEGIN RSA PUBLIC KEY-----\nMIIBCgKCAQEA"));
    assert_eq!(SigningKey::generate(KeyKind::P256).pkcs1_pem(), None);
}

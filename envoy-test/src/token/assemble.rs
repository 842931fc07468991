//! Assembles a compact JWS (RFC 7515) from text, valid or invalid.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

/// Puts a token together by hand; `sign` gets the signing input.
pub fn assemble(header: &str, payload: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A key confusion attack: HMAC with a public value as the secret, such as the public key's PEM.
pub fn hs256(header: &str, payload: &str, secret: &[u8]) -> String {
    assemble(header, payload, |signed| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        hmac::sign(&key, signed).as_ref().to_vec()
    })
}

//! Every flipped bit of the signature, every replaced character of the rest, and every truncation.

use super::{BAD_SIGNATURE, MALFORMED, Signer, Way};
use crate::support::Outcome;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sa_authn::denial::Reason;
use std::collections::HashSet;

#[test]
fn flipped_bit_of_an_rs256_signature_is_a_bad_signature() {
    flip_every_bit("RS256", Way::Native);
}

#[test]
fn flipped_bit_of_an_rs384_signature_is_a_bad_signature() {
    flip_every_bit("RS384", Way::Native);
}

#[test]
fn flipped_bit_of_an_rs512_signature_is_a_bad_signature() {
    flip_every_bit("RS512", Way::Native);
}

#[test]
fn flipped_bit_of_an_ecdsa_signature_is_a_bad_signature() {
    flip_every_bit("ES256", Way::Native);
    flip_every_bit("ES384", Way::Native);
}

#[test]
fn flipped_bit_is_a_bad_signature_if_the_host_verifies() {
    for alg in ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"] {
        flip_every_bit(alg, Way::Host);
    }
}

#[test]
fn replaced_character_of_header_or_claims_is_rejected_before_claims_are_used() {
    for alg in ["RS256", "ES256"] {
        let signer = Signer::new(alg);
        let (token, mut core) = (signer.token(), signer.core(Way::Native));
        let signed = token.rfind('.').unwrap();
        let mut reasons = HashSet::new();
        for at in 0..=signed {
            let changed = replaced(&token, at);
            match core.bearer(&changed) {
                Outcome::Refused(reason) => reasons.insert(reason),
                other => panic!("{alg}, character {at}: {other:?}"),
            };
        }
        for reason in &reasons {
            assert!(BEFORE_THE_SIGNATURE.contains(reason), "{alg}: {reason:?}");
        }
        assert!(reasons.contains(&Reason::BadSignature));
    }
}

#[test]
fn replaced_character_of_the_signature_is_bad_or_malformed() {
    for alg in ["RS256", "ES256", "ES384"] {
        let signer = Signer::new(alg);
        let (token, mut core) = (signer.token(), signer.core(Way::Native));
        for at in token.rfind('.').unwrap() + 1..token.len() {
            let changed = replaced(&token, at);
            assert_eq!(core.bearer(&changed), by_shape(&changed), "{alg}, character {at}");
        }
    }
}

#[test]
fn truncated_token_is_rejected() {
    for alg in ["RS256", "ES256", "ES384"] {
        let signer = Signer::new(alg);
        let (token, mut core) = (signer.token(), signer.core(Way::Native));
        for length in 0..token.len() {
            let cut = &token[..length];
            assert_eq!(core.bearer(cut), by_shape(cut), "{alg}, {length} characters");
            let tail = &token[token.len() - length..];
            assert_eq!(core.bearer(tail), MALFORMED, "{alg}, the last {length} characters");
        }
    }
}

#[test]
fn token_with_appended_characters_is_rejected() {
    for alg in ["RS256", "ES256", "ES384"] {
        let signer = Signer::new(alg);
        let (token, mut core) = (signer.token(), signer.core(Way::Native));
        for more in ["A", "AA", "AAAA", "=", "==", ".", ".e30", "%00", " ", "\n", "\0"] {
            let longer = format!("{token}{more}");
            assert_eq!(core.bearer(&longer), by_shape(&longer), "{alg}, {more:?}");
        }
    }
}

fn flip_every_bit(alg: &'static str, way: Way) {
    let signer = Signer::new(alg);
    let (parts, mut core) = (signer.parts(), signer.core(way));
    assert!(core.bearer(&parts.join()).passes(), "{alg} {way:?}");
    for bit in 0..parts.signature.len() * 8 {
        let mut signature = parts.signature.clone();
        signature[bit / 8] ^= 1 << (bit % 8);
        let token = parts.with_signature(&signature);
        assert_eq!(core.bearer(&token), BAD_SIGNATURE, "{alg} {way:?}, bit {bit}");
    }
}

/// The token with the character at `at` replaced by another of the alphabet.
fn replaced(token: &str, at: usize) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let index = ALPHABET.iter().position(|byte| *byte == bytes[at]).unwrap_or(0);
    bytes[at] = ALPHABET[(index + 1 + at % 63) % 64];
    String::from_utf8(bytes).unwrap()
}

/// The outcome of a token with a genuine signing input: a signature that decodes is bad, any other
/// is malformed.
fn by_shape(token: &str) -> Outcome {
    let parts: Vec<_> = token.split('.').collect();
    match parts[..] {
        [_, _, signature] if !signature.is_empty() => match URL_SAFE_NO_PAD.decode(signature) {
            Ok(_) => BAD_SIGNATURE,
            Err(_) => MALFORMED,
        },
        _ => MALFORMED,
    }
}

/// The reasons for a token whose signature was not checked, or is bad.
const BEFORE_THE_SIGNATURE: [Reason; 7] = [
    Reason::MalformedToken,
    Reason::UnsupportedAlgorithm,
    Reason::UnknownIssuer,
    Reason::LegacyToken,
    Reason::MissingClaim,
    Reason::UnknownKey,
    Reason::BadSignature,
];

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

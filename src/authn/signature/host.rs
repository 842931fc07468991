//! Envoy's foreign function `verify_signature`: protobuf out, protobuf in.
//!
//! The messages are envoy/source/extensions/common/wasm/ext/verify_signature.proto: four fields are
//! written and one is read, for which a protobuf library would be the larger part of the module.

use super::{Algorithm, Family, HostVerify, VerifyingKey};
use der::asn1::UintRef;
use der::{Encode, Sequence};

/// RFC 3279 section 2.2.3, what BoringSSL reads; JOSE has r and s side by side (RFC 7518 section 3.4).
#[derive(Sequence)]
struct EcdsaSigValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// `None` when the host would not answer.
pub(super) fn ask_host(
    host: HostVerify,
    key: &VerifyingKey,
    signing_input: &str,
    signature: &[u8],
) -> Option<bool> {
    let converted;
    let signature = match key.algorithm.family() {
        Family::Rsa => signature,
        Family::Ecdsa => {
            converted = ecdsa_der(signature)?;
            &converted
        }
    };
    let text = signing_input.as_bytes();
    is_genuine(&host(&arguments(key.algorithm, &key.spki_der, signature, text))?)
}

/// A host that says yes to everything, or to nothing, is worse than none.
pub(super) fn probe(host: HostVerify) -> Result<(), &'static str> {
    let ask = |text: &[u8]| {
        host(&arguments(Algorithm::Es256, PROBE_KEY, PROBE_SIGNATURE, text))
            .as_deref()
            .and_then(is_genuine)
    };
    match (ask(PROBE_TEXT), ask(b"another text")) {
        (Some(true), Some(false)) => Ok(()),
        (None, None) => Err("the host has no verify_signature"),
        _ => Err("the host's verify_signature misjudges a known signature"),
    }
}

fn arguments(algorithm: Algorithm, spki: &[u8], signature: &[u8], text: &[u8]) -> Vec<u8> {
    let hash = algorithm.hash().as_bytes();
    let mut message = Vec::with_capacity(spki.len() + signature.len() + text.len() + 32);
    for (field, bytes) in [(1u8, hash), (2, spki), (3, signature), (4, text)] {
        message.push(field << 3 | LENGTH_DELIMITED);
        varint(&mut message, bytes.len());
        message.extend_from_slice(bytes);
    }
    message
}

fn varint(message: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        message.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

/// `08 01` is field 1, true. A wrong signature is answered with field 2, a text, and no field 1.
fn is_genuine(answer: &[u8]) -> Option<bool> {
    match answer {
        [0x08, 0x01] => Some(true),
        [] | [0x08, 0x00, ..] | [0x12, ..] => Some(false),
        _ => None,
    }
}

fn ecdsa_der(signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(signature.len() / 2)?;
    EcdsaSigValue { r: UintRef::new(r).ok()?, s: UintRef::new(s).ok()? }.to_der().ok()
}

const LENGTH_DELIMITED: u8 = 2;

const PROBE_TEXT: &[u8] = b"sa-authn";

/// A P-256 key whose private part was thrown away.
const PROBE_KEY: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0xde, 0x54, 0xb4, 0x05, 0x4a,
    0xf8, 0xe7, 0xa4, 0xc3, 0x4c, 0x1b, 0xc9, 0xce, 0xb4, 0x70, 0xf3, 0xcb, 0x6c, 0x36, 0xdd, 0x9a,
    0xa4, 0x86, 0x95, 0x19, 0xc8, 0xd7, 0x76, 0xd0, 0x49, 0xbc, 0x67, 0x96, 0x32, 0x3a, 0x2a, 0x43,
    0x54, 0x16, 0x38, 0xe7, 0x62, 0xc9, 0x09, 0x01, 0xcf, 0xc1, 0x9d, 0xd7, 0x34, 0x2f, 0x50, 0x9a,
    0x05, 0xa5, 0xc3, 0x2f, 0x89, 0x4c, 0x26, 0xfc, 0xa6, 0xec, 0x81,
];

/// Its ECDSA signature with SHA-256 of [`PROBE_TEXT`].
const PROBE_SIGNATURE: &[u8] = &[
    0x30, 0x45, 0x02, 0x21, 0x00, 0xfd, 0xe0, 0xcd, 0xa5, 0x4c, 0x52, 0xca, 0xe3, 0x21, 0xc3, 0x41,
    0x55, 0xcc, 0x0d, 0xf5, 0x65, 0xee, 0x1a, 0x82, 0xcc, 0x4d, 0x66, 0xda, 0xf0, 0xba, 0x60, 0xcf,
    0xe9, 0xb6, 0x64, 0x85, 0x87, 0x02, 0x20, 0x17, 0xeb, 0xa2, 0x57, 0x4a, 0x12, 0xe9, 0x81, 0x7f,
    0xab, 0xd6, 0xa4, 0x98, 0x13, 0xa6, 0xd7, 0xc6, 0x96, 0xcb, 0x72, 0x47, 0x68, 0x8a, 0xce, 0xc5,
    0x52, 0x65, 0xa4, 0x7a, 0xcb, 0x90, 0xfa,
];

//! The arguments of Envoy's foreign function `verify_signature`.
//!
//! The message is VerifySignatureArguments of envoy:source/extensions/common/wasm/ext/verify_signature.proto.

use p256::ecdsa::Signature;

use super::{KeyKind, SigningKey};

/// The protobuf message with this key's signature of `text`; `None` for curves other than P-256.
pub(super) fn verify_arguments(key: &SigningKey, text: &[u8]) -> Option<Vec<u8>> {
    let signature = match key.kind() {
        kind if kind.is_rsa() => key.sign(text),
        // BoringSSL reads DER, JOSE has r and s side by side.
        KeyKind::P256 => Signature::from_slice(&key.sign(text)).ok()?.to_der().as_bytes().to_vec(),
        _ => return None,
    };
    let mut message = Vec::new();
    for (field, bytes) in
        [(1, b"sha256".as_slice()), (2, key.spki_der()), (3, &signature), (4, text)]
    {
        message.push(field << 3 | LENGTH_DELIMITED);
        varint(&mut message, bytes.len());
        message.extend_from_slice(bytes);
    }
    Some(message)
}

fn varint(message: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        message.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

const LENGTH_DELIMITED: u8 = 2;

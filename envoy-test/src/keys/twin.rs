//! The second signature of a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::Signature;

/// An ES256 token with its other signature: with (r, s), ECDSA accepts (r, n - s) for the same text, and from one,
/// anyone can compute the other. `None` if it is no ES256 token.
pub fn twin(token: &str) -> Option<String> {
    let (signed, signature) = token.rsplit_once('.')?;
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let (r, s) = (signature.r().to_bytes(), (-*signature.s()).to_bytes());
    let other = Signature::from_scalars(r, s).ok()?;
    Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(other.to_bytes())))
}

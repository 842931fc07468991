//! Public keys, signature algorithms, and the verification of signatures. No other module uses a crypto crate.
//!
//! The host's `verify_signature` (BoringSSL, 24 us for RS256) is used if there is one, and jwt-simple (about 2 ms in the VM)
//! otherwise and natively. [`PublicKey`] has checked sizes, exponents, curves and algorithms, so both verify
//! with the same keys, except that only the host supports P-521 and checks whether such a point is on the curve.

mod algorithm;
mod host;
mod public_key;

pub use algorithm::{Algorithm, Family};
pub use public_key::{Curve, PublicKey, UnsupportedKey};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike, ECDSAP384PublicKeyLike, ES256PublicKey, ES384PublicKey, RS256PublicKey,
    RS384PublicKey, RS512PublicKey, RSAPublicKeyLike,
};
use jwt_simple::claims::NoCustomClaims;
use jwt_simple::common::VerificationOptions;
use std::fmt;

/// The host's function. It takes a protobuf `VerifySignatureArguments` and returns a `VerifySignatureResult`, or `None` if
/// the call failed. It has no side effects.
pub type HostVerify = fn(arguments: &[u8]) -> Option<Vec<u8>>;

/// Verifies signatures, by the host where it can.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verifier {
    host: Option<HostVerify>,
}

/// A public key, ready for both ways of verifying.
pub struct VerifyingKey {
    algorithm: Algorithm,
    spki_der: Vec<u8>,
    signature_bytes: usize,
    local: Option<LocalKey>,
}

/// The result of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// The key's owner signed exactly these bytes.
    Genuine,
    /// The signature is not the key's.
    Forged,
    /// Nothing here can verify this algorithm (ES512 without the host).
    Unsupported,
}

/// The point is not on the curve, or the library does not take the key.
#[derive(Debug, PartialEq, Eq)]
pub struct UnusableKey;

enum LocalKey {
    Rs256(RS256PublicKey),
    Rs384(RS384PublicKey),
    Rs512(RS512PublicKey),
    Es256(ES256PublicKey),
    Es384(ES384PublicKey),
}

/// SHA-256, for the `kid` that Kubernetes derives from a key.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    hmac_sha256::Hash::hash(bytes)
}

// === impl Verifier ===

impl Verifier {
    /// Uses `host` if it verifies a known signature and rejects a wrong one; `Err` says what it did.
    pub fn probing(host: HostVerify) -> Result<Self, &'static str> {
        host::probe(host).map(|()| Self { host: Some(host) })
    }

    /// Whether the owner of `key` signed `signing_input`, the text of a JWS up to its second dot (RFC 7515 section 5.2).
    pub fn verify_signature(
        self,
        key: &VerifyingKey,
        signing_input: &str,
        signature: &[u8],
    ) -> Signature {
        // Both libraries check this again; a length that cannot be right needs neither.
        if signature.len() != key.signature_bytes {
            return Signature::Forged;
        }
        match self.host.and_then(|host| host::ask_host(host, key, signing_input, signature)) {
            Some(true) => Signature::Genuine,
            Some(false) => Signature::Forged,
            // No host, or one that would not answer for this key: the library decides.
            None => key.local.as_ref().map_or(Signature::Unsupported, |local| {
                local.verify_in_vm(signing_input, signature)
            }),
        }
    }
}

// === impl VerifyingKey ===

impl VerifyingKey {
    /// Readies a key that fits `algorithm`.
    pub fn new(algorithm: Algorithm, key: &PublicKey) -> Result<Self, UnusableKey> {
        let local = LocalKey::new(algorithm, key).map_err(|_| UnusableKey)?;
        let spki_der = key.spki_der().map_err(|_| UnusableKey)?;
        Ok(Self { algorithm, spki_der, signature_bytes: key.signature_bytes(), local })
    }

    /// The DER of its SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({:?})", self.algorithm)
    }
}

// === impl LocalKey ===

impl LocalKey {
    fn new(algorithm: Algorithm, key: &PublicKey) -> Result<Option<Self>, jwt_simple::Error> {
        Ok(match (algorithm, key) {
            (Algorithm::Rs256, PublicKey::Rsa { n, e }) => {
                Some(Self::Rs256(RS256PublicKey::from_components(n, e)?))
            }
            (Algorithm::Rs384, PublicKey::Rsa { n, e }) => {
                Some(Self::Rs384(RS384PublicKey::from_components(n, e)?))
            }
            (Algorithm::Rs512, PublicKey::Rsa { n, e }) => {
                Some(Self::Rs512(RS512PublicKey::from_components(n, e)?))
            }
            (Algorithm::Es256, PublicKey::Ec { .. }) => {
                Some(Self::Es256(ES256PublicKey::from_bytes(&key.bits()?)?))
            }
            (Algorithm::Es384, PublicKey::Ec { .. }) => {
                Some(Self::Es384(ES384PublicKey::from_bytes(&key.bits()?)?))
            }
            _ => None,
        })
    }

    fn verify_in_vm(&self, signing_input: &str, signature: &[u8]) -> Signature {
        let options = Some(signature_only());
        // jwt-simple takes a whole token.
        let token = [signing_input, &URL_SAFE_NO_PAD.encode(signature)].join(".");
        let verified = match self {
            Self::Rs256(key) => key.verify_token::<NoCustomClaims>(&token, options),
            Self::Rs384(key) => key.verify_token::<NoCustomClaims>(&token, options),
            Self::Rs512(key) => key.verify_token::<NoCustomClaims>(&token, options),
            Self::Es256(key) => key.verify_token::<NoCustomClaims>(&token, options),
            Self::Es384(key) => key.verify_token::<NoCustomClaims>(&token, options),
        };
        if verified.is_ok() { Signature::Genuine } else { Signature::Forged }
    }
}

/// jwt-simple cannot verify a signature alone. At the time 0 and with no tolerance no `exp` has
/// passed, and dates in the future are taken: times are left to [`super::verify`], and no clock is read.
fn signature_only() -> VerificationOptions {
    VerificationOptions {
        accept_future: true,
        artificial_time: Some(Default::default()),
        time_tolerance: Some(Default::default()),
        max_header_length: Some(usize::MAX),
        max_token_length: None,
        ..VerificationOptions::default()
    }
}

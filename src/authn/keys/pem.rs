//! PEM text -> public keys (RFC 7468): what `--service-account-key-file` holds.

use super::algorithm::Algorithm;
use super::jwk::Jwk;
use super::public_key::{PublicKey, Unfit};
use der::Document;

/// Reads one PEM block: `PUBLIC KEY` (SubjectPublicKeyInfo) or `RSA PUBLIC KEY` (PKCS#1). The kid is
/// the one that Kubernetes derives.
pub fn from_pem(text: &str) -> Result<Jwk, Unfit> {
    let (label, document) = Document::from_pem(text.trim())
        .map_err(|error| Unfit(format!("not a PEM block: {error}")))?;
    let key = match label {
        "PUBLIC KEY" => PublicKey::from_spki(document.as_bytes())?,
        "RSA PUBLIC KEY" => PublicKey::from_pkcs1(document.as_bytes())?,
        "CERTIFICATE" => {
            return Err(Unfit("a certificate: give its public key instead".to_owned()));
        }
        label if label.contains("PRIVATE KEY") => {
            return Err(Unfit(
                "a private key, which must never leave the API server: give the public key, \
                 and replace this one"
                    .to_owned(),
            ));
        }
        label => return Err(Unfit(format!("{label}, not PUBLIC KEY or RSA PUBLIC KEY"))),
    };
    Jwk::new(None, Algorithm::default_for(&key), &key)
}

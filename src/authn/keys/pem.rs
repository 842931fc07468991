//! Parsing of PEM public keys (RFC 7468), the format of the API server's `--service-account-key-file`.

use super::jwk::Jwk;
use crate::authn::signature::{Algorithm, PublicKey, UnsupportedKey};
use der::Document;

/// Parses one PEM block: `PUBLIC KEY` (SubjectPublicKeyInfo) or `RSA PUBLIC KEY` (PKCS#1). The key ID is derived as
/// Kubernetes does.
pub fn from_pem(text: &str) -> Result<Jwk, UnsupportedKey> {
    if !text.contains("-----BEGIN") {
        let fault =
            "not a PEM block; write the key itself (-----BEGIN PUBLIC KEY-----), not its file";
        return Err(UnsupportedKey(fault.to_owned()));
    }
    let (label, document) = Document::from_pem(text.trim())
        .map_err(|error| UnsupportedKey(format!("not a PEM block: {error}")))?;
    let key = match label {
        "PUBLIC KEY" => PublicKey::from_spki(document.as_bytes())?,
        "RSA PUBLIC KEY" => PublicKey::from_pkcs1(document.as_bytes())?,
        "CERTIFICATE" => {
            return Err(UnsupportedKey(
                "certificate, expected a public key; extract it with `openssl x509 -pubkey -noout`"
                    .to_owned(),
            ));
        }
        label if label.contains("PRIVATE KEY") => {
            return Err(UnsupportedKey(
                "private key, expected a public key; the private key is now compromised, replace it"
                    .to_owned(),
            ));
        }
        label => {
            return Err(UnsupportedKey(format!(
                "PEM label {label:?}, expected PUBLIC KEY or RSA PUBLIC KEY"
            )));
        }
    };
    Jwk::new(None, Algorithm::default_for(&key), &key)
}

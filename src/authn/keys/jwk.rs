//! Parsing of one JSON Web Key (RFC 7517 section 4, RFC 7518 section 6).

use crate::authn::signature::{Algorithm, Curve, PublicKey, UnsupportedKey, VerifyingKey, sha256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// A public key of an issuer, with its key ID and algorithm.
#[derive(Debug)]
pub struct Jwk {
    kid: String,
    algorithm: Algorithm,
    fingerprint: [u8; 32],
    verifying: VerifyingKey,
}

/// The members that are read. Others are ignored (RFC 7517 section 4).
#[derive(Deserialize)]
struct Members {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

// === impl Jwk ===

impl Jwk {
    /// Parses one key. The key set skips unsupported keys, because a future Kubernetes may publish other kinds of keys
    /// next to the supported ones.
    pub fn parse(json: &serde_json::Value) -> Result<Self, UnsupportedKey> {
        if json.get("d").is_some() {
            return Err(UnsupportedKey(
                "private key; the key is compromised, replace it and publish the public key"
                    .to_owned(),
            ));
        }
        if !json.is_object() {
            return Err(UnsupportedKey("not a JSON object".to_owned()));
        }
        let members =
            Members::deserialize(json).map_err(|error| UnsupportedKey(error.to_string()))?;
        members.check_usage()?;
        let key = members.public_key()?;
        let algorithm = match &members.alg {
            None => Algorithm::default_for(&key),
            Some(name) => {
                Algorithm::named(name).filter(|algorithm| algorithm.fits(&key)).ok_or_else(
                    || UnsupportedKey(format!("alg {name:?} does not fit kty {:?}", members.kty)),
                )?
            }
        };
        if members.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
            return Err(UnsupportedKey(format!("kid is longer than {MAX_KID_BYTES} bytes")));
        }
        Self::new(members.kid, algorithm, &key)
    }

    /// A key. A missing `kid` is derived as Kubernetes does (keyIDFromPublicKey in
    /// kubernetes/pkg/serviceaccount/jwt.go).
    pub fn new(
        kid: Option<String>,
        algorithm: Algorithm,
        key: &PublicKey,
    ) -> Result<Self, UnsupportedKey> {
        let verifying = VerifyingKey::new(algorithm, key)
            .map_err(|_| UnsupportedKey("x and y are not a point on the curve".to_owned()))?;
        let fingerprint = sha256(verifying.spki_der());
        let kid = kid.unwrap_or_else(|| URL_SAFE_NO_PAD.encode(fingerprint));
        Ok(Self { kid, algorithm, fingerprint, verifying })
    }

    /// The key ID.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The only algorithm that the key may be used with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// SHA-256 of the SubjectPublicKeyInfo: identifies the key independently of its key ID.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// The key in the form that signatures are verified with.
    pub fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }
}

// === impl Members ===

impl Members {
    /// Rejects keys that are not for signatures (RFC 7517 sections 4.2 and 4.3).
    fn check_usage(&self) -> Result<(), UnsupportedKey> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(UnsupportedKey(format!(
                "use {:?}, expected \"sig\"",
                self.usage.as_deref().unwrap_or_default()
            )));
        }
        match &self.key_ops {
            Some(ops) if !ops.iter().any(|op| op == "verify") => {
                Err(UnsupportedKey("key_ops does not contain \"verify\"".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn public_key(&self) -> Result<PublicKey, UnsupportedKey> {
        match self.kty.as_str() {
            "RSA" => PublicKey::rsa(&number("n", &self.n)?, &number("e", &self.e)?),
            "EC" => {
                let crv = self.crv.as_deref().unwrap_or_default();
                let curve = Curve::named(crv).ok_or_else(|| {
                    UnsupportedKey(format!("crv {crv:?}, expected one of P-256, P-384, P-521"))
                })?;
                PublicKey::ec(curve, &number("x", &self.x)?, &number("y", &self.y)?)
            }
            kty => Err(UnsupportedKey(format!("kty {kty:?}, expected RSA or EC"))),
        }
    }
}

fn number(name: &str, text: &Option<String>) -> Result<Vec<u8>, UnsupportedKey> {
    let fault = match text {
        None => "is missing",
        Some(text) if text.ends_with('=') => "has padding (=), which RFC 7515 does not allow",
        Some(text) => match URL_SAFE_NO_PAD.decode(text) {
            Ok(number) => return Ok(number),
            Err(_) => "is not base64url",
        },
    };
    Err(UnsupportedKey(format!("{name} {fault}")))
}

/// kubernetes:pkg/serviceaccount: an external signer's kid has at most 1024 characters.
const MAX_KID_BYTES: usize = 1024;

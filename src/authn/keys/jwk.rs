//! One member of a JWKS -> a key with its kid and its algorithm (RFC 7517 section 4, RFC 7518 section 6).

use super::algorithm::Algorithm;
use super::public_key::{Curve, PublicKey, Unfit};
use crate::authn::signature::{VerifyingKey, sha256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// A key that an issuer signs with.
#[derive(Debug)]
pub struct Jwk {
    kid: String,
    algorithm: Algorithm,
    fingerprint: [u8; 32],
    verifying: VerifyingKey,
}

/// The members that matter. Others are ignored (RFC 7517 section 4).
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
    /// Reads one key. What it does not take is skipped by the set: Kubernetes will sign with kinds of
    /// keys that nobody here knows yet.
    pub fn parse(json: &serde_json::Value) -> Result<Self, Unfit> {
        if json.get("d").is_some() {
            return Err(Unfit(
                "a private key, which must never leave its owner: replace it".to_owned(),
            ));
        }
        if !json.is_object() {
            return Err(Unfit("not an object".to_owned()));
        }
        let members = Members::deserialize(json).map_err(|error| Unfit(error.to_string()))?;
        members.check_usage()?;
        let key = members.public_key()?;
        let algorithm = match &members.alg {
            None => Algorithm::default_for(&key),
            Some(name) => Algorithm::named(name)
                .filter(|algorithm| algorithm.fits(&key))
                .ok_or_else(|| Unfit(format!("alg {name:?} with a {} key", members.kty)))?,
        };
        if members.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
            return Err(Unfit(format!("a kid of more than {MAX_KID_BYTES} bytes")));
        }
        Self::new(members.kid, algorithm, &key)
    }

    /// A key whose `kid`, if it has none, is derived as Kubernetes derives it.
    pub fn new(kid: Option<String>, algorithm: Algorithm, key: &PublicKey) -> Result<Self, Unfit> {
        let verifying = VerifyingKey::new(algorithm, key)
            .map_err(|_| Unfit("not a point on its curve".to_owned()))?;
        let fingerprint = sha256(verifying.spki_der());
        let kid = kid.unwrap_or_else(|| URL_SAFE_NO_PAD.encode(fingerprint));
        Ok(Self { kid, algorithm, fingerprint, verifying })
    }

    /// Its name among the issuer's keys.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm that it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// SHA-256 of its SubjectPublicKeyInfo: which key it is, whatever it is called.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// What verifies with it.
    pub fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }
}

// === impl Members ===

impl Members {
    /// A key for encryption must not vouch for anybody (RFC 7517 sections 4.2 and 4.3).
    fn check_usage(&self) -> Result<(), Unfit> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(Unfit("its use is not sig".to_owned()));
        }
        match &self.key_ops {
            Some(ops) if !ops.iter().any(|op| op == "verify") => {
                Err(Unfit("its key_ops do not include verify".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn public_key(&self) -> Result<PublicKey, Unfit> {
        match self.kty.as_str() {
            "RSA" => PublicKey::rsa(&number("n", &self.n)?, &number("e", &self.e)?),
            "EC" => {
                let crv = self.crv.as_deref().unwrap_or_default();
                let curve = Curve::named(crv).ok_or_else(|| Unfit(format!("curve {crv:?}")))?;
                PublicKey::ec(curve, &number("x", &self.x)?, &number("y", &self.y)?)
            }
            kty => Err(Unfit(format!("kty {kty:?}"))),
        }
    }
}

fn number(name: &str, text: &Option<String>) -> Result<Vec<u8>, Unfit> {
    text.as_ref()
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .ok_or_else(|| Unfit(format!("{name} is not base64url")))
}

/// kubernetes:pkg/serviceaccount: an external signer's kid has at most 1024 characters.
const MAX_KID_BYTES: usize = 1024;

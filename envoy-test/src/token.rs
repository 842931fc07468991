//! ServiceAccount tokens with the claims of Kubernetes.

mod assemble;

use std::time::{SystemTime, UNIX_EPOCH};

use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value, json};

use crate::keys::SigningKey;

pub use assemble::{assemble, hs256};

/// The issuer of a cluster that was left at its defaults.
pub const DEFAULT_ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The audience of tokens unless a test says otherwise.
pub const DEFAULT_AUDIENCE: &str = "secret-store";

/// The issuer of the tokens in secrets of type `kubernetes.io/service-account-token`.
pub const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

/// A token before it is signed.
#[derive(Clone, Debug)]
pub struct Token {
    header: Map<String, Value>,
    removed_header: Vec<String>,
    claims: Value,
}

// === impl Token ===

impl Token {
    /// A token as TokenRequest makes it: one hour, bound to nothing.
    pub fn for_service_account(namespace: &str, name: &str) -> Self {
        let now = unix_now();
        Self::with_claims(json!({
            "aud": [DEFAULT_AUDIENCE],
            "exp": now + 3600,
            "iat": now,
            "iss": DEFAULT_ISSUER,
            "jti": random_uuid(),
            "kubernetes.io": {
                "namespace": namespace,
                "serviceaccount": {
                    "name": name,
                    "uid": derived_uid("serviceaccount", namespace, name),
                },
            },
            "nbf": now,
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
        }))
    }

    /// A token as the token controller writes it into a secret: flat claims, no aud, no times.
    pub fn legacy_secret(namespace: &str, name: &str, secret: &str) -> Self {
        Self::with_claims(json!({
            "iss": LEGACY_ISSUER,
            "kubernetes.io/serviceaccount/namespace": namespace,
            "kubernetes.io/serviceaccount/secret.name": secret,
            "kubernetes.io/serviceaccount/service-account.name": name,
            "kubernetes.io/serviceaccount/service-account.uid":
                derived_uid("serviceaccount", namespace, name),
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
        }))
    }

    /// A token with these claims and no others.
    pub fn with_claims(claims: Value) -> Self {
        Self { header: Map::new(), removed_header: Vec::new(), claims }
    }

    /// Sets `iss`.
    pub fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", json!(issuer))
    }

    /// Sets `aud` to a list.
    pub fn audiences<'a>(self, audiences: impl IntoIterator<Item = &'a str>) -> Self {
        self.claim("aud", audiences.into_iter().collect())
    }

    /// Sets `aud` to a list of one.
    pub fn audience(self, audience: &str) -> Self {
        self.audiences([audience])
    }

    /// Binds it to a pod of the same namespace.
    pub fn pod(self, name: &str) -> Self {
        let uid = derived_uid("pod", &self.namespace(), name);
        self.claim("/kubernetes.io/pod", json!({ "name": name, "uid": uid }))
    }

    /// Binds it to a node, or names the node of its pod.
    pub fn node(self, name: &str) -> Self {
        let uid = derived_uid("node", "", name);
        self.claim("/kubernetes.io/node", json!({ "name": name, "uid": uid }))
    }

    /// Binds it to a secret of the same namespace.
    pub fn secret(self, name: &str) -> Self {
        let uid = derived_uid("secret", &self.namespace(), name);
        self.claim("/kubernetes.io/secret", json!({ "name": name, "uid": uid }))
    }

    /// Sets `iat` and `nbf`.
    pub fn issued_at(self, unix_seconds: u64) -> Self {
        self.claim("iat", json!(unix_seconds)).claim("nbf", json!(unix_seconds))
    }

    /// Sets `exp`.
    pub fn expires_at(self, unix_seconds: u64) -> Self {
        self.claim("exp", json!(unix_seconds))
    }

    /// Sets `exp` to so long after `iat`.
    pub fn lifetime(self, seconds: u64) -> Self {
        let issued = self.claims["iat"].as_u64().unwrap_or_else(unix_now);
        self.expires_at(issued + seconds)
    }

    /// Sets the time from which on Kubernetes warns of a token that should have been replaced.
    pub fn warn_after(self, unix_seconds: u64) -> Self {
        self.claim("/kubernetes.io/warnafter", json!(unix_seconds))
    }

    /// Sets any claim; a name that begins with `/` is a JSON pointer, as in `/kubernetes.io/pod/uid`.
    pub fn claim(mut self, name: &str, value: Value) -> Self {
        let (parent, member) = split(name);
        if let Some(object) = self.claims.pointer_mut(parent).and_then(Value::as_object_mut) {
            object.insert(member.to_owned(), value);
        }
        self
    }

    /// Takes a claim out; a name that begins with `/` is a JSON pointer.
    pub fn without(mut self, name: &str) -> Self {
        let (parent, member) = split(name);
        if let Some(object) = self.claims.pointer_mut(parent).and_then(Value::as_object_mut) {
            object.remove(member);
        }
        self
    }

    /// Sets a member of the JOSE header; an `alg` that the key can sign is then really used.
    pub fn header(mut self, name: &str, value: Value) -> Self {
        self.header.insert(name.to_owned(), value);
        self
    }

    /// Leaves a member of the JOSE header (`kid`, `alg`) out.
    pub fn without_header(mut self, name: &str) -> Self {
        self.removed_header.push(name.to_owned());
        self
    }

    /// The claims as they stand.
    pub fn claims(&self) -> &Value {
        &self.claims
    }

    pub(crate) fn is_legacy(&self) -> bool {
        self.claims["iss"] == LEGACY_ISSUER
    }

    /// Signs it.
    pub fn sign(&self, key: &SigningKey) -> String {
        let mut header = Map::new();
        header.insert("alg".to_owned(), json!(key.alg()));
        header.insert("kid".to_owned(), json!(key.kid()));
        header.extend(self.header.clone());
        header.retain(|name, _| !self.removed_header.contains(name));
        let named = header.get("alg").and_then(Value::as_str).unwrap_or(key.alg());
        let alg = if key.can_sign(named) { named.to_owned() } else { key.alg().to_owned() };
        assemble(&Value::Object(header).to_string(), &self.claims.to_string(), |signed| {
            key.sign_as(&alg, signed)
        })
    }

    fn namespace(&self) -> String {
        self.claims["kubernetes.io"]["namespace"].as_str().unwrap_or_default().to_owned()
    }
}

/// Now, in seconds since 1970.
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

// === private ===

/// Parent pointer and member; `iss` is a member of the root.
fn split(name: &str) -> (&str, &str) {
    match name.strip_prefix('/') {
        Some(_) => name.rsplit_once('/').unwrap_or(("", name)),
        None => ("", name),
    }
}

/// The uid that an object of this name has when it is first created.
pub(crate) fn derived_uid(kind: &str, namespace: &str, name: &str) -> String {
    let hash = digest::digest(&digest::SHA256, format!("{kind}/{namespace}/{name}").as_bytes());
    uuid(hash.as_ref())
}

pub(crate) fn random_uuid() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).expect("the system has random numbers");
    uuid(&bytes)
}

/// Formats as a version 4 UUID.
fn uuid(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

#[cfg(test)]
mod tests;

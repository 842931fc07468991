//! The existing service accounts, pods, nodes and secrets with their uids.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::token::{Token, derived_uid, random_uuid};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    ServiceAccount,
    Pod,
    Node,
    Secret,
}

#[derive(Debug, Default)]
pub(super) struct Objects {
    uids: HashMap<Key, String>,
    /// A second object of a name must not get the uid of the first.
    deleted: HashSet<Key>,
}

type Key = (Kind, String, String);

// === impl Kind ===

impl Kind {
    /// Its member in the claim `kubernetes.io`.
    pub(super) fn claim(self) -> &'static str {
        match self {
            Self::ServiceAccount => "serviceaccount",
            Self::Pod => "pod",
            Self::Node => "node",
            Self::Secret => "secret",
        }
    }
}

// === impl Objects ===

impl Objects {
    pub(super) fn uid(&self, kind: Kind, namespace: &str, name: &str) -> Option<&str> {
        self.uids.get(&key(kind, namespace, name)).map(String::as_str)
    }

    pub(super) fn delete(&mut self, kind: Kind, namespace: &str, name: &str) {
        let key = key(kind, namespace, name);
        self.uids.remove(&key);
        self.deleted.insert(key);
    }

    /// Creates the objects that the token names, and writes their uids into it.
    pub(super) fn bind(&mut self, token: Token) -> Token {
        if token.is_legacy() {
            return self.bind_legacy(token);
        }
        let claims = token.claims()["kubernetes.io"].clone();
        let namespace = claims["namespace"].as_str().unwrap_or_default();
        let kinds = [Kind::ServiceAccount, Kind::Pod, Kind::Node, Kind::Secret];
        kinds.into_iter().fold(token, |token, kind| match claims[kind.claim()]["name"].as_str() {
            Some(name) => {
                let uid = self.ensure(kind, namespace, name);
                token.claim(&format!("/kubernetes.io/{}/uid", kind.claim()), json!(uid))
            }
            None => token,
        })
    }

    fn bind_legacy(&mut self, token: Token) -> Token {
        let part = |name: &str| legacy_claim(token.claims(), name).unwrap_or_default().to_owned();
        let namespace = part("namespace");
        let uid = self.ensure(Kind::ServiceAccount, &namespace, &part("service-account.name"));
        self.ensure(Kind::Secret, &namespace, &part("secret.name"));
        token.claim("kubernetes.io/serviceaccount/service-account.uid", json!(uid))
    }

    fn ensure(&mut self, kind: Kind, namespace: &str, name: &str) -> String {
        let key = key(kind, namespace, name);
        let again = self.deleted.contains(&key);
        let first = || derived_uid(kind.claim(), &key.1, name);
        let uid = || if again { random_uuid() } else { first() };
        self.uids.entry(key.clone()).or_insert_with(uid).clone()
    }
}

/// A claim of the flat, legacy form.
pub(super) fn legacy_claim<'c>(claims: &'c Value, name: &str) -> Option<&'c str> {
    claims.get(format!("kubernetes.io/serviceaccount/{name}")).and_then(Value::as_str)
}

// === private ===

fn key(kind: Kind, namespace: &str, name: &str) -> Key {
    let namespace = if kind == Kind::Node { "" } else { namespace };
    (kind, namespace.to_owned(), name.to_owned())
}

//! The scenario table: requests with their expected outcomes.
//!
//! Three runners use it: `tests/scenarios.rs` evaluates each request natively with the core,
//! `tests/command_line/explain.rs` with `sa-authn explain`, and `envoy-test/tests/scenarios.rs` sends it through real
//! Envoys with the release module. Forged tokens are in [`crate::vectors`].

mod bodies;
mod callers;
mod hosts;
mod invalid;
mod modes;
mod policy;
mod rules;
mod sources;

use serde_json::{Value, json};

pub use invalid::{InvalidConfig, invalid_configs};

use crate::client::Request;
use crate::keys::{KeyKind, SigningKey};
use crate::token::Token;

/// The keys that the table's tokens are signed with.
#[derive(Debug)]
pub struct World {
    /// The cluster's signing key, RSA 2048; published.
    pub cluster: SigningKey,
    /// P-256; published.
    pub es256: SigningKey,
    /// P-384; published.
    pub es384: SigningKey,
    /// P-521; published.
    pub es512: SigningKey,
    /// RSA 4096; published.
    pub rsa4096: SigningKey,
    /// RSA 2048, of another cluster; published nowhere.
    pub foreign_key: SigningKey,
    /// P-256; published nowhere.
    pub foreign_es256: SigningKey,
}

/// Scenarios under one plugin configuration.
#[derive(Debug)]
pub struct Group {
    /// What the configuration is about.
    pub name: &'static str,
    /// The plugin configuration.
    pub config: Value,
    /// The requests.
    pub scenarios: Vec<Scenario>,
}

/// One request and its expected outcome.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// A sentence.
    pub name: &'static str,
    /// What is sent.
    pub request: Request,
    /// The expected outcome.
    pub expect: Expect,
}

/// The expected outcome of a request.
#[derive(Clone, Debug)]
pub enum Expect {
    /// The request passes with these headers: a value, or `None` for an absent header.
    Passes(Vec<(&'static str, Option<String>)>),
    /// The filter denies the request with this reason.
    Refused(&'static str),
    /// Envoy responds with this status before the filter runs. The native runner skips the request.
    EnvoyRefuses(u16),
}

// === impl World ===

impl World {
    /// Keys of its own around the cluster's.
    pub fn around(cluster: SigningKey) -> Self {
        Self {
            cluster,
            es256: SigningKey::generate(KeyKind::P256),
            es384: SigningKey::generate(KeyKind::P384),
            es512: SigningKey::generate(KeyKind::P521),
            rsa4096: SigningKey::generate(KeyKind::Rsa4096),
            foreign_key: SigningKey::generate(KeyKind::Rsa2048),
            foreign_es256: SigningKey::generate(KeyKind::P256),
        }
    }

    /// What the cluster's JWKS holds.
    pub fn published(&self) -> [SigningKey; 5] {
        [&self.cluster, &self.es256, &self.es384, &self.es512, &self.rsa4096].map(Clone::clone)
    }

    /// The whole table.
    pub fn groups(&self) -> Vec<Group> {
        let groups = [
            callers::groups(self),
            sources::groups(self),
            rules::groups(self),
            hosts::groups(self),
            policy::groups(self),
            modes::groups(self),
            bodies::groups(self),
        ];
        groups.into_iter().flatten().collect()
    }

    /// A good token of `api/api`.
    fn good(&self) -> String {
        api().sign(&self.cluster)
    }
}

/// The claims of a good token of `api/api`.
fn api() -> Token {
    Token::for_service_account("api", "api").pod("api-1").node("node-1")
}

/// One issuer with discovery, and whatever `more` says.
fn config(more: Value) -> Value {
    let mut config = json!({
        "issuers": [{
            "name": "local",
            "issuer": crate::token::DEFAULT_ISSUER,
            "aliases": ["https://kubernetes.default.svc"],
            "audiences": ["secret-store", "second"],
            "keys": {
                "discovery": { "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" },
            },
        }],
    });
    if let (Some(config), Value::Object(more)) = (config.as_object_mut(), more) {
        config.extend(more);
    }
    config
}

// === impl Scenario ===

impl Scenario {
    fn passes(
        name: &'static str,
        request: Request,
        seen: impl IntoIterator<Item = (&'static str, Option<&'static str>)>,
    ) -> Self {
        let seen = seen.into_iter().map(|(name, value)| (name, value.map(str::to_owned)));
        Self { name, request, expect: Expect::Passes(seen.collect()) }
    }

    fn refused(name: &'static str, request: Request, reason: &'static str) -> Self {
        Self { name, request, expect: Expect::Refused(reason) }
    }

    fn envoy_refuses(name: &'static str, request: Request, status: u16) -> Self {
        Self { name, request, expect: Expect::EnvoyRefuses(status) }
    }
}

/// The HTTP status of a reason, by docs/troubleshooting.md: on purpose not the filter's own table.
pub fn status_of(reason: &str) -> u16 {
    match reason {
        "conflicting_tokens" | "ambiguous_path" | "unknown_method" => 400,
        "forbidden" => 403,
        "keys_unavailable" | "review_unavailable" | "overloaded" | "misconfigured" | "internal" => {
            503
        }
        _ => 401,
    }
}

/// The gRPC status of a reason, likewise.
pub fn grpc_status_of(reason: &str) -> u32 {
    match status_of(reason) {
        400 => 3,
        403 => 7,
        503 => 14,
        _ => 16,
    }
}

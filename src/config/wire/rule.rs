//! The serde types of `rules`.

use super::Mode;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::Value;
use std::fmt;

/// A rule. It covers a request if all of its conditions match, and then allows or denies the caller.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rule {
    /// The name of the rule in logs and stats. Must be unique.
    pub(crate) name: Option<String>,
    /// `api.example`: this host without a port. `*.example`: every host below `example`, without a port.
    /// `api.example:8080`: with this port. `api.example:*`: with any port or without one. The filter rejects an
    /// ambiguous host (a dot at its end, an empty port, two hosts).
    pub(crate) hosts: Option<Vec<String>>,
    /// Exact methods, in capitals. `GET` does not include `HEAD`. The filter rejects a method that neither RFC 9110,
    /// RFC 5789 nor a rule names.
    pub(crate) methods: Option<Vec<String>>,
    /// `/a/b`: exactly this path. `/a/*`: every path below `/a`, but not `/a` itself. `/a/*/b`: one segment in place of
    /// `*`. Escape `(`, `)`, `+` and `$` (`/Users%281%29`).
    pub(crate) paths: Option<Vec<String>>,
    /// The direction of the traffic.
    pub(crate) direction: Option<Direction>,
    /// The ports of the listener.
    pub(crate) ports: Option<Vec<u16>>,
    /// Whether the rule covers only CORS preflight requests.
    pub(crate) cors_preflight: Option<bool>,
    /// The callers that the rule denies. For other callers the filter evaluates `allow`, or the next rule.
    pub(crate) deny: Option<Who>,
    /// The callers that the rule allows. It denies all other callers.
    pub(crate) allow: Option<Who>,
    /// `shadow`: the rule records the requests that it would deny. It decides only if no enforced rule decides.
    pub(crate) mode: Option<Mode>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Direction {
    /// Towards the workload.
    Inbound,
    /// From the workload.
    Outbound,
}

/// `anyone`, `authenticated`, a list, or an object with `kubernetesRBAC`.
#[derive(Debug)]
pub(crate) enum Who {
    Anyone,
    Authenticated,
    Listed(Vec<Entry>),
    /// See `config::access`.
    Kubernetes(Value),
}

/// `namespace/name`, or an object with conditions.
#[derive(Debug)]
pub(crate) enum Entry {
    Account(String),
    Conditions(Box<Conditions>),
}

/// Service accounts that match all of these conditions.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Conditions {
    /// `namespace/name`, in which `*` can replace a whole part.
    pub(crate) service_account: Option<String>,
    /// Every service account of this namespace. Replaces `serviceAccount`.
    pub(crate) namespace: Option<String>,
    /// The `name` of the issuer, and so the cluster.
    pub(crate) issuer_name: Option<String>,
    /// One of the issuer's `audiences`, which must be in the token's `aud`.
    pub(crate) audience: Option<String>,
    /// `true`: the token is bound to a pod.
    pub(crate) pod_bound: Option<bool>,
    /// The node of the token's pod.
    pub(crate) node: Option<String>,
    /// The uid of the ServiceAccount object. A recreated service account of the same name has another uid.
    pub(crate) uid: Option<String>,
}

// === impl Who ===

impl<'de> Deserialize<'de> for Who {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WhoVisitor;
        impl<'de> Visitor<'de> for WhoVisitor {
            type Value = Who;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#""anyone", "authenticated", a list such as ["namespace/name"] or {"kubernetesRBAC": ...}"#)
            }
            fn visit_str<E: Error>(self, word: &str) -> Result<Who, E> {
                match word {
                    "anyone" => Ok(Who::Anyone),
                    "authenticated" => Ok(Who::Authenticated),
                    _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Who, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(items)).map(Who::Listed)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Who, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Who::Kubernetes)
            }
        }
        deserializer.deserialize_any(WhoVisitor)
    }
}

// === impl Entry ===

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;
        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Entry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#""namespace/name" or an object such as {"serviceAccount": ...}"#)
            }
            fn visit_str<E>(self, account: &str) -> Result<Entry, E> {
                Ok(Entry::Account(account.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                let conditions = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Entry::Conditions(Box::new(conditions)))
            }
        }
        deserializer.deserialize_any(EntryVisitor)
    }
}

//! `rules`: what they cover, and whom they let in.

use super::Mode;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use std::fmt;

/// A rule covers a request when all that it says of requests holds; then it says who may pass.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rule {
    /// How logs and stats call it.
    pub(crate) name: Option<String>,
    /// `api.example`, or `*.example` for everything below, both without a port; `api.example:8080` with this
    /// port; `api.example:*` with any port and without one. A host with two readings (a dot at its end, an
    /// empty port, two hosts) is refused.
    pub(crate) hosts: Option<Vec<String>>,
    /// Exact methods, in capitals; `GET` does not include `HEAD`. A request with a method that neither RFC 9110
    /// nor a rule names is refused.
    pub(crate) methods: Option<Vec<String>>,
    /// `/a/b` exactly; `/a/*` everything below `/a` and not `/a` itself; `/a/*/b` one segment. `(`, `)`, `+` and
    /// `$` are written escaped (`/Users%281%29`).
    pub(crate) paths: Option<Vec<String>>,
    /// Where the request came in.
    pub(crate) direction: Option<Direction>,
    /// The listener's ports.
    pub(crate) ports: Option<Vec<u16>>,
    /// Whether it covers CORS preflights alone.
    pub(crate) cors_preflight: Option<bool>,
    /// Who may not pass. Everybody else goes on to `allow`, or to the next rule.
    pub(crate) deny: Option<Who>,
    /// Who may pass. Nobody else does.
    pub(crate) allow: Option<Who>,
    /// `shadow`: the rule records what it would deny, and decides only where no enforced rule does.
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

/// `anyone`, `authenticated`, or a list.
#[derive(Debug)]
pub(crate) enum Who {
    Anyone,
    Authenticated,
    Listed(Vec<Entry>),
}

/// `namespace/name`, or an object where more must hold.
#[derive(Debug)]
pub(crate) enum Entry {
    Account(String),
    Conditions(Box<Conditions>),
}

/// Service accounts for which all of this holds.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Conditions {
    /// `namespace/name`, of which a whole part may be `*`.
    pub(crate) service_account: Option<String>,
    /// All service accounts of this namespace; in place of `serviceAccount`.
    pub(crate) namespace: Option<String>,
    /// The `name` of the issuer: which cluster.
    pub(crate) issuer_name: Option<String>,
    /// One of the issuer's audiences, which the token must be meant for.
    pub(crate) audience: Option<String>,
    /// The token is bound to a pod.
    pub(crate) pod_bound: Option<bool>,
    /// The node that the token's pod runs on.
    pub(crate) node: Option<String>,
    /// The uid of the ServiceAccount object: a recreated one of the same name has another.
    pub(crate) uid: Option<String>,
}

// === impl Who ===

impl<'de> Deserialize<'de> for Who {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WhoVisitor;
        impl<'de> Visitor<'de> for WhoVisitor {
            type Value = Who;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#""anyone", "authenticated" or a list such as ["namespace/name"]"#)
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

//! The configuration's JSON as it is written, one to one. Nothing else reads it.
//!
//! Every field is optional here: what is required, the checks say, so that one missing field does not
//! hide the other problems.

use super::duration::WireDuration;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Plugin {
    pub(super) issuers: Option<Vec<Object<Issuer>>>,
    pub(super) token_from: Option<Vec<Object<TokenSource>>>,
    pub(super) foreign_tokens: Option<ForeignTokens>,
    pub(super) rules: Option<Vec<Object<Rule>>>,
    pub(super) identity_headers: Option<BTreeMap<String, String>>,
    pub(super) filter_state: Option<Vec<String>>,
    pub(super) forward_token: Option<bool>,
    pub(super) mode: Option<Mode>,
    pub(super) answers: Option<Object<Answers>>,
    pub(super) limits: Option<Object<Limits>>,
}

/// A JSON object, and not the list of its values that serde would take for one too.
#[derive(Debug, Default)]
pub(super) struct Object<T>(pub(super) T);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Issuer {
    pub(super) name: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) aliases: Option<Vec<String>>,
    pub(super) audiences: Option<Vec<String>>,
    pub(super) keys: Option<Object<Keys>>,
    pub(super) token_review: Option<Object<TokenReview>>,
    pub(super) leeway: Option<WireDuration>,
    pub(super) max_lifetime: Option<WireDuration>,
    pub(super) honor_warn_after: Option<bool>,
    pub(super) require_bound: Option<Bound>,
    pub(super) match_peer: Option<MatchPeer>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Bound {
    Pod,
}

/// `true`, `false`, or an object.
#[derive(Debug)]
pub(super) enum MatchPeer {
    Whether(bool),
    Peer(PeerPattern),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PeerPattern {
    pub(super) trust_domain: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) enum ForeignTokens {
    Refuse,
    Ignore,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Answers {
    pub(super) realm: Option<String>,
    pub(super) hide_reason: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Keys {
    pub(super) discovery: Option<Object<Discovery>>,
    pub(super) jwks: Option<Object<Jwks>>,
    pub(super) inline: Option<Value>,
    pub(super) pem: Option<Vec<String>>,
    pub(super) refresh_interval: Option<WireDuration>,
    pub(super) min_refetch_interval: Option<WireDuration>,
    pub(super) max_stale: Option<WireDuration>,
    pub(super) timeout: Option<WireDuration>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Discovery {
    pub(super) cluster: Option<String>,
    pub(super) authority: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Jwks {
    pub(super) cluster: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) path: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TokenReview {
    pub(super) cluster: Option<String>,
    pub(super) authority: Option<String>,
    #[serde(rename = "use")]
    pub(super) purpose: Option<Purpose>,
    pub(super) cache_ttl: Option<WireDuration>,
    pub(super) refresh_ahead: Option<WireDuration>,
    pub(super) timeout: Option<WireDuration>,
    pub(super) on_outage: Option<OnOutage>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Purpose {
    AfterVerification,
    Instead,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum OnOutage {
    Deny,
    AcceptVerified,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TokenSource {
    pub(super) header: Option<String>,
    pub(super) prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) name: Option<String>,
    pub(super) hosts: Option<Vec<String>>,
    pub(super) methods: Option<Vec<String>>,
    pub(super) paths: Option<Vec<String>>,
    pub(super) direction: Option<Direction>,
    pub(super) ports: Option<Vec<u16>>,
    pub(super) cors_preflight: Option<bool>,
    pub(super) deny: Option<Who>,
    pub(super) allow: Option<Who>,
    pub(super) mode: Option<Mode>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Direction {
    Inbound,
    Outbound,
}

/// `anyone`, `authenticated`, or a list.
#[derive(Debug)]
pub(super) enum Who {
    Anyone,
    Authenticated,
    Listed(Vec<Entry>),
}

/// `namespace/name`, or an object where more must hold.
#[derive(Debug)]
pub(super) enum Entry {
    Account(String),
    Conditions(Box<Conditions>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Conditions {
    pub(super) service_account: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) issuer_name: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) pod_bound: Option<bool>,
    pub(super) node: Option<String>,
    pub(super) uid: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Mode {
    Enforce,
    Shadow,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) max_token_bytes: Option<usize>,
    pub(super) max_waiting: Option<usize>,
    pub(super) wait_timeout: Option<WireDuration>,
    pub(super) token_cache_entries: Option<usize>,
    pub(super) max_reviews: Option<usize>,
}

// === impl Object ===

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
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

// === impl MatchPeer ===

impl<'de> Deserialize<'de> for MatchPeer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PeerVisitor;
        impl<'de> Visitor<'de> for PeerVisitor {
            type Value = MatchPeer;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"true, false or {"trustDomain": ...}"#)
            }
            fn visit_bool<E>(self, whether: bool) -> Result<MatchPeer, E> {
                Ok(MatchPeer::Whether(whether))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MatchPeer, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(MatchPeer::Peer)
            }
        }
        deserializer.deserialize_any(PeerVisitor)
    }
}

//! The configuration's JSON as it is written, one to one. Nothing else reads it.
//!
//! Every field is optional here: what is required, the checks say, so that one missing field does not
//! hide the other problems.

use super::duration::WireDuration;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Plugin {
    pub(super) issuers: Option<Vec<Issuer>>,
    pub(super) token_from: Option<Vec<TokenSource>>,
    pub(super) rules: Option<Vec<Rule>>,
    pub(super) identity_headers: Option<BTreeMap<String, String>>,
    pub(super) forward_token: Option<bool>,
    pub(super) mode: Option<Mode>,
    pub(super) limits: Option<Limits>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Issuer {
    pub(super) name: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) aliases: Option<Vec<String>>,
    pub(super) audiences: Option<Vec<String>>,
    pub(super) keys: Option<Keys>,
    pub(super) token_review: Option<Value>,
    pub(super) leeway: Option<WireDuration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Keys {
    pub(super) discovery: Option<Discovery>,
    pub(super) jwks: Option<Jwks>,
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
pub(super) struct TokenSource {
    pub(super) header: Option<String>,
    pub(super) prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) name: Option<String>,
    pub(super) methods: Option<Vec<String>>,
    pub(super) paths: Option<Vec<String>>,
    pub(super) allow: Option<Allow>,
}

/// `anyone`, `authenticated`, or a list.
#[derive(Debug)]
pub(super) enum Allow {
    Anyone,
    Authenticated,
    Listed(Vec<AllowEntry>),
}

/// `namespace/name`, or an object where more must hold.
#[derive(Debug)]
pub(super) enum AllowEntry {
    Account(String),
    Conditions(AllowConditions),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AllowConditions {
    pub(super) service_account: Option<String>,
    pub(super) issuer_name: Option<String>,
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
}

// === impl Allow ===

impl<'de> Deserialize<'de> for Allow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllowVisitor;
        impl<'de> Visitor<'de> for AllowVisitor {
            type Value = Allow;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#""anyone", "authenticated" or a list such as ["namespace/name"]"#)
            }
            fn visit_str<E: Error>(self, word: &str) -> Result<Allow, E> {
                match word {
                    "anyone" => Ok(Allow::Anyone),
                    "authenticated" => Ok(Allow::Authenticated),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Allow, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(items)).map(Allow::Listed)
            }
        }
        deserializer.deserialize_any(AllowVisitor)
    }
}

// === impl AllowEntry ===

impl<'de> Deserialize<'de> for AllowEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;
        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = AllowEntry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#""namespace/name" or an object such as {"serviceAccount": ...}"#)
            }
            fn visit_str<E>(self, account: &str) -> Result<AllowEntry, E> {
                Ok(AllowEntry::Account(account.to_owned()))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<AllowEntry, A::Error> {
                let map = serde::de::value::MapAccessDeserializer::new(map);
                Deserialize::deserialize(map).map(AllowEntry::Conditions)
            }
        }
        deserializer.deserialize_any(EntryVisitor)
    }
}

//! The configuration's JSON as it is written, one to one. Nothing else reads it.
//!
//! Every field is optional here: what is required, the checks say, so that one missing field does not
//! hide the other problems. The comments of the fields are what editors show of them: the JSON Schema
//! (`super::schema`) is made of these types.

mod issuer;
mod object;
mod rule;

use super::duration::WireDuration;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

pub(crate) use issuer::{
    Bound, Issuer, Keys, MatchPeer, OnOutage, PeerPattern, Purpose, TokenReview,
};
pub(crate) use object::Object;
pub(crate) use rule::{Conditions, Direction, Entry, Rule, Who};

/// The configuration of the plugin.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Plugin {
    /// Whose tokens are taken: one entry for each cluster.
    pub(crate) issuers: Option<Vec<Object<Issuer>>>,
    /// The headers that may hold the token. Tokens that differ are refused.
    pub(crate) token_from: Option<Vec<Object<TokenSource>>>,
    /// What is done about tokens whose `iss` is none of the issuers.
    pub(crate) foreign_tokens: Option<ForeignTokens>,
    /// Who may do what: the first rule that covers a request decides, and what none covers is refused.
    /// Without rules every service account of the issuers may do everything.
    pub(crate) rules: Option<Vec<Object<Rule>>>,
    /// What the upstream is told of the caller: a header's name, and what it says. These headers are
    /// taken off every request first, whoever sent them.
    pub(crate) identity_headers: Option<BTreeMap<String, String>>,
    /// What access logs and other filters are told, as filter state `wasm.sa_authn.<field>`.
    pub(crate) filter_state: Option<Vec<String>>,
    /// Whether the upstream gets the token too. It could call others with it.
    pub(crate) forward_token: Option<bool>,
    /// What is done about a refusal.
    pub(crate) mode: Option<Mode>,
    /// How refusals are worded.
    pub(crate) answers: Option<Object<Answers>>,
    /// What bounds memory and waiting, in each VM (Envoy has one for each worker).
    pub(crate) limits: Option<Object<Limits>>,
}

/// A header that may hold the token.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TokenSource {
    /// The header's name, in any case.
    pub(crate) header: Option<String>,
    /// What stands before the token: a scheme and one space, in any case. Without it the value is the token.
    pub(crate) prefix: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum ForeignTokens {
    /// They are refused.
    Refuse,
    /// They are left alone, as if there were none: for services behind another filter that takes them.
    Ignore,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Mode {
    /// It is refused.
    Enforce,
    /// It is logged and counted, and passes.
    Shadow,
}

/// How refusals are worded.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Answers {
    /// The realm of `WWW-Authenticate` (RFC 6750 section 3).
    pub(crate) realm: Option<String>,
    /// Whether callers learn no more than the status. Logs and stats always have the reason.
    pub(crate) hide_reason: Option<bool>,
}

/// What bounds memory and waiting, in each VM (Envoy has one for each worker).
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Limits {
    /// Tokens of more bytes are refused unread.
    pub(crate) max_token_bytes: Option<usize>,
    /// How many requests may be paused for keys, for keys with their key ID, and for reviews, each; a quarter of them
    /// from one source address.
    pub(crate) max_waiting: Option<usize>,
    /// How long one may wait.
    pub(crate) wait_timeout: Option<WireDuration>,
    /// How many proven tokens are remembered, and a quarter as many refused reviews; 0: none. A token of
    /// more than 1,536 bytes counts for several.
    pub(crate) token_cache_entries: Option<usize>,
    /// How many reviews may be under way. A quarter is kept for tokens that were accepted before.
    pub(crate) max_reviews: Option<usize>,
}

//! The serde types of the configuration's JSON.
//!
//! Every field is optional here, because serde would stop at the first missing field; the checks in `super` report all
//! of them. The doc comments of the fields are the descriptions in the JSON Schema (`super::schema`), which editors
//! show.

#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
mod access;
mod issuer;
mod object;
mod rule;

use super::duration::WireDuration;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
pub(crate) use access::{Attribute, ByKubernetes, Source};
pub(crate) use issuer::{
    Bound, Issuer, Keys, MatchPeer, OnOutage, PeerPattern, Purpose, TokenReview,
};
pub(crate) use object::Object;
pub(crate) use rule::{Conditions, Direction, Entry, Rule, Who};

/// The configuration of the plugin.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Plugin {
    /// The clusters whose tokens the filter accepts, one entry for each cluster.
    pub(crate) issuers: Option<Vec<Object<Issuer>>>,
    /// The headers that may contain the token. The filter rejects a request that contains different tokens.
    pub(crate) token_from: Option<Vec<Object<TokenSource>>>,
    /// How the filter handles tokens whose `iss` is not one of `issuers`.
    pub(crate) foreign_tokens: Option<ForeignTokens>,
    /// The authorization rules, evaluated in order. The filter denies a request that no rule allows. Without `rules`,
    /// every service account of the issuers may send every request.
    pub(crate) rules: Option<Vec<Object<Rule>>>,
    /// The headers that contain the caller's identity, for the upstream: each key is a header name, each value a field.
    /// The filter first removes these headers from every request.
    pub(crate) identity_headers: Option<BTreeMap<String, String>>,
    /// The fields to publish as filter state `wasm.sa_authn.<field>`, for access logs and other filters.
    pub(crate) filter_state: Option<Vec<String>>,
    /// Whether the filter forwards the token to the upstream. An upstream with the token can call other services with
    /// it.
    pub(crate) forward_token: Option<bool>,
    /// Whether the filter enforces denials, or only records them.
    pub(crate) mode: Option<Mode>,
    /// The content of rejections.
    pub(crate) answers: Option<Object<Answers>>,
    /// Limits of memory and waiting time, for each VM. Envoy runs one VM for each worker.
    pub(crate) limits: Option<Object<Limits>>,
}

/// A header that may contain the token.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TokenSource {
    /// The name of the header. Case does not matter.
    pub(crate) header: Option<String>,
    /// The scheme before the token, and one space. Case does not matter. If unset, the whole value is the token.
    pub(crate) prefix: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum ForeignTokens {
    /// The filter rejects the token.
    Refuse,
    /// The filter treats the token as absent. Use it if another filter checks these tokens.
    Ignore,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Mode {
    /// Denied requests are rejected.
    Enforce,
    /// Denied requests are logged, counted and forwarded.
    Shadow,
}

/// The content of rejections.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Answers {
    /// The `realm` parameter of `WWW-Authenticate` (RFC 6750 section 3).
    pub(crate) realm: Option<String>,
    /// Whether callers receive only the status, without the reason. Logs and stats always contain the reason.
    pub(crate) hide_reason: Option<bool>,
}

/// Limits of memory and waiting time, for each VM. Envoy runs one VM for each worker.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Limits {
    /// The maximum size of a token, in bytes. The filter rejects a larger token without reading it.
    pub(crate) max_token_bytes: Option<usize>,
    /// The maximum number of paused requests, counted separately for requests that wait for keys, for a key with their
    /// key ID, for a TokenReview and for a SubjectAccessReview. One source address can use a quarter of each limit.
    pub(crate) max_waiting: Option<usize>,
    /// How long a request may stay paused.
    pub(crate) wait_timeout: Option<WireDuration>,
    /// The number of verified tokens in the cache, and of allowed accesses. Each cache also holds a quarter as many
    /// rejections. 0 disables the
    /// cache. A token of more than 1,536 bytes uses several entries.
    pub(crate) token_cache_entries: Option<usize>,
    /// The maximum number of concurrent TokenReview calls, and of concurrent SubjectAccessReview calls. A quarter is
    /// reserved for tokens and accesses that a review accepted before. One caller can use half of the
    /// SubjectAccessReview calls.
    pub(crate) max_reviews: Option<usize>,
}

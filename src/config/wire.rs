//! The types of the configuration's JSON.
//!
//! Every field is optional here; the checks in `super` report all fields that are missing. The doc comments of the fields are the descriptions in the JSON Schema (`super::schema`), which editors
//! show.

mod access;
mod issuer;
mod rule;

use super::duration::WireDuration;
use super::reader::{object, words};
use std::collections::BTreeMap;

pub(crate) use access::{AccessReview, Attribute, ByKubernetes, Resource, Source, Verbs};
pub(crate) use issuer::{
    Bound, Issuer, Keys, MatchPeer, OnOutage, PeerPattern, Purpose, TokenReview,
};
pub(crate) use rule::{Conditions, Direction, Entry, Rule, Who};

object! {
    /// The configuration of the plugin.
    Plugin {
        /// The clusters whose tokens the filter accepts, one entry for each cluster.
        issuers: Vec<Issuer> = "issuers",
        /// The headers that may contain the token. The filter rejects a request that contains different tokens.
        token_from: Vec<TokenSource> = "tokenFrom",
        /// How the filter handles tokens whose `iss` is not one of `issuers`.
        foreign_tokens: ForeignTokens = "foreignTokens",
        /// The authorization rules, evaluated in order. The filter denies a request that no rule allows. Without `rules`,
        /// every service account of the issuers may send every request.
        rules: Vec<Rule> = "rules",
        /// The headers that contain the caller's identity, for the upstream: each key is a header name, each value a field.
        /// The filter first removes these headers from every request.
        identity_headers: BTreeMap<String, String> = "identityHeaders",
        /// The fields to publish as filter state `wasm.sa_authn.<field>`, for access logs and other filters.
        filter_state: Vec<String> = "filterState",
        /// Whether the filter forwards the token to the upstream. An upstream with the token can call other services with
        /// it.
        forward_token: bool = "forwardToken",
        /// Whether the filter enforces denials, or only records them.
        mode: Mode = "mode",
        /// The content of rejections.
        answers: Answers = "answers",
        /// Limits of memory and waiting time, for each VM. Envoy runs one VM for each worker.
        limits: Limits = "limits",
    }
}

object! {
    /// A header that may contain the token.
    TokenSource {
        /// The name of the header. Case does not matter.
        header: String = "header",
        /// The scheme before the token, and one space. Case does not matter. If unset, the whole value is the token.
        prefix: String = "prefix",
    }
}

words! {
    ForeignTokens {
        /// The filter rejects the token.
        Refuse = "refuse",
        /// The filter treats the token as absent. Use it if another filter checks these tokens.
        Ignore = "ignore",
    }
}

words! {
    Mode {
        /// Denied requests are rejected.
        Enforce = "enforce",
        /// Denied requests are logged, counted and forwarded.
        Shadow = "shadow",
    }
}

object! {
    /// The content of rejections.
    Answers {
        /// The `realm` parameter of `WWW-Authenticate` (RFC 6750 section 3).
        realm: String = "realm",
        /// Whether callers receive only the status, without the reason. Logs and stats always contain the reason.
        hide_reason: bool = "hideReason",
    }
}

object! {
    /// Limits of memory and waiting time, for each VM. Envoy runs one VM for each worker.
    Limits {
        /// The maximum size of a token, in bytes. The filter rejects a larger token without reading it.
        max_token_bytes: usize = "maxTokenBytes",
        /// The maximum number of paused requests, counted separately for requests that wait for keys, for a key with their
        /// key ID, for a TokenReview and for a SubjectAccessReview. One source address can use a quarter of each limit.
        max_waiting: usize = "maxWaiting",
        /// How long a request may stay paused.
        wait_timeout: WireDuration = "waitTimeout",
        /// The number of verified tokens in the cache, and of allowed accesses. Each cache also holds a quarter as many
        /// rejections. 0 disables the
        /// cache. A token of more than 1,536 bytes uses several entries.
        token_cache_entries: usize = "tokenCacheEntries",
        /// The maximum number of concurrent TokenReview calls, and of concurrent SubjectAccessReview calls. A quarter is
        /// reserved for tokens and accesses that a review accepted before. One account can use half of the
        /// SubjectAccessReview calls, with all its tokens.
        max_reviews: usize = "maxReviews",
    }
}

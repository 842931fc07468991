//! Parsing and validation of the plugin's JSON configuration.
//!
//! There are no warnings. A setting without effect is an error: an operator who believes that the
//! configuration is stricter than it is would allow callers by mistake.

mod access;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
#[allow(clippy::indexing_slicing, reason = "indexing a `Value` by name does not panic")]
mod admission;
mod bounds;
mod duration;
mod hints;
mod issuers;
mod names;
mod problems;
mod read;
mod reader;
mod reviews;
mod rules;
mod same_iss;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
#[allow(clippy::indexing_slicing, reason = "indexing a `Value` by name does not panic")]
mod schema;
mod server;
mod wire;

#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
pub use admission::admission_policy;
#[cfg(not(target_arch = "wasm32"))]
pub use hints::nearest;
pub use problems::Problem;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
pub use schema::schema;

use crate::authn::bearer::TokenSource;
use crate::authn::issuer::{IssuerIdentity, KeySource};
use crate::authz::{Mode, Policy};
use crate::connection::ConnectionFacts;
use crate::headers::HeaderIndex;
use crate::identity::IdentityPlan;
use crate::verdict::Answers;
use bounds::Bounds;
use problems::Problems;
use std::rc::Rc;
use std::time::Duration;

/// A validated configuration.
#[derive(Debug)]
pub struct Config {
    /// The issuers with the source of their keys.
    pub issuers: Vec<(IssuerIdentity, KeySource)>,
    /// All other settings.
    pub settings: Settings,
}

/// The settings that apply to requests of all issuers.
#[derive(Debug)]
pub struct Settings {
    /// The headers that may contain the token.
    pub token_sources: Vec<TokenSource>,
    /// The names of all headers that the filter reads or writes.
    pub index: HeaderIndex,
    /// Whether tokens of other issuers are ignored (`foreignTokens: "ignore"`).
    pub ignore_foreign: bool,
    /// The identity headers and the filter state.
    pub identity: IdentityPlan,
    /// Whether the token is forwarded to the upstream.
    pub forward_token: bool,
    /// Whether denials are enforced or only recorded.
    pub mode: Mode,
    /// The authorization rules.
    pub policy: Policy,
    /// The connection attributes that the configuration needs.
    pub connection_facts: ConnectionFacts,
    /// The contents of error responses.
    pub answers: Answers,
    /// The limits of memory and waiting time.
    pub limits: Limits,
}

/// The limits of memory and waiting time (`limits`), for each VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum length of a token, in bytes.
    pub max_token_bytes: usize,
    /// The maximum number of paused requests, separately for keys, for keys with their key ID, and for each kind of
    /// review.
    pub max_waiting: usize,
    /// The maximum time that a request is paused.
    pub wait_timeout: Duration,
    /// The maximum number of verified tokens in the cache; a large token takes several entries. 0 turns the cache off.
    pub token_cache_entries: usize,
    /// The maximum number of concurrent TokenReviews, and of concurrent SubjectAccessReviews.
    pub max_reviews: usize,
}

// === impl Config ===

impl Config {
    /// Parses and validates a configuration. `Err` has every problem that was found.
    pub fn parse(json: &[u8]) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let wire = read::read(json, &mut problems);
        let config = wire.map(|wire| Self::check(wire, &mut problems));
        match (config, problems.into_list()) {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(problems),
        }
    }

    /// Without issuers and with no rule that allows a request.
    pub(crate) fn deny_all() -> Self {
        let wire = wire::Plugin { rules: Some(Vec::new()), ..wire::Plugin::default() };
        // Both lists must not be empty in a configuration that an operator writes.
        Self::check(wire, &mut Problems::default())
    }

    fn check(wire: wire::Plugin, problems: &mut Problems) -> Self {
        // A rule may refer to an issuer that has errors in other fields.
        let issuer_names = issuers::names(wire.issuers.as_deref());
        let audiences = issuers::audiences(wire.issuers.as_deref());
        let limits = Limits::check(&wire.limits.unwrap_or_default(), problems);
        let issuers = issuers::check(wire.issuers, limits.wait_timeout, problems);
        let known = rules::Known { issuer_names: &issuer_names, audiences: &audiences };
        let rules = rules::check(wire.rules, &known, problems);
        if !problems.any_under("rules") && !problems.any_under("issuers") {
            access::check_both(rules.as_deref(), &issuers, problems);
        }
        let rule_names: Vec<_> = rules.iter().flatten().map(|rule| Rc::clone(&rule.name)).collect();
        let policy = Policy::new(rules);
        if !problems.any_under("rules") {
            // A rule without its invalid conditions would seem to match every request.
            rules::check_reachable(&policy.unreachable(), &rule_names, problems);
        }
        let token_sources = names::token_sources(wire.token_from, problems);
        let identity_headers =
            names::identity_headers(wire.identity_headers, &token_sources, problems);
        let matched_fields = policy.matched_fields();
        let answers = wire.answers.unwrap_or_default();
        let settings = Settings {
            index: HeaderIndex::new(
                token_sources.iter().map(|source| &*source.header),
                identity_headers.iter().map(|header| &*header.name),
            ),
            token_sources,
            ignore_foreign: wire.foreign_tokens == Some(wire::ForeignTokens::Ignore),
            identity: IdentityPlan {
                headers: identity_headers,
                filter_state: names::filter_state(wire.filter_state, problems),
            },
            forward_token: wire.forward_token.unwrap_or(false),
            mode: names::mode(wire.mode),
            connection_facts: ConnectionFacts {
                direction: matched_fields.direction,
                port: matched_fields.ports,
                peer_uri: issuers.iter().any(|(issuer, _)| issuer.match_peer.is_some()),
            },
            policy,
            answers: check_answers(&answers, problems),
            limits,
        };
        Self { issuers, settings }
    }
}

fn check_answers(wire: &wire::Answers, problems: &mut Problems) -> Answers {
    let default = Answers::default();
    let realm = wire.realm.clone().unwrap_or(default.realm);
    // RFC 9110 section 5.6.4: a quoted string that needs no escapes.
    if !realm.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        problems.add(
            "answers.realm",
            "must be printable ASCII without double quotes and backslashes, \
                                       for example \"secret-store\"",
        );
    }
    Answers { realm, hide_reason: wire.hide_reason.unwrap_or(false) }
}

// === impl Limits ===

impl Limits {
    fn check(wire: &wire::Limits, problems: &mut Problems) -> Self {
        use bounds::{
            MAX_REVIEWS, MAX_TOKEN_BYTES, MAX_WAITING, TOKEN_CACHE_ENTRIES, WAIT_TIMEOUT,
        };
        let mut number = |bounds: &Bounds, wire| bounds.number("limits", wire, problems);
        Self {
            max_token_bytes: number(&MAX_TOKEN_BYTES, wire.max_token_bytes),
            max_waiting: number(&MAX_WAITING, wire.max_waiting),
            token_cache_entries: number(&TOKEN_CACHE_ENTRIES, wire.token_cache_entries),
            max_reviews: number(&MAX_REVIEWS, wire.max_reviews),
            wait_timeout: WAIT_TIMEOUT.duration("limits", wire.wait_timeout, problems),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::check(&wire::Limits::default(), &mut Problems::default())
    }
}

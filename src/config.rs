//! The plugin's configuration: JSON -> checked settings, or every problem at once.
//!
//! There are no warnings. What cannot mean what it says is an error, because a configuration that is
//! taken for stricter than it is lets people in.

mod duration;
mod issuers;
mod names;
mod problems;
mod read;
mod reviews;
mod rules;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
#[allow(clippy::indexing_slicing, reason = "by name, which a JSON object takes without a panic")]
mod schema;
mod wire;

pub use problems::Problem;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
pub use schema::schema;

use crate::authn::bearer::TokenSource;
use crate::authn::issuer::{IssuerIdentity, KeySource};
use crate::authz::Policy;
use crate::connection::ConnectionFacts;
use crate::headers::HeaderIndex;
use crate::identity::{IdentityField, IdentityHeader};
use crate::verdict::{Answers, Mode};
use problems::Problems;
use std::rc::Rc;
use std::time::Duration;
use wire::Object;

/// A configuration that means what it says.
#[derive(Debug)]
pub struct Config {
    /// The issuers, each with where its keys come from.
    pub issuers: Vec<(IssuerIdentity, KeySource)>,
    /// Everything else.
    pub settings: Settings,
}

/// What the configuration says of requests.
#[derive(Debug)]
pub struct Settings {
    /// Where tokens are found.
    pub token_sources: Vec<TokenSource>,
    /// The names of all headers that matter.
    pub index: HeaderIndex,
    /// Whether tokens of other issuers are left alone (`foreignTokens: "ignore"`), as if there were none.
    pub ignore_foreign: bool,
    /// What the upstream is told.
    pub identity_headers: Vec<IdentityHeader>,
    /// What access logs and other filters are told, each by the name that the host is given.
    pub filter_state: Vec<(Rc<str>, IdentityField)>,
    /// Whether the upstream gets the token too.
    pub forward_token: bool,
    /// What is done about a refusal.
    pub mode: Mode,
    /// Who may do what.
    pub policy: Policy,
    /// What of a request's connection must be known.
    pub connection_facts: ConnectionFacts,
    /// How refusals are worded.
    pub answers: Answers,
    /// What bounds memory and waiting.
    pub limits: Limits,
}

/// What bounds memory and waiting (`limits`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest token that is looked at, in bytes.
    pub max_token_bytes: usize,
    /// How many requests of one VM may wait for keys, for keys with their kid, and for reviews, each.
    pub max_waiting: usize,
    /// How long one may wait.
    pub wait_timeout: Duration,
    /// How many proven tokens one VM remembers; large ones count for several. None with 0.
    pub token_cache_entries: usize,
    /// How many reviews of one VM may be under way.
    pub max_reviews: usize,
}

// === impl Config ===

impl Config {
    /// Reads and checks a configuration. `Err` holds every problem that was found.
    pub fn parse(json: &[u8]) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let wire = read::read(json, &mut problems);
        let config = wire.map(|wire| Self::check(wire, &mut problems));
        match (config, problems.into_list()) {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(problems),
        }
    }

    fn check(wire: wire::Plugin, problems: &mut Problems) -> Self {
        // Rules may name an issuer whose other fields are wrong.
        let issuer_names = issuers::names(wire.issuers.as_deref());
        let audiences = issuers::audiences(wire.issuers.as_deref());
        let limits = Limits::check(wire.limits.unwrap_or_default().0, problems);
        let issuers = issuers::check(wire.issuers, limits.wait_timeout, problems);
        let known = rules::Known { issuer_names: &issuer_names, audiences: &audiences };
        let rules = rules::check(wire.rules, &known, problems);
        let rule_names: Vec<_> = rules.iter().flatten().map(|rule| Rc::clone(&rule.name)).collect();
        let policy = Policy::new(rules);
        if !problems.any_under("rules") {
            // A rule that is half read may seem to cover everything.
            rules::check_reachable(&policy.unreachable(), &rule_names, problems);
        }
        let token_sources = names::token_sources(wire.token_from, problems);
        let identity_headers =
            names::identity_headers(wire.identity_headers, &token_sources, problems);
        let looks_at = policy.looks_at();
        let Object(answers) = wire.answers.unwrap_or_default();
        let settings = Settings {
            index: HeaderIndex::new(
                token_sources.iter().map(|source| &*source.header),
                identity_headers.iter().map(|header| &*header.name),
            ),
            token_sources,
            ignore_foreign: wire.foreign_tokens == Some(wire::ForeignTokens::Ignore),
            identity_headers,
            filter_state: names::filter_state(wire.filter_state, problems),
            forward_token: wire.forward_token.unwrap_or(false),
            mode: names::mode(wire.mode),
            connection_facts: ConnectionFacts {
                direction: looks_at.direction,
                port: looks_at.ports,
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
    // RFC 9110 section 5.6.4: a quoted string without anything to escape.
    if !realm.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        problems.add("answers.realm", "must be printable ASCII without quotes and backslashes");
    }
    Answers { realm, hide_reason: wire.hide_reason.unwrap_or(false) }
}

// === impl Limits ===

impl Limits {
    fn check(wire: wire::Limits, problems: &mut Problems) -> Self {
        let default = Self::default();
        let max_token_bytes = wire.max_token_bytes.unwrap_or(default.max_token_bytes);
        if !TOKEN_BYTES.contains(&max_token_bytes) {
            problems.add("limits.maxTokenBytes", "must be from 256 to 1048576");
        }
        let max_waiting = wire.max_waiting.unwrap_or(default.max_waiting);
        if !WAITING.contains(&max_waiting) {
            problems.add("limits.maxWaiting", "must be from 1 to 100000");
        }
        let wait_timeout = wire.wait_timeout.map_or(default.wait_timeout, |wait| wait.0);
        if wait_timeout.is_zero() || wait_timeout > LONGEST_WAIT {
            problems.add("limits.waitTimeout", "must be more than 0s and at most 60s");
        }
        let token_cache_entries = wire.token_cache_entries.unwrap_or(default.token_cache_entries);
        if token_cache_entries > MOST_TOKENS {
            problems.add("limits.tokenCacheEntries", "must be at most 1000000");
        }
        let max_reviews = wire.max_reviews.unwrap_or(default.max_reviews);
        if !REVIEWS.contains(&max_reviews) {
            problems.add("limits.maxReviews", "must be from 1 to 1000");
        }
        Self { max_token_bytes, max_waiting, wait_timeout, token_cache_entries, max_reviews }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_token_bytes: 16 * 1024,
            max_waiting: 1000,
            wait_timeout: Duration::from_secs(5),
            token_cache_entries: 10_000,
            max_reviews: 64,
        }
    }
}

const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 256..=1024 * 1024;
const WAITING: std::ops::RangeInclusive<usize> = 1..=100_000;
const MOST_TOKENS: usize = 1_000_000;
const REVIEWS: std::ops::RangeInclusive<usize> = 1..=1000;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

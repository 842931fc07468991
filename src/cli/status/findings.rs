//! The questions, and what a proxy's configuration and stats answer.

use super::observed::{Body, Draining, Observed, Open};
use super::page::Findings;
use super::stats::Stats;
use crate::cli::dates;
use sa_authn::authn::issuer::KeySource;
use sa_authn::authz::Mode;
use sa_authn::config::Config;
use sa_authn::time::UnixTime;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The answers of a proxy.
pub struct Subject<'a> {
    pub server: &'a Value,
    pub observed: &'a Observed,
    pub stats: &'a Stats,
    pub now: UnixTime,
}

// === impl Findings ===

impl Findings {
    /// Adds all questions. `wanted` is the configuration that the filter should have.
    pub fn add(&mut self, subject: &Subject<'_>, wanted: Option<&Value>) {
        self.server(subject);
        self.filter(subject);
        self.configurations(subject, wanted);
        self.refused(subject);
        self.chains(subject);
        self.keys(subject);
        self.machines(subject);
        self.connections(subject);
        self.requests(subject);
    }

    fn server(&mut self, Subject { server, .. }: &Subject<'_>) {
        let text = |name: &str| server.get(name).and_then(Value::as_str).unwrap_or("unknown");
        let version = text("version").split('/').nth(1).unwrap_or_else(|| text("version"));
        let state = text("state");
        let said = format!("{version}, {state}, up {}", text("uptime_current_epoch"));
        self.check(state == "LIVE", "envoy", &said);
    }

    fn filter(&mut self, Subject { observed, stats, .. }: &Subject<'_>) {
        if observed.filters.is_empty() {
            self.bad("filter", "not in any filter chain");
        }
        // A filter chain can have the filter several times, for different routes.
        let mut said = BTreeSet::new();
        for filter in &observed.filters {
            let mut once = |what: &str| {
                let message = format!("{}: {what}", filter.chain);
                said.insert(message.clone()).then_some(message)
            };
            if let Body::Missing(why) = &filter.body
                && let Some(message) = once(why)
            {
                self.bad("filter", &message);
            }
            if filter.disabled
                && let Some(message) = once("disabled unless a route enables it")
            {
                self.bad("filter", &message);
            }
            if !filter.reloads
                && !filter.fails_open
                && let Some(message) =
                    once("a crashed VM stays down, and no stat shows it; use FAIL_RELOAD")
            {
                self.warn("filter", &message);
            }
            if filter.fails_open
                && let Some(message) =
                    once("fails open: requests pass if the filter fails; use FAIL_RELOAD")
            {
                self.bad("filter", &message);
            }
        }
        let count = observed.chains;
        if count == 0 {
            return;
        }
        match stats.version() {
            Some(version) => {
                self.good("filter", &format!("sa-authn {version} in {}", chains(count)));
            }
            None => self.warn(
                "filter",
                &format!(
                    "in {}; its version is unknown, because the proxy has no stat `sa_authn.build`",
                    chains(count)
                ),
            ),
        }
    }

    fn configurations(&mut self, Subject { observed, .. }: &Subject<'_>, wanted: Option<&Value>) {
        for json in distinct(observed) {
            let config = match Config::parse(json.as_bytes()) {
                Ok(config) => config,
                Err(problems) => {
                    for problem in problems {
                        self.bad("config", &problem.to_string());
                    }
                    continue;
                }
            };
            let settings = &config.settings;
            let rules = settings.policy.rules();
            let rules =
                rules.map_or("no rules".to_owned(), |rules| format!("rules {}", rules.len()));
            let said = format!("issuers {}, {rules}", config.issuers.len());
            match settings.mode {
                Mode::Enforce => self.good("config", &said),
                Mode::Shadow => {
                    self.warn("config", &format!("{said}; shadow mode: denied requests pass"));
                }
            }
            if let Some(wanted) = wanted {
                let equal = serde_json::from_str::<Value>(json).is_ok_and(|found| found == *wanted);
                let said = if equal { "equals the file" } else { "differs from the file" };
                self.check(equal, "config", said);
            }
        }
    }

    fn refused(&mut self, Subject { observed, stats, .. }: &Subject<'_>) {
        for refused in &observed.refused {
            let said = refused.replace('\n', " ");
            self.bad("update", &format!("Envoy rejected a newer configuration: {}", said.trim()));
        }
        for name in &observed.warming {
            self.bad("update", &format!("listener {name:?} waits for a part of its configuration"));
        }
        if observed.refused.is_empty() && observed.warming.is_empty() {
            let before = stats.get("listener_manager.lds.update_rejected");
            let said = match before {
                0 => "no newer configuration was rejected".to_owned(),
                count => format!("current; Envoy rejected earlier updates: {count}"),
            };
            self.good("update", &said);
        }
    }

    fn chains(&mut self, Subject { observed, .. }: &Subject<'_>) {
        // Istio gives several filter chains of a listener the same name.
        let mut open = BTreeMap::new();
        for Open { chain, is_http } in &observed.open {
            *open.entry((chain, is_http)).or_insert(0) += 1;
        }
        for ((chain, is_http), count) in open {
            let why = match is_http {
                true => "requests reach the upstream without the filter",
                false => "TCP connections reach the upstream without the filter",
            };
            let chains = if count > 1 { format!(" ({})", chains(count)) } else { String::new() };
            self.bad("chains", &format!("{chain}: {why}{chains}"));
        }
        for route in &observed.routes {
            self.bad("routes", &format!("{route} does not run the filter"));
        }
        let is_closed = observed.open.is_empty() && observed.routes.is_empty();
        if is_closed && !observed.filters.is_empty() {
            let denied = match observed.denied_chains {
                0 => String::new(),
                count => format!("; TCP filter chains that deny every connection: {count}"),
            };
            self.good("chains", &format!("no way to an upstream without the filter{denied}"));
        }
    }

    fn keys(&mut self, Subject { observed, stats, now, .. }: &Subject<'_>) {
        let configs = distinct(observed).into_iter();
        for config in configs.filter_map(|json| Config::parse(json.as_bytes()).ok()) {
            for (issuer, source) in &config.issuers {
                let name = &*issuer.name;
                let KeySource::Fetched(_, schedule) = source else { continue };
                let failures = stats.of_issuer("key_fetches.failure", name).unwrap_or_default();
                let failed = match failures {
                    0 => String::new(),
                    count => format!("; failed fetches since the start: {count}"),
                };
                let Some(fetched_at) = stats.of_issuer("keys.fetched_at", name) else {
                    self.bad("keys", &format!("issuer {name:?}: not fetched yet{failed}"));
                    continue;
                };
                let age = now.since(UnixTime::from_secs(fetched_at));
                let count = stats.of_issuer("keys.count", name).unwrap_or_default();
                let fetched = format!("fetched {} ago", dates::duration(age));
                let said = format!("issuer {name:?}: {count}, {fetched}{failed}");
                let is_fresh = age <= schedule.refresh * 2 + LONGEST_FETCH && count > 0;
                if is_fresh {
                    self.good("keys", &said);
                } else {
                    let refresh = dates::duration(schedule.refresh);
                    self.bad("keys", &format!("{said}; stale, refreshInterval is {refresh}"));
                }
            }
        }
    }

    fn machines(&mut self, Subject { observed, stats, .. }: &Subject<'_>) {
        if observed.filters.is_empty() {
            return;
        }
        let (reloads, failures) =
            (stats.sum(".vm_reload_success"), stats.sum(".vm_reload_failure"));
        let (active, workers) =
            (stats.sum("wasm.envoy.wasm.runtime.v8.active"), stats.get("server.concurrency"));
        if failures > 0 {
            self.bad("vms", &format!("a crashed VM could not be reloaded: {failures} times"));
        } else if reloads > 0 {
            self.warn("vms", &format!("VMs crashed and were reloaded: {reloads} times"));
        } else {
            self.good("vms", &format!("active VMs {active}, workers {workers}, no crash"));
        }
    }

    fn connections(&mut self, Subject { observed, stats, .. }: &Subject<'_>) {
        for Draining { listener, had_filter } in &observed.draining {
            let what = match had_filter {
                true => "connections of a former configuration remain",
                false => {
                    "connections from before the filter remain, and their requests do not pass the filter"
                }
            };
            self.warn("draining", &format!("listener {listener:?}: {what}"));
        }
        let chains = stats.get("listener_manager.total_filter_chains_draining");
        let listeners = stats.get("listener_manager.total_listeners_draining");
        let unnamed = listeners.saturating_sub(observed.draining.len() as u64);
        if chains + unnamed > 0 {
            self.warn(
                "draining",
                &format!(
                    "connections of a former configuration remain: filter chains {chains}, listeners {unnamed}"
                ),
            );
        } else if observed.draining.is_empty() {
            self.good("draining", "no connections of a former configuration");
        }
    }

    fn requests(&mut self, Subject { stats, .. }: &Subject<'_>) {
        let count = |verdict: &str| stats.requests(verdict).values().sum::<u64>();
        let by_reason = |verdict: &str| {
            let counts = stats.requests(verdict);
            let counts: Vec<_> =
                counts.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
            if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) }
        };
        self.note("allowed", &count("allowed").to_string());
        self.note("denied", &format!("{}{}", count("denied"), by_reason("denied")));
        if count("shadow_denied") > 0 {
            let said = format!("{}{}", count("shadow_denied"), by_reason("shadow_denied"));
            self.warn("shadow", &format!("requests that would be denied: {said}"));
        }
        let unreviewed = stats.sum("wasmcustom.sa_authn.unreviewed.");
        if unreviewed > 0 {
            self.warn("reviews", &format!("requests that passed without a review: {unreviewed}"));
        }
    }
}

/// A refresh that succeeds is at most this late: the default of `keys.timeout`.
const LONGEST_FETCH: Duration = Duration::from_secs(5);

/// The different configurations of the filter.
fn distinct(observed: &Observed) -> BTreeSet<&str> {
    let json = observed.filters.iter().filter_map(|filter| match &filter.body {
        Body::Wasm(json) => Some(json.as_str()),
        Body::Missing(_) => None,
    });
    json.collect()
}

fn chains(count: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} filter chain{plural}")
}

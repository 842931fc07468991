//! Two clusters with the same issuer, distinguished by the kid.

use super::{HELD, START, UNAVAILABLE, UNKNOWN_KEY, is_about, key, seconds, set, status, token};
use crate::support::{Core, get, good, ok};
use envoy_test::SigningKey;
use envoy_test::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER};
use sa_authn::callout::{Callout, Reply};
use sa_authn::denial::Reason;
use serde_json::{Value, json};
use std::ops::{Deref, DerefMut};

/// The core, and the unanswered calls to both clusters.
struct Clusters {
    core: Core,
    open: Vec<Callout>,
}

#[test]
fn kid_selects_the_cluster_if_two_share_an_iss() {
    let (mut core, east, west) = both();
    assert_eq!(caller(&mut core, &east), "east");
    assert_eq!(caller(&mut core, &west), "west");
    assert_eq!(core.by(&key()), UNKNOWN_KEY);
}

#[test]
fn outage_of_one_cluster_does_not_affect_callers_of_the_other() {
    let (east, west) = (key(), key());
    let mut core = Clusters::new(&config());
    core.answer("east", || ok(set(&[&east])));
    assert!(core.by(&east).passes(), "during the first fetch from the other cluster");
    assert_eq!(core.by(&west), HELD);
    for _ in 0..10 {
        core.answer("west", || status(500));
        assert!(core.by(&east).passes());
        core.wait(seconds(61));
        core.answer("east", || ok(set(&[&east])));
    }
    core.answer("west", || status(500));
    assert_eq!(core.by(&west), UNAVAILABLE);
    core.wait(seconds(61));
    core.answer("west", || ok(set(&[&west])));
    assert_eq!(caller(&mut core, &west), "west");
}

#[test]
fn key_published_by_both_clusters_is_an_internal_error() {
    let (shared, east) = (key(), key());
    let mut core = Clusters::new(&config());
    core.answer("east", || ok(set(&[&shared, &east])));
    core.answer("west", || ok(set(&[&shared])));
    let denial = core.denial_of(&shared);
    assert_eq!(denial.reason(), Reason::Internal);
    assert_eq!(denial.detail(), r#"issuers "east" and "west" publish the same key"#);
    assert_eq!(caller(&mut core, &east), "east");
}

#[test]
fn signature_selects_the_cluster_if_both_use_one_kid() {
    let (east, west) = (key(), key());
    let mut core = Clusters::new(&config());
    let mut renamed = west.jwk();
    renamed["kid"] = json!(east.kid());
    core.answer("east", || ok(set(&[&east])));
    core.answer("west", || ok(json!({ "keys": [renamed] }).to_string()));
    assert_eq!(caller(&mut core, &east), "east");
    let kid = json!(east.kid());
    let token = good().issued_at(START).lifetime(3600).header("kid", kid).sign(&west);
    let finished = core.judge(&get("/", &token)).expect("a verdict");
    assert_eq!(finished.caller.expect("a caller").issuer_name().as_ref(), "west");
}

#[test]
fn unknown_kid_is_fetched_from_both_clusters_before_it_is_rejected() {
    let (mut core, east, west) = both();
    core.wait(seconds(5));
    let mut request = core.held_by(&key());
    let calls = core.calls();
    let mut clusters: Vec<_> = calls.iter().map(|call| call.cluster.as_str()).collect();
    clusters.sort_unstable();
    assert_eq!(clusters, ["east", "west"]);
    for call in &calls {
        let keys = if call.cluster == "east" { set(&[&east]) } else { set(&[&west]) };
        core.reply(call, ok(keys));
    }
    assert_eq!(request.wakes(&mut core), UNKNOWN_KEY);
}

#[test]
fn new_key_of_either_cluster_is_accepted_on_its_first_request() {
    for cluster in ["east", "west"] {
        let (mut core, east, west) = both();
        core.wait(seconds(5));
        let new = key();
        let mut request = core.held_by(&new);
        for call in core.calls() {
            let old = if call.cluster == "east" { &east } else { &west };
            let keys = if call.cluster == cluster { set(&[old, &new]) } else { set(&[old]) };
            core.reply(&call, ok(keys));
        }
        assert!(request.wakes(&mut core).passes(), "{cluster}");
        assert_eq!(caller(&mut core, &new), cluster);
    }
}

#[test]
fn known_kids_cause_no_fetch_from_the_other_cluster() {
    let (mut core, east, west) = both();
    for _ in 0..20 {
        core.wait(seconds(5));
        assert!(core.by(&east).passes());
        assert!(core.by(&west).passes());
        assert!(core.is_quiet());
    }
}

#[test]
fn known_kids_do_not_use_the_refetch_limit_of_the_other_cluster() {
    let (mut core, east, west) = both();
    for _ in 0..4 {
        core.wait(seconds(2));
        assert!(core.by(&east).passes());
        core.answer("west", || ok(set(&[&west])));
    }
    core.wait(seconds(2));
    let new = key();
    let mut request = core.held_by(&new);
    core.answer("west", || ok(set(&[&west, &new])));
    core.answer("east", || ok(set(&[&east])));
    assert!(request.wakes(&mut core).passes());
}

/// A paused request resumes with the keys of any issuer that may have its kid.
#[test]
fn keys_of_either_cluster_resume_a_paused_request() {
    for cluster in ["east", "west"] {
        let (mut core, east, west) = both();
        core.wait(seconds(5));
        let new = key();
        let mut request = core.held_by(&new);
        let calls = core.calls();
        let call = calls.iter().find(|call| call.cluster == cluster).expect("a call to each");
        let old = if cluster == "east" { &east } else { &west };
        core.reply(call, ok(set(&[old, &new]))).expect("settled");
        assert!(request.wakes(&mut core).passes(), "{cluster}");
    }
}

#[test]
fn each_cluster_has_its_own_backoff() {
    let mut core = Clusters::new(&config());
    for _ in 0..6 {
        core.answer("west", || status(500));
        core.wait(seconds(61));
    }
    core.answer("east", || status(500));
    assert!(is_about(core.until_next(), seconds(1)), "{:?}", core.until_next());
}

#[test]
fn issuers_with_different_iss_are_independent() {
    let mut config = config();
    config["issuers"][1]["issuer"] = json!("https://west.example");
    let (east, west) = (key(), key());
    let mut core = Clusters::new(&config);
    core.answer("east", || ok(set(&[&east, &west])));
    core.answer("west", || ok(set(&[&east, &west])));
    core.wait(seconds(5));
    assert_eq!(caller(&mut core, &east), "east");
    assert_eq!(caller(&mut core, &west), "east", "the iss selects the issuer");
    core.held_by(&key());
    assert_eq!(core.call().cluster, "east");
}

fn config() -> Value {
    let issuer = |name: &str| {
        json!({
            "name": name,
            "issuer": DEFAULT_ISSUER,
            "audiences": [DEFAULT_AUDIENCE],
            "keys": { "jwks": { "cluster": name, "authority": "api", "path": "/openid/v1/jwks" } },
        })
    };
    json!({ "issuers": [issuer("east"), issuer("west")] })
}

/// The core right after the keys of both clusters were fetched.
fn both() -> (Clusters, SigningKey, SigningKey) {
    let (mut core, east, west) = (Clusters::new(&config()), key(), key());
    core.answer("east", || ok(set(&[&east])));
    core.answer("west", || ok(set(&[&west])));
    (core, east, west)
}

fn caller(core: &mut Core, key: &SigningKey) -> String {
    let finished = core.judge(&get("/", &token(key))).expect("a verdict");
    finished.caller.expect("a caller").issuer_name().to_string()
}

// === impl Clusters ===

impl Clusters {
    fn new(config: &Value) -> Self {
        Self { core: Core::at(START, config), open: Vec::new() }
    }

    /// Answers the calls to one cluster; calls to the other stay unanswered.
    fn answer(&mut self, cluster: &str, reply: impl Fn() -> Reply) {
        self.open.extend(self.core.calls());
        for call in self.open.extract_if(.., |call| call.cluster == cluster) {
            self.core.reply(&call, reply());
        }
    }
}

impl Deref for Clusters {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl DerefMut for Clusters {
    fn deref_mut(&mut self) -> &mut Core {
        &mut self.core
    }
}

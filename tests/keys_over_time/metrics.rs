//! Metrics of key fetches.

use super::{START, core, key, seconds, set, token};
use crate::support::{Core, discovery_document, ok};
use envoy_test::token::DEFAULT_ISSUER;
use sa_authn::callout::Reply;
use serde_json::json;

/// Answers the call that is due, and returns the metrics that changed, in alphabetical order.
fn counted(core: &mut Core, reply: Reply) -> Vec<(String, u64)> {
    let call = core.call();
    core.reply(&call, reply).expect("a call in flight");
    core.counts()
}

#[test]
fn rate_limited_refetches_are_counted() {
    let mut core = core(json!({}));
    core.publish(&set(&[&key()]));
    for _ in 0..5 {
        core.wait(seconds(2));
        core.bearer(&token(&key()));
        core.publish(&set(&[&key()]));
    }
    // A burst of three, then one per `minRefetchInterval` (10 s).
    const RATE_LIMITED: &str = "sa_authn.key_fetches.rate_limited.local";
    assert_eq!(Core::counted(&core.counts(), RATE_LIMITED), 2);
    assert_eq!(Core::counted(&core.counts(), RATE_LIMITED), 0);
}

#[test]
fn fetch_metrics_have_outcome_key_count_and_time() {
    let mut core = core(json!({}));
    assert_eq!(counted(&mut core, ok(discovery_document(DEFAULT_ISSUER))), [], "the keys follow");
    let keys = set(&[&key(), &key()]);
    let expected = [
        ("sa_authn.key_fetches.success.local".to_owned(), 1),
        ("sa_authn.keys.count.local".to_owned(), 2),
        ("sa_authn.keys.fetched_at.local".to_owned(), START),
    ];
    assert_eq!(counted(&mut core, ok(keys)), expected);
    core.wait(seconds(600));
    let failed = ("sa_authn.key_fetches.failure.local".to_owned(), 1);
    assert_eq!(counted(&mut core, Reply::Reset), [failed], "the cached keys remain");
}

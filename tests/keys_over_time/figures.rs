//! What the operator is told of fetches: how each ended, and since when there are how many keys.

use super::{START, core, key, seconds, set, token};
use crate::support::{Core, discovery_document, ok};
use envoy_test::token::DEFAULT_ISSUER;
use sa_authn::callout::Reply;
use sa_authn::metrics::{Change, Metrics};
use serde_json::json;

/// Answers the call that is due, and says what is counted of it, in alphabetical order.
fn counted(core: &mut Core, reply: Reply) -> Vec<(String, u64)> {
    let call = core.authenticator.poll(core.now).expect("a call");
    let settled = core.reply(&call, reply).expect("a cache that waits for it");
    let mut metrics = Metrics::default();
    metrics.fetched(&settled, core.now);
    let mut changes: Vec<_> = metrics
        .take()
        .into_iter()
        .map(|change| match change {
            Change::Count(name, more) => (name, more),
            Change::Level(name, level) => (name, level),
            Change::Shift(..) => panic!("{change:?}"),
        })
        .collect();
    changes.sort();
    changes
}

#[test]
fn unknown_kids_that_are_denied_a_fetch_are_counted() {
    let mut core = core(json!({}));
    core.publish(&set(&[&key()]));
    for _ in 0..5 {
        core.wait(seconds(2));
        core.bearer(&token(&key()));
        core.publish(&set(&[&key()]));
    }
    // A burst of three, then one per `minRefetchInterval` (10 s).
    assert_eq!(core.authenticator.take_rationed(), [("local".into(), 2)]);
    assert_eq!(core.authenticator.take_rationed(), []);
    let mut metrics = Metrics::default();
    metrics.rationed("local", 2);
    let expected = Change::Count("sa_authn.key_fetches.rationed.local".to_owned(), 2);
    assert_eq!(metrics.take(), [expected]);
}

#[test]
fn a_fetch_is_counted_by_its_end_and_keys_that_came_are_counted_and_dated() {
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
    assert_eq!(counted(&mut core, Reply::Reset), [failed], "the keys of before are still there");
}

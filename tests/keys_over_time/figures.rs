//! What the operator is told of fetches: how each ended, and since when there are how many keys.

use super::{START, core, key, seconds, set};
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

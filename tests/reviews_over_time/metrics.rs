//! Metrics of reviews, cache lookups and requests that passed without a review.

use super::{REVOKED, World, created, gone, review, verifying};
use sa_authn::callout::Reply;
use serde_json::json;

/// The changes of the metrics with these prefixes since the last call.
fn counts(world: &mut World, prefixes: &[&str]) -> Vec<(String, u64)> {
    let mut counts = world.core.counts();
    counts.retain(|(name, _)| {
        prefixes.iter().any(|prefix| name.starts_with(&format!("sa_authn.{prefix}")))
    });
    counts
}

fn named(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
    counts.iter().map(|(name, count)| (format!("sa_authn.{name}"), *count)).collect()
}

#[test]
fn reviews_are_counted_by_outcome() {
    let mut world = verifying(json!({}));
    let (one, other) = (world.caller("one"), world.caller("other"));
    for (caller, reply, outcome) in [
        (world.caller("one"), one.approved(), "accepted"),
        (world.caller("two"), gone(), "refused"),
        (world.caller("three"), created(&review(&other.status())), "mismatch"),
        (world.caller("four"), Reply::Reset, "unavailable"),
    ] {
        world.held(&caller);
        world.answer(reply);
        let counted = counts(&mut world, &["reviews."]);
        assert_eq!(counted, named(&[(&format!("reviews.{outcome}.local"), 1)]));
    }
}

#[test]
fn cache_lookups_are_counted_by_result_and_zero_counts_are_omitted() {
    let mut world = verifying(json!({}));
    let (good, bad) = (world.caller("good"), world.caller("bad"));
    world.admit(&good);
    world.answered(&bad, gone());
    world.core.counts();
    assert!(world.passes(&good));
    assert_eq!(world.by(&bad), REVOKED);
    let expected = [
        ("review_cache.accepted", 1),
        ("review_cache.refused", 1),
        // The verified signature of a rejected token is cached too.
        ("token_cache.hit", 2),
    ];
    assert_eq!(counts(&mut world, &["review_cache.", "token_cache."]), named(&expected));
}

#[test]
fn unreviewed_requests_are_counted_separately() {
    let mut world = verifying(json!({ "onOutage": "acceptVerified" }));
    let caller = world.caller("api");
    let mut request = world.held(&caller);
    let ended = world.answer(Reply::Reset);
    assert!(request.reviewed(&mut world.core, &ended).passes());
    let expected = [("requests.allowed.none.none.local", 1), ("unreviewed.local", 1)];
    assert_eq!(counts(&mut world, &["requests.", "unreviewed."]), named(&expected));
}

//! What the operator is told of reviews: how each ended, what was remembered, and who passed without one.

use super::{REVOKED, World, created, gone, review, verifying};
use sa_authn::callout::Reply;
use serde_json::json;

/// What is counted since the last time of metrics whose names begin like one of these.
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
fn each_answer_to_a_review_is_counted_by_what_it_says() {
    let mut world = verifying(json!({}));
    let (one, stranger) = (world.caller("one"), world.caller("stranger"));
    for (caller, reply, outcome) in [
        (world.caller("one"), one.vouched(), "accepted"),
        (world.caller("two"), gone(), "refused"),
        (world.caller("three"), created(&review(&stranger.status())), "mismatch"),
        (world.caller("four"), Reply::Reset, "unavailable"),
    ] {
        world.held(&caller);
        world.answer(reply);
        let counted = counts(&mut world, &["reviews."]);
        assert_eq!(counted, named(&[(&format!("reviews.{outcome}.local"), 1)]));
    }
}

#[test]
fn look_ups_are_counted_by_what_they_found_and_what_found_nothing_is_left_out() {
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
        // That its signature is genuine is known of a refused token too.
        ("token_cache.hit", 2),
    ];
    assert_eq!(counts(&mut world, &["review_cache.", "token_cache."]), named(&expected));
}

#[test]
fn who_passes_unreviewed_is_counted_apart() {
    let mut world = verifying(json!({ "onOutage": "acceptVerified" }));
    let caller = world.caller("api");
    let mut request = world.held(&caller);
    let ended = world.answer(Reply::Reset);
    assert!(request.reviewed(&mut world.core, &ended).passes());
    let expected = [("requests.allowed.none.none.local", 1), ("unreviewed.local", 1)];
    assert_eq!(counts(&mut world, &["requests.", "unreviewed."]), named(&expected));
}

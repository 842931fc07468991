//! Metrics and log lines of access reviews.

use super::{World, allowed, created, denied, non_resource, world};
use sa_authn::callout::Reply;
use serde_json::json;

fn counts(world: &mut World) -> Vec<(String, u64)> {
    let mut counts = world.core.counts();
    counts.retain(|(name, _)| name.starts_with("sa_authn.access_"));
    counts
}

fn named(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
    counts.iter().map(|(name, count)| (format!("sa_authn.{name}"), *count)).collect()
}

#[test]
fn reviews_and_cache_lookups_are_counted() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    for (path, reply, outcome) in [
        ("/a", allowed(), "allowed"),
        ("/b", denied(), "denied"),
        ("/c", created(&json!({ "allowed": true, "denied": true })), "denied"),
        ("/d", Reply::Reset, "unavailable"),
    ] {
        world.answered(path, &token, reply);
        let counts = counts(&mut world);
        let expected = [("access_cache.miss", 1), (&*format!("access_reviews.{outcome}.local"), 1)];
        assert_eq!(counts, named(&expected), "{path}");
    }
    world.get("/a", &token);
    world.get("/b", &token);
    assert_eq!(
        counts(&mut world),
        named(&[("access_cache.allowed", 1), ("access_cache.denied", 1)])
    );
}

#[test]
fn state_of_the_api_server_is_logged_when_it_changes() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    let mut lines = |reply: Reply| {
        world.log();
        world.wait(super::seconds(1));
        world.answered("/x", &token, reply);
        let mut lines = world.log();
        lines.retain(|line| line.contains("SubjectAccessReview"));
        lines
    };
    let down = "issuer \"local\": SubjectAccessReview unavailable: no answer (connection reset)";
    assert_eq!(lines(Reply::Reset), [down]);
    assert_eq!(lines(Reply::Reset), Vec::<String>::new());
    assert_eq!(lines(allowed()), ["issuer \"local\": SubjectAccessReview available"]);
}

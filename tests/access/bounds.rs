//! Limits of calls, memory and paused requests.

use super::{
    HELD, OVERLOADED, UNAVAILABLE, allowed, denied, non_resource, seconds, world, world_of,
};
use sa_authn::callout::Reply;
use serde_json::json;

#[test]
fn requests_with_the_same_question_share_one_review() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    let mut requests: Vec<_> = (0..10).map(|_| world.held("GET", "/metrics", &token)).collect();
    let call = world.call();
    requests.push(world.held("GET", "/metrics", &token));
    assert!(world.is_quiet());
    world.core.answer_access(&call, allowed()).unwrap();
    for request in &mut requests {
        assert!(request.wakes(&mut world.core).passes());
    }
    assert!(world.core.paused().is_empty());
}

/// Sends 10,000 requests of 50 callers over five paths within 250 s, and answers each question with yes. `token` says which
/// of its two tokens a caller sends with its nth request. Returns the number of questions.
fn reviews_of_ten_thousand_requests(token: impl Fn(u64) -> usize) -> usize {
    let mut world = world(&non_resource());
    let mut tokens: Vec<Vec<String>> = Vec::new();
    for at in 0..50 {
        let account = format!("sa-{at}");
        tokens.push((0..2).map(|_| world.token(&account)).collect());
    }
    let mut reviews = 0;
    for at in 0..10_000u64 {
        let caller = at as usize % 50;
        let bearer = &tokens[caller][token(at / 50)];
        let mut request =
            world.core.request(&super::request("GET", &format!("/p/{}", (at / 50) % 5), bearer));
        if request.arrives(&mut world.core) == HELD {
            for call in world.core.calls() {
                reviews += 1;
                world.core.answer_access(&call, allowed()).unwrap();
            }
            assert!(request.wakes(&mut world.core).passes());
        }
        // 10,000 requests take 250 of the 300 seconds.
        world.wait(std::time::Duration::from_millis(25));
    }
    reviews
}

#[test]
fn ten_thousand_requests_of_fifty_callers_over_five_paths_cost_250_reviews() {
    assert_eq!(reviews_of_ten_thousand_requests(|_| 0), 250);
}

/// The credential id is a part of the question, so each token costs one review for each path, and no more.
#[test]
fn callers_whose_tokens_rotate_cost_250_reviews_for_each_of_their_two_tokens() {
    assert_eq!(reviews_of_ten_thousand_requests(|nth| usize::from(nth >= 100)), 500);
}

#[test]
fn one_caller_uses_at_most_half_of_the_reviews() {
    let mut world = world_of(&non_resource(), json!({}), json!({ "limits": { "maxReviews": 8 } }));
    let (one, other) = ([world.token("one"), world.token("one")], world.token("other"));
    assert_ne!(one[0], one[1]);
    let mut outcomes: Vec<_> =
        (0..20).map(|at| world.get(&format!("/{at}"), &one[at % 2])).collect();
    assert!(outcomes.drain(..4).all(|outcome| outcome == HELD));
    assert!(outcomes.iter().all(|outcome| *outcome == OVERLOADED));
    assert_eq!(world.get("/a", &other), HELD);
    assert_eq!(world.get("/b", &other), HELD);
    // A quarter is reserved for accesses that were allowed before.
    assert_eq!(world.get("/c", &other), OVERLOADED);
    assert_eq!(world.core.calls().len(), 6);
}

#[test]
fn flood_of_distinct_paths_stays_within_the_bounds_and_evicts_no_allowed_access() {
    let mut world =
        world_of(&non_resource(), json!({}), json!({ "limits": { "tokenCacheEntries": 100 } }));
    let (steady, flood) = (world.token("steady"), world.token("flood"));
    assert!(world.answered("/metrics", &steady, allowed()).passes());
    let (mut calls, mut most) = (0, 0);
    for at in 0..PATHS {
        let outcome = world.get(&format!("/{at}"), &flood);
        assert!(outcome == HELD || outcome == OVERLOADED, "{outcome:?}");
        most = most.max(world.core.paused().len());
        if at % 100 == 99 {
            for call in world.core.calls() {
                calls += 1;
                world.core.answer_access(&call, denied()).unwrap();
            }
            while world.core.paused().are_resuming() {
                world.core.calls();
            }
        }
        if at % 1000 == 0 {
            assert!(world.get("/metrics", &steady).passes());
        }
    }
    assert_eq!((calls, most), (PATHS / 100 * 32, 32));
    assert!(world.core.paused().is_empty());
}

#[test]
fn paused_request_is_denied_at_its_deadline_and_unanswered_review_frees_its_place() {
    let mut world = world_of(&non_resource(), json!({}), json!({ "limits": { "maxReviews": 2 } }));
    let token = world.token("api");
    let mut request = world.held("GET", "/a", &token);
    world.call();
    assert_eq!(world.get("/b", &token), OVERLOADED);
    assert_eq!(request.gives_up(&mut world.core), UNAVAILABLE);
    world.wait(seconds(10));
    assert_eq!(world.get("/b", &token), HELD);
    let call = world.call();
    world.core.answer_access(&call, Reply::NotSent).unwrap();
}

#[test]
fn reply_to_an_abandoned_review_is_ignored() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    let request = world.held("GET", "/a", &token);
    let call = world.call();
    world.core.hangs_up(request.id);
    assert!(world.core.answer_access(&call, allowed()).is_some());
    assert!(world.core.answer_access(&call, denied()).is_none());
    assert!(world.get("/a", &token).passes());
}

/// 100,000 take half a minute without optimizations.
const PATHS: u32 = 20_000;

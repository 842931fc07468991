//! Several issuers with separate reviews, and key rotations while approvals are cached.

use super::{Caller, HELD, REVOKED, START, World, gone, plan, seconds, verifying};
use crate::support::{self, Core, Outcome, good, with};
use envoy_test::{KeyKind, SigningKey, jwks};
use sa_authn::callout::Reply;
use sa_authn::denial::Reason;
use serde_json::{Value, json};

const SECOND: &str = "https://second.example";
const THIRD: &str = "https://third.example";

/// `local` is verified and reviewed, `second` only reviewed, `third` only verified.
fn three(key: &SigningKey) -> Value {
    let mut config = support::inline(&[key]);
    let issuer = |name: &str, issuer: &str| {
        let audiences = [envoy_test::token::DEFAULT_AUDIENCE];
        json!({ "name": name, "issuer": issuer, "audiences": audiences })
    };
    let review =
        |cluster: &str, ttl: &str| with(plan(), json!({ "cluster": cluster, "cacheTtl": ttl }));
    config["issuers"][0]["tokenReview"] = review("first", "1m");
    let mut second = issuer("second", SECOND);
    second["tokenReview"] = with(review("second", "10s"), json!({ "use": "instead" }));
    let third_key = SigningKey::generate(KeyKind::P256);
    let mut third = issuer("third", THIRD);
    third["keys"] = json!({ "inline": jwks(&[&third_key]) });
    config["issuers"].as_array_mut().unwrap().extend([second, third]);
    config
}

impl World {
    fn of(&self, issuer: &str) -> Caller {
        self.holder(good().issuer(issuer).issued_at(START).lifetime(3600))
    }
}

#[test]
fn tokens_are_reviewed_with_the_settings_of_their_issuer() {
    let mut world = verifying(json!({}));
    world.core = Core::at(START, &three(&world.key));
    let (first, second) = (world.caller("api"), world.of(SECOND));
    let mut requests = [world.held(&first), world.held(&second)];
    let calls = world.core.calls();
    let clusters: Vec<_> = calls.iter().map(|call| call.cluster.as_str()).collect();
    assert_eq!(clusters, ["first", "second"]);
    for (at, caller) in [&first, &second].into_iter().enumerate() {
        let settled = world.core.answer_review(&calls[at], caller.approved());
        assert_eq!(settled.settled.name, ["local", "second"][at]);
        assert!(requests[at].reviewed(&mut world.core, &settled).passes());
    }
    world.wait(seconds(10));
    assert!(world.passes(&first), "cached for a minute");
    assert_eq!(world.by(&second), HELD, "cached for ten seconds");
    let third = world.of(THIRD);
    assert_eq!(world.by(&third), Outcome::Refused(Reason::UnknownKey));
}

#[test]
fn outage_of_one_issuer_does_not_affect_another() {
    let mut world = verifying(json!({}));
    let mut config = three(&world.key);
    config["issuers"][0]["tokenReview"]["onOutage"] = json!("acceptVerified");
    world.core = Core::at(START, &config);
    let (first, second) = (world.caller("api"), world.of(SECOND));
    assert!(world.answered(&first, Reply::Reset).passes());
    assert_eq!(world.answered(&second, Reply::Reset), super::UNAVAILABLE);
    world.admit(&second);
    // The outage of the first issuer continues.
    let (other, second) = (world.caller("other"), second_of(&world));
    assert!(world.passes(&other) && world.is_quiet());
    assert_eq!(world.answered(&second, gone()), REVOKED);
    assert!(world.passes(&other) && world.is_quiet());
}

#[test]
fn issuers_with_the_same_api_server_share_its_outage() {
    let mut world = verifying(json!({}));
    let mut config = three(&world.key);
    let third_key = SigningKey::generate(KeyKind::P256);
    let plan = with(plan(), json!({ "cluster": "first", "onOutage": "acceptVerified" }));
    config["issuers"][0]["tokenReview"] = plan.clone();
    config["issuers"][2]["tokenReview"] = plan;
    config["issuers"][2]["keys"] = json!({ "inline": jwks(&[&third_key]) });
    world.core = Core::at(START, &config);
    let first = world.caller("api");
    assert!(world.answered(&first, Reply::Reset).passes());
    world.key = third_key;
    let third = world.of(THIRD);
    assert!(world.passes(&third) && world.is_quiet());
}

fn second_of(world: &World) -> Caller {
    let token = good().claim("jti", json!("another")).issuer(SECOND);
    world.holder(token.issued_at(START).lifetime(3600))
}

/// A core whose keys come from discovery, with the first key published.
fn discovering() -> World {
    let mut world = verifying(json!({}));
    let mut config = support::discovered();
    config["issuers"][0]["tokenReview"] = with(plan(), json!({ "cacheTtl": "1h" }));
    world.core = Core::at(START, &config);
    world.core.publish(&jwks(&[&world.key]).to_string());
    world
}

/// Waits for the refresh of the keys, and publishes these.
fn rotate(world: &mut World, keys: &[&SigningKey]) {
    world.wait(seconds(600));
    let calls = world.core.calls();
    assert_eq!(calls.len(), 1, "the refresh: {calls:?}");
    let document = support::discovery_document(envoy_test::token::DEFAULT_ISSUER);
    let published = jwks(keys).to_string();
    let body = if calls[0].path.ends_with("jwks") { published.clone() } else { document };
    world.core.reply(&calls[0], support::ok(body));
    world.core.publish(&published);
}

#[test]
fn new_key_does_not_invalidate_approvals() {
    let mut world = discovering();
    let caller = world.caller("api");
    world.admit(&caller);
    let new = SigningKey::generate(KeyKind::P256);
    let old = world.key.clone();
    rotate(&mut world, &[&new, &old]);
    assert!(world.passes(&caller), "verified again, but not reviewed again");
    assert!(world.is_quiet());
    world.key = new;
    let fresh = world.caller("api");
    assert_eq!(world.by(&fresh), HELD, "a new token needs a review");
}

#[test]
fn removed_key_invalidates_its_tokens_despite_cached_approvals() {
    let mut world = discovering();
    let caller = world.caller("api");
    world.admit(&caller);
    let new = SigningKey::generate(KeyKind::P256);
    rotate(&mut world, &[&new]);
    assert_eq!(world.by(&caller), Outcome::Refused(Reason::UnknownKey));
}

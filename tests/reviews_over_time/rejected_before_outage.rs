//! `onOutage: "acceptVerified"`: a token that the API server has rejected does not pass during an outage.

use super::accept_verified::{accepting, in_outage};
use super::{
    Caller, OVERLOADED, REVOKED, World, configured, configured_with, gone, seconds, verifying,
};
use crate::support::Outcome;
use envoy_test::keys::twin;
use sa_authn::callout::Reply;
use sa_authn::denial::Reason;
use serde_json::{Value, json};

fn accepting_within(limits: Value) -> World {
    configured(json!({ "onOutage": "acceptVerified" }), json!({ "limits": limits }))
}

#[test]
fn rejected_token_stays_rejected_for_the_whole_outage() {
    for ttl in ["0s", "30s", "1h"] {
        let mut world = verifying(json!({ "onOutage": "acceptVerified", "cacheTtl": ttl }));
        let (revoked, mismatched) = (world.caller("gone"), world.caller("other"));
        assert_eq!(world.answered(&revoked, gone()), REVOKED);
        let mismatch = Outcome::Refused(Reason::ReviewMismatch);
        assert_eq!(world.answered(&mismatched, revoked.approved()), mismatch);
        world.wait(seconds(60));
        let mut world = in_outage(world);
        for minute in 0..60 {
            assert_eq!(world.by(&revoked), REVOKED, "minute {minute}, cacheTtl {ttl}");
            assert_eq!(world.by(&mismatched), REVOKED, "minute {minute}, cacheTtl {ttl}");
            world.wait(seconds(55));
            // Extend the outage with another failed review.
            let probe = world.caller(&format!("probe-{minute}"));
            assert!(world.answered(&probe, Reply::Reset).passes());
        }
        // The API server accepts the token after all.
        world.wait(seconds(10));
        world.admit(&revoked);
    }
}

#[test]
fn rejected_token_stays_rejected_with_its_second_signature() {
    let mut world = accepting();
    let revoked = world.caller("revoked");
    let twin = Caller { token: twin(&revoked.token).unwrap(), claims: revoked.claims.clone() };
    assert_eq!(world.answered(&revoked, gone()), REVOKED);
    let mut world = in_outage(world);
    assert_eq!(world.by(&twin), REVOKED);
}

#[test]
fn token_that_was_rejected_under_deny_stays_rejected_when_the_configuration_accepts_outages() {
    let mut old = verifying(json!({}));
    let revoked = old.caller("revoked");
    assert_eq!(old.answered(&revoked, gone()), REVOKED);
    let accepts = json!({ "onOutage": "acceptVerified" });
    let mut new = configured_with(old.key.clone(), accepts, json!({}));
    new.core.takes_over(&mut old.core);
    let mut new = in_outage(new);
    assert_eq!(new.by(&revoked), REVOKED);
}

#[test]
fn only_previously_approved_tokens_pass_if_the_rejected_tokens_exceed_the_cache() {
    let mut world = accepting_within(json!({ "tokenCacheEntries": 1000 }));
    let known = world.caller("known");
    world.admit(&known);
    for number in 0..=1000 {
        let rejected = world.caller(&format!("rejected-{number}"));
        assert_eq!(world.answered(&rejected, gone()), REVOKED);
    }
    world.wait(seconds(31));
    let first = world.caller("first");
    assert_eq!(world.answered(&first, Reply::Reset), OVERLOADED);
    let new = world.caller("new");
    let denial = world.denial(&new);
    assert_eq!(denial.reason(), Reason::Overloaded);
    assert_eq!(denial.detail(), "the list of rejected tokens is full (1000 tokens)");
    assert!(world.passes(&known));
}

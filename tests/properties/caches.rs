//! Caches do not change verdicts: caches off, cold, warm, and full of other tokens.

use super::Dice;
use crate::support::{Core, Outcome, get, good};
use envoy_test::scenarios::{Expect, Group, World};
use envoy_test::{KeyKind, Pairs, SigningKey, jwks};
use serde_json::{Value, json};

fn with_cache(config: &Value, entries: usize) -> Value {
    let mut config = config.clone();
    config["limits"]["tokenCacheEntries"] = json!(entries);
    config
}

fn requests(group: &Group) -> Vec<(&'static str, Pairs)> {
    let ours = |expect: &Expect| !matches!(expect, Expect::EnvoyRefuses(_));
    let scenarios = group.scenarios.iter().filter(|scenario| ours(&scenario.expect));
    scenarios.map(|scenario| (scenario.name, scenario.request.header_map())).collect()
}

fn judged(core: &mut Core, requests: &[(&'static str, Pairs)]) -> Vec<Outcome> {
    requests.iter().map(|(_, headers)| core.outcome(headers)).collect()
}

/// In random order, so that each request finds other tokens cached.
fn judged_in_any_order(
    core: &mut Core,
    requests: &[(&'static str, Pairs)],
    dice: &mut Dice,
) -> Vec<Outcome> {
    let mut order: Vec<_> = (0..requests.len()).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, dice.below(at + 1));
    }
    let mut outcomes: Vec<_> =
        order.into_iter().map(|at| (at, core.outcome(&requests[at].1))).collect();
    outcomes.sort_by_key(|(at, _)| *at);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

#[test]
fn verdicts_of_the_scenario_table_do_not_depend_on_caches() {
    let world = World::around(SigningKey::generate(KeyKind::Rsa2048));
    let published = jwks(&world.published().each_ref()).to_string();
    // ES256 is the fastest to verify; these tokens only fill the caches.
    let strays: Vec<_> = (0..40)
        .map(|n| get("/", &good().claim("jti", json!(format!("stray-{n}"))).sign(&world.es256)))
        .collect();
    let (mut dice, mut compared) = (Dice(7), 0);
    for group in world.groups() {
        let requests = requests(&group);
        let core = |entries| {
            let mut core = Core::new(&with_cache(&group.config, entries));
            core.publish(&published);
            core
        };
        let expected = judged(&mut core(0), &requests);
        let (mut roomy, mut crowded) = (core(1000), core(8));
        let cold = judged(&mut roomy, &requests);
        let warm = judged_in_any_order(&mut roomy, &requests, &mut dice);
        strays.iter().for_each(|stray| drop(crowded.outcome(stray)));
        let full = judged(&mut crowded, &requests);
        for (at, (name, _)) in requests.iter().enumerate() {
            for (which, outcomes) in [("cold", &cold), ("warm", &warm), ("full", &full)] {
                let which = format!("{}, {name}: {which}", group.name);
                assert_eq!(outcomes[at], expected[at], "{which}");
                compared += 1;
            }
        }
    }
    assert!(compared > 600, "only {compared} verdicts");
}

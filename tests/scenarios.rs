//! The scenario table with the core, without Envoy.

use crate::support::Core;
use envoy_test::scenarios::{Expect, Group, Scenario, World};
use envoy_test::{KeyKind, Pairs, SigningKey, jwks};
use sa_authn::authz::HeaderEdits;
use sa_authn::exchange::Finished;
use sa_authn::verdict::Verdict;

#[test]
fn every_scenario_has_the_expected_verdict_in_the_core() {
    let world = World::around(SigningKey::generate(KeyKind::Rsa2048));
    let published = jwks(&world.published().each_ref()).to_string();
    let mut failures = Vec::new();
    for group in world.groups() {
        let mut core = Core::new(&group.config);
        core.publish(&published);
        for scenario in &group.scenarios {
            if let Err(error) = check(scenario, &mut core) {
                failures.push(format!("{}: {}: {error}", group.name, scenario.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Failures name the row, so its name must identify it.
#[test]
fn scenario_names_are_unique_in_their_group() {
    let world = World::around(SigningKey::generate(KeyKind::Rsa2048));
    for Group { name, scenarios, .. } in world.groups() {
        let mut names: Vec<_> = scenarios.iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "in {name}"));
    }
}

fn check(scenario: &Scenario, core: &mut Core) -> Result<(), String> {
    let sent = scenario.request.header_map();
    let verdict = match &scenario.expect {
        Expect::EnvoyRefuses(_) => return Ok(()),
        _ => core.judge(&sent),
    };
    let Some(Finished { verdict, .. }) = verdict else { return Err("held".to_owned()) };
    match (&scenario.expect, verdict) {
        (Expect::Passes(seen), Verdict::Allow(_, edits) | Verdict::Shadow(_, edits)) => {
            let reached = edited(sent, &edits);
            seen.iter().try_for_each(|(name, value)| check_seen(&reached, name, value.as_deref()))
        }
        (Expect::Refused(reason), Verdict::Deny(denial)) if denial.reason().code() == *reason => {
            let detail = denial.detail();
            let breaks_a_line = detail.chars().any(char::is_control);
            if breaks_a_line { Err(format!("breaks a log line: {detail:?}")) } else { Ok(()) }
        }
        (_, Verdict::Deny(denial)) => {
            Err(format!("denied as {}: {}", denial.reason().code(), denial.detail()))
        }
        (_, _) => Err("passes".to_owned()),
    }
}

/// The headers that the upstream receives.
fn edited(mut headers: Pairs, edits: &HeaderEdits) -> Pairs {
    headers.retain(|(name, _)| !edits.removed().any(|removed| removed == name.as_bytes()));
    for (name, value) in edits.set() {
        headers.retain(|(known, _)| known != name);
        headers.push((name.to_string(), value.to_vec()));
    }
    headers
}

fn check_seen(headers: &Pairs, name: &str, expected: Option<&str>) -> Result<(), String> {
    let found: Vec<_> = headers
        .iter()
        .filter(|(known, _)| known == name)
        .map(|(_, value)| value.as_slice())
        .collect();
    let expected: Vec<_> = expected.into_iter().map(str::as_bytes).collect();
    if found == expected { Ok(()) } else { Err(format!("{name} occurs {} times", found.len())) }
}

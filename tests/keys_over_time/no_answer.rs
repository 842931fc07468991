//! A key server that does not answer, and its return.

use super::{HELD, UNAVAILABLE, core, is_about, key, millis, of_envoy, seconds, set, status};
use crate::support::Core;
use sa_authn::callout::Reply;
use serde_json::{Value, json};
use std::time::Duration;

/// The replies for a server that does not answer.
fn silence() -> Vec<Reply> {
    vec![
        Reply::Reset,
        Reply::NotSent,
        of_envoy(
            503,
            "upstream connect error or disconnect/reset before headers. reset reason: overflow",
        ),
        of_envoy(503, "no healthy upstream"),
        of_envoy(504, "upstream request timeout"),
    ]
}

#[test]
fn server_without_an_answer_is_asked_every_2_seconds_for_a_minute_and_then_at_most_every_60() {
    for reply in silence() {
        for has_keys in [false, true] {
            let (mut core, start) = failing(has_keys);
            let mut last = seconds(2);
            while core.now.since(start) < seconds(3600) {
                core.fails(reply.clone());
                let wait = core.until_next();
                let elapsed = core.now.since(start);
                if elapsed < seconds(60) {
                    assert!(is_about(wait, seconds(2)), "after {elapsed:?}: {wait:?}");
                } else {
                    assert!(
                        wait >= last.mul_f64(0.9) && wait <= seconds(60),
                        "{elapsed:?}: {wait:?}"
                    );
                }
                last = wait;
                core.wait(wait - millis(1));
                assert!(core.is_quiet());
                core.wait(millis(1));
            }
            assert!(is_about(last, seconds(60)), "{reply:?}: {last:?}");
        }
    }
}

#[test]
fn first_success_comes_within_2_seconds_of_the_return_after_an_outage_below_a_minute() {
    for outage in [1, 5, 20, 59] {
        for has_keys in [false, true] {
            let (mut core, old_start) = failing(has_keys);
            let end = old_start.plus(seconds(outage));
            while core.now < end {
                core.fails(Reply::Reset);
                core.wait_for_next();
            }
            assert!(core.now.since(end) <= seconds(2), "{:?}", core.now.since(end));
            let new = key();
            core.publish(&set(&[&new]));
            assert!(core.by(&new).passes());
        }
    }
}

#[test]
fn unknown_kid_is_paused_and_not_refused_during_an_outage_below_a_minute() {
    let ((mut core, start), new) = (failing(true), key());
    let mut fetches = 0;
    while core.now.since(start) < seconds(58) {
        for call in core.calls() {
            fetches += 1;
            core.reply(&call, Reply::Reset);
        }
        assert!(core.holds(&new), "after {:?}", core.now.since(start));
        core.wait(millis(100));
    }
    // The requests caused no attempt.
    assert!((28..=33).contains(&fetches), "{fetches}");
}

/// Seen in a mesh: a refresh failed each 30 s for 86 s, the API server returned, and two seconds later a token of a new
/// key got 503. The first fetch was answered 403, because RBAC was not loaded yet. Each resumed request repeated it at
/// once, so the burst of three was used up within milliseconds, and the next retry was up to a minute away.
#[test]
fn new_key_is_accepted_after_an_outage_of_86_seconds_and_seconds_without_rbac() {
    for unready in [0, 500, 1500, 3000, 4500] {
        let (mut core, _) = failing_with(json!({ "refreshInterval": "30s" }));
        let back = core.now.plus(seconds(86));
        while core.now < back {
            core.calls().iter().for_each(|call| drop(core.reply(call, Reply::Reset)));
            core.wait(millis(100));
        }
        let ready = back.plus(millis(unready));
        core.wait(seconds(2));
        let new = key();
        let mut request = core.held_by(&new);
        let deadline = core.now.plus(seconds(5));
        let outcome = loop {
            for call in core.calls() {
                match core.now < ready {
                    true => drop(core.reply(&call, status(403))),
                    false => core.reply_with_keys(&call, &set(&[&new])),
                }
            }
            match request.wakes(&mut core) {
                HELD if core.now < deadline => core.wait(millis(50)),
                other => break other,
            }
        };
        assert!(outcome.passes(), "RBAC after {unready} ms: {outcome:?}");
    }
}

#[test]
fn paused_requests_do_not_use_the_refetch_limit_within_milliseconds() {
    let (mut core, start) = failing(true);
    let mut requests: Vec<_> = (0..50).map(|_| core.held_by(&key())).collect();
    let mut fetches = 0;
    while core.now.since(start) < millis(1700) {
        for call in core.calls() {
            fetches += 1;
            core.reply(&call, status(403));
        }
        requests.iter_mut().for_each(|request| assert_eq!(request.wakes(&mut core), HELD));
        core.wait(millis(1));
    }
    assert_eq!(fetches, 2, "at 0 s and at 1 s");
}

#[test]
fn unknown_kids_cause_one_attempt_per_interval_in_a_long_outage() {
    let ((mut core, start), new) = (failing(true), key());
    while core.now.since(start) < seconds(900) {
        core.fails(Reply::Reset);
        core.wait_for_next();
    }
    let (mut fetches, mut refused, since) = (0, 0, core.now);
    while core.now.since(since) < seconds(600) {
        refused += usize::from(!core.holds(&new));
        for call in core.calls() {
            fetches += 1;
            core.reply(&call, Reply::Reset);
        }
        core.wait(millis(250));
    }
    assert!((58..=75).contains(&fetches), "{fetches}");
    assert!(refused > 0);
}

/// A core whose next fetch is due, with or without keys.
fn failing(has_keys: bool) -> (Core, sa_authn::time::UnixTime) {
    match has_keys {
        true => failing_with(json!({})),
        false => {
            let core = core(json!({}));
            let now = core.now;
            (core, now)
        }
    }
}

fn failing_with(config: Value) -> (Core, sa_authn::time::UnixTime) {
    let mut core = core(config);
    core.publish(&set(&[&key()]));
    core.wait_for_next();
    let now = core.now;
    (core, now)
}

#[test]
fn requests_without_keys_are_refused_only_after_the_first_minute() {
    let (mut core, start) = failing(false);
    while core.now.since(start) < Duration::from_secs(58) {
        core.fails(Reply::Reset);
        assert!(core.holds(&key()));
        core.wait_for_next();
    }
    while core.now.since(start) < Duration::from_secs(600) {
        core.fails(Reply::Reset);
        core.wait_for_next();
    }
    core.fails(Reply::Reset);
    // The burst of three attempts, at most every 2 s.
    for _ in 0..3 {
        let mut request = core.held_by(&key());
        assert!(core.until_next() <= seconds(2));
        core.wait_for_next();
        core.fails(Reply::Reset);
        core.hangs_up(request.id);
        drop(request.wakes(&mut core));
    }
    assert_eq!(core.by(&key()), UNAVAILABLE);
}

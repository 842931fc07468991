//! A key server that answers and refuses: backoff, `Retry-After`, and the path of the JWKS.

use super::{START, core, is_about, key, millis, of_envoy, retry_after, seconds, set, status};
use crate::support::{Core, discovery_document, ok};
use envoy_test::token::DEFAULT_ISSUER;
use sa_authn::callout::Reply;
use sa_authn::core::Environment;
use sa_authn::denial::Reason;
use serde_json::json;

const DISCOVERY: &str = "/.well-known/openid-configuration";

#[test]
fn refusals_are_repeated_after_1_2_4_up_to_60_seconds_with_and_without_keys() {
    let other = discovery_document("https://other.example");
    for reply in
        [status(401), status(403), status(429), status(500), status(503), status(504), ok(other)]
    {
        for has_keys in [false, true] {
            let mut core = core(json!({}));
            if has_keys {
                core.publish(&set(&[&key()]));
                core.wait_for_next();
            }
            for expected in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
                core.fails(reply.clone());
                let wait = core.until_next();
                assert!(
                    is_about(wait, seconds(expected)),
                    "{reply:?}: {wait:?} instead of {expected} s"
                );
                core.wait(wait - millis(1));
                assert!(core.is_quiet());
                core.wait(millis(1));
            }
        }
    }
}

/// Otherwise a server that answers now and then would be asked every second.
#[test]
fn silence_between_refusals_does_not_reset_the_backoff() {
    let mut core = core(json!({}));
    for _ in 0..6 {
        core.fails(status(500));
        core.wait_for_next();
        core.fails(Reply::Reset);
        core.wait_for_next();
    }
    core.fails(status(500));
    assert!(is_about(core.until_next(), seconds(60)), "{:?}", core.until_next());
}

#[test]
fn retry_after_is_followed_for_at_most_5_minutes() {
    for (header, at_least) in
        [("120", 120), ("300", 300), ("301", 300), ("86400", 300), ("3", 3), (" 7 ", 7)]
    {
        for code in [429, 503, 403] {
            let (mut core, key) = (core(json!({})), key());
            core.fails(retry_after(code, header));
            let wait = core.until_next();
            let most = seconds(at_least) + seconds(at_least) / 8;
            assert!(wait >= seconds(at_least) && wait <= most, "{code} {header:?}: {wait:?}");
            // No request shortens it.
            if at_least > 10 {
                let denial = core.denial_of(&key);
                assert_eq!(denial.reason(), Reason::KeysUnavailable);
                assert_eq!(denial.retry_after(), Some(wait));
                assert_eq!(core.until_next(), wait);
            }
        }
    }
    for header in ["", "soon", "-1", "1.5", "Fri, 27 Nov 2026 12:00:00 GMT", "99999999999999999999"]
    {
        let mut core = core(json!({}));
        core.fails(retry_after(429, header));
        assert!(is_about(core.until_next(), seconds(1)), "{header:?}: {:?}", core.until_next());
    }
}

#[test]
fn retry_after_does_not_shorten_the_backoff() {
    let mut core = core(json!({}));
    for _ in 0..5 {
        core.fails(retry_after(429, "1"));
        core.wait_for_next();
    }
    core.fails(retry_after(429, "1"));
    assert!(is_about(core.until_next(), seconds(32)), "{:?}", core.until_next());
}

#[test]
fn proxies_do_not_return_together_after_a_retry_after() {
    let config = super::discovered(json!({}));
    let waits: std::collections::HashSet<_> = (1..100)
        .map(|seed| {
            let environment = Environment { seed: seed * 0x9e37_79b9, ..Environment::default() };
            let mut proxy = Core::in_environment(environment, START, &config);
            proxy.fails(retry_after(429, "120"));
            proxy.until_next()
        })
        .collect();
    assert!(waits.len() > 30, "{} different waits", waits.len());
}

/// A server's 503 is an answer. Only Envoy's own texts say that there was none.
#[test]
fn status_503_of_the_server_is_an_answer() {
    for (text, wait) in [
        ("", 1),
        ("{\"kind\":\"Status\",\"code\":503}", 1),
        ("apiserver not ready", 1),
        (
            "upstream connect error or disconnect/reset before headers. reset reason: connection timeout",
            2,
        ),
        ("upstream request timeout", 2),
        ("no healthy upstream", 2),
    ] {
        for code in [503, 504] {
            let mut core = core(json!({}));
            core.fails(of_envoy(code, text));
            assert!(
                is_about(core.until_next(), seconds(wait)),
                "{text:?}: {:?}",
                core.until_next()
            );
        }
    }
}

#[test]
fn discovery_is_not_repeated_for_a_refused_jwks() {
    let mut core = core(json!({}));
    let discovery = core.call();
    core.reply(&discovery, ok(discovery_document(DEFAULT_ISSUER)));
    let mut paths = Vec::new();
    for _ in 0..9 {
        let call = core.call();
        paths.push(if call.path == DISCOVERY { "discovery" } else { "jwks" });
        match call.path.as_str() {
            DISCOVERY => drop(core.reply(&call, ok(discovery_document(DEFAULT_ISSUER)))),
            _ => {
                core.reply(&call, status(500));
                core.wait_for_next();
            }
        }
    }
    // After four refusals in a row the keys may have moved.
    let expected = ["jwks", "jwks", "jwks", "jwks", "discovery", "jwks", "jwks", "jwks", "jwks"];
    assert_eq!(paths, expected);
}

#[test]
fn discovery_is_repeated_after_404_and_410() {
    for code in [404, 410] {
        let mut core = core(json!({}));
        core.publish(&set(&[&key()]));
        core.wait_for_next();
        core.fails(status(code));
        core.wait_for_next();
        assert_eq!(core.call().path, DISCOVERY, "{code}");
    }
}

#[test]
fn discovery_is_not_repeated_after_silence() {
    let mut core = core(json!({}));
    core.publish(&set(&[&key()]));
    core.wait_for_next();
    for _ in 0..40 {
        assert_ne!(core.call().path, DISCOVERY);
        core.wait(seconds(10));
    }
    for _ in 0..40 {
        core.fails(Reply::Reset);
        core.wait_for_next();
    }
    assert_ne!(core.call().path, DISCOVERY);
}

/// RBAC rules load within seconds. Requests may not multiply the calls for longer.
#[test]
fn requests_cause_attempts_at_a_server_without_rbac_only_in_its_first_minute() {
    for (code, most) in [(403, 20), (401, 20), (404, 40), (429, 7), (500, 8)] {
        let (mut core, start) = (core(json!({})), super::UnixTime::from_secs(START));
        let mut fetches = Vec::new();
        let token = super::token(&key());
        while core.now.since(start) < seconds(600) {
            core.bearer(&token);
            for call in core.calls() {
                fetches.push(core.now.since(start));
                core.reply(&call, status(code));
            }
            core.wait(millis(200));
        }
        let early = fetches.iter().filter(|at| **at < seconds(60)).count();
        assert!(early <= most, "{code}: {early} in the first minute");
        let late = fetches.iter().filter(|at| **at >= seconds(120)).count();
        assert!(late <= 9, "{code}: {late} in eight minutes");
        assert!(
            fetches.windows(2).all(|pair| pair[1] - pair[0] >= millis(890)),
            "{code}: {fetches:?}"
        );
    }
}

#[test]
fn new_configuration_does_not_ask_a_refusing_server_sooner() {
    let mut old = core(json!({}));
    old.fails(retry_after(429, "120"));
    old.wait(seconds(10));
    let mut new = Core::at(START, &super::discovered(json!({})));
    new.now = old.now;
    new.takes_over(&mut old);
    assert!(new.is_quiet());
    assert_eq!(new.until_next(), old.until_next());
}

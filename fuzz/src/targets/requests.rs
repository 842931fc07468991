//! Any bytes as a header map, through the whole exchange, with several configurations.

use std::cell::RefCell;

use sa_authn::authz::HeaderEdits;
use sa_authn::connection::Connection;
use sa_authn::core::NativeDriver;
use sa_authn::exchange::Finished;
use sa_authn::headers::to_map;
use sa_authn::verdict::Verdict;
use serde_json::json;

use super::Target;
use crate::genuine::TOKENS;
use crate::world::{bearer, config, discovered, inline, now, past_deadline, proven, under};
use crate::{genuine, map};

thread_local! {
    static CORES: RefCell<Vec<NativeDriver>> = RefCell::new(cores());
}

fn cores() -> Vec<NativeDriver> {
    let rules = json!([
        { "name": "open", "paths": ["/open/*"], "allow": "anyone" },
        { "name": "app", "methods": ["GET"], "paths": ["/app/*/x"], "allow": ["demo/app"] },
        { "name": "host", "hosts": ["*.example", "a.example:8080", "*.test:*"], "allow": "authenticated" },
    ]);
    let configs = [
        config(inline(), json!({})),
        config(inline(), json!({ "rules": rules, "forwardToken": true })),
        config(inline(), json!({ "rules": rules, "mode": "shadow" })),
        config(inline(), json!({ "foreignTokens": "ignore" })),
        config(discovered(), json!({ "rules": rules })),
    ];
    configs.iter().map(under).collect()
}

/// The target.
pub const TARGET: Target = Target { name: "requests", check, seeds };

fn check(bytes: &[u8]) {
    CORES.with_borrow_mut(|cores| {
        for core in cores {
            check_under(core, bytes);
        }
    });
}

fn check_under(core: &mut NativeDriver, bytes: &[u8]) {
    core.discard();
    let first = core.request(1, bytes, &Connection::default(), now());
    let again = core.request(1, bytes, &Connection::default(), now());
    let last = match (first, again) {
        (Some(first), Some(again)) => {
            assert_eq!(format!("{first:?}"), format!("{again:?}"), "two verdicts on one request");
            again
        }
        (None, None) => past_deadline(core),
        (first, again) => panic!("paused once: {first:?}, {again:?}"),
    };
    if let Some(account) = proven(&last) {
        assert!(
            genuine::accounts_in(bytes).contains(&account.as_str()),
            "{account} out of nothing"
        );
    }
    check_verdict(&last, bytes);
}

fn check_verdict(finished: &Finished, bytes: &[u8]) {
    match &finished.verdict {
        Verdict::Allow(_, edits) | Verdict::Shadow(_, edits) => {
            for (name, _) in map::pairs(bytes) {
                check_removed(name, edits);
            }
            let named = edits.set().any(|(name, _)| name.starts_with("x-sa-"));
            assert!(!named || finished.caller.is_ok(), "an identity without a caller");
        }
        Verdict::Deny(denial) => {
            let signatures = TOKENS
                .iter()
                .filter_map(|genuine| genuine.token.rsplit('.').next().map(str::to_owned));
            for signature in signatures {
                assert!(!denial.detail().contains(&signature), "a signature in a detail");
            }
        }
    }
}

fn check_removed(name: &[u8], edits: &HeaderEdits) {
    for identity in ["x-sa-namespace", "x-sa-name"] {
        let replaced = edits.set().any(|(set, _)| set.as_bytes() == name);
        let removed = edits.removed().any(|removed| removed == name);
        assert!(
            !map::is_taken_for(name, identity) || removed || replaced,
            "{:?} reaches the upstream",
            String::from_utf8_lossy(name)
        );
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut maps: Vec<_> = TOKENS.iter().map(|genuine| bearer(genuine.token.as_bytes())).collect();
    let token = TOKENS[0].token.as_bytes();
    let other = [b"Bearer ".as_slice(), token, b",Basic eDp5"].concat();
    maps.push(to_map([
        (b":authority".as_slice(), b"a.example".as_slice()),
        (b":method", b"OPTIONS"),
        (b":path", b"/app/%31/x?q"),
        (b"origin", b"https://b.example"),
        (b"access-control-request-method", b"GET"),
        (b"authorization", &other),
        (b"x-client-id", token),
        (b"X_Sa.Name", b"admin"),
        (b"x-request-id", b"1"),
        (b"content-type", b"application/grpc"),
    ]));
    maps.push(to_map([(b":method".as_slice(), b"GET".as_slice()), (b":path", b"/open/x")]));
    maps
}

//! Any bytes for a header map, through the whole exchange, under several configurations.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use sa_authn::authenticator::Authenticator;
use sa_authn::exchange::{Exchange, Finished, Input, Step};
use sa_authn::verdict::{HeaderEdits, Verdict};
use sa_authn_fuzz::world::{config, discovered, inline, now, proven, under};
use sa_authn_fuzz::{genuine, map};
use serde_json::json;

thread_local! {
    static CORES: RefCell<Vec<Authenticator>> = RefCell::new(cores());
}

fn cores() -> Vec<Authenticator> {
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

fuzz_target!(|bytes: &[u8]| {
    CORES.with_borrow_mut(|cores| {
        for core in cores {
            check(core, bytes);
        }
    });
});

fn check(core: &mut Authenticator, bytes: &[u8]) {
    let mut exchange = Exchange::new(1, now());
    let first = exchange.step(Input::Headers(bytes), core, now());
    let last = match exchange.step(Input::DeadlinePassed(bytes), core, now()) {
        Step::Finish(finished) => finished,
        Step::Hold => panic!("held after its deadline"),
    };
    if let Step::Finish(first) = first {
        // Why keys are missing is said by whether they were waited for.
        let first = format!("{first:?}").replace("keys would have to be waited for", NOT_IN_TIME);
        assert_eq!(first, format!("{last:?}"), "two verdicts on one request");
    }
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
            let signatures = genuine::TOKENS
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

const NOT_IN_TIME: &str = "keys did not come in time";

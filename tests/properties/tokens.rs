//! Tokens on open paths are removed with any text around them.

use super::Dice;
use crate::support::{Core, inline, pairs, with};
use envoy_test::{KeyKind, Pairs, SigningKey, Token};
use sa_authn::verdict::Verdict;
use serde_json::json;

/// Text before and after a token.
const AROUND: [&str; 16] = [
    "", " ", "\t", ",", "\"", "'", "=", "Bearer ", "bearer ", "Token ", "token=", "x", "eyJ", ".",
    "a.b", "<",
];

/// Padding that lenient decoders accept after a part of a token.
const ENDS: [&str; 3] = ["", "=", "=="];

/// The headers that the upstream receives; `None` if the request is rejected.
fn upstream(core: &mut Core, sent: &Pairs) -> Option<Pairs> {
    let Verdict::Allow(_, edits) = core.judge(sent).expect("a verdict").verdict else {
        return None;
    };
    let mut headers = sent.clone();
    headers.retain(|(name, _)| !edits.removed().any(|removed| removed == name.as_bytes()));
    for (name, value) in edits.set() {
        headers.retain(|(known, _)| known != name);
        headers.push((name.to_owned(), value.to_vec()));
    }
    Some(headers)
}

#[test]
fn configured_header_on_an_open_path_never_forwards_a_token_of_a_configured_issuer() {
    let key = SigningKey::generate(KeyKind::P256);
    let mut core = Core::new(&with(
        inline(&[&key]),
        json!({
            "tokenFrom": [{ "header": "authorization", "prefix": "Bearer " }, { "header": "x-client-id" }],
            "rules": [{ "allow": "anyone" }],
        }),
    ));
    let token = Token::for_service_account("api", "api").sign(&key);
    let parts: Vec<_> = token.split('.').collect();
    let (mut dice, mut passed) = (Dice(0x5eed), 0);
    for _ in 0..20_000 {
        let mut around = |most: usize| -> String {
            (0..dice.below(most + 1)).map(|_| dice.one(&AROUND)).collect()
        };
        let (before, behind, first) = (around(4), around(4), around(2));
        let padded: Vec<_> =
            parts.iter().map(|part| format!("{part}{}", dice.one(&ENDS))).collect();
        let (name, other) = match dice.below(2) {
            0 => ("authorization", "x-client-id"),
            _ => ("x-client-id", "authorization"),
        };
        let value = format!("{before}{}{behind}", padded.join("."));
        let sent = pairs(&[(":method", "GET"), (":path", "/"), (name, &value), (other, &first)]);
        let Some(seen) = upstream(&mut core, &sent) else { continue };
        passed += 1;
        for (name, seen) in &seen {
            let seen = String::from_utf8_lossy(seen);
            assert!(!seen.contains(parts[1]), "{name}: {seen} of {value:?} and {first:?}");
            assert!(!seen.contains(parts[2]), "{name}: {seen} of {value:?} and {first:?}");
        }
    }
    assert!(passed > 5_000, "only {passed} passed");
}

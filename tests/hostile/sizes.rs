//! Tokens and lists at and above their limits.

use super::{Forge, MALFORMED, claims};
use crate::support::{Outcome, get, pairs};
use sa_authn::denial::Reason;

const LARGEST: usize = 1024 * 1024;

#[test]
fn token_of_max_token_bytes_passes_and_one_byte_more_is_too_large() {
    for limit in [16 * 1024, LARGEST] {
        let mut forge = Forge::limited_to(limit);
        let token = padded(&forge, limit);
        assert_eq!(token.len(), limit);
        assert!(forge.core.bearer(&token).passes(), "{limit} bytes");
        let denial = forge.core.denial(&get("/", &padded(&forge, limit + 1)));
        assert_eq!(denial.reason(), Reason::TokenTooLarge, "{limit} bytes and one");
        let expected = format!("the token has {} bytes, the limit is {limit}", limit + 1);
        assert_eq!(denial.detail(), expected);
    }
}

#[test]
fn megabyte_of_one_character_is_too_large_or_malformed() {
    let mut forge = Forge::limited_to(LARGEST);
    for byte in ["A", ".", "=", "\0", " ", "\u{7f}"] {
        assert_eq!(forge.core.bearer(&byte.repeat(LARGEST)), MALFORMED, "{byte:?}");
        let larger = forge.core.bearer(&byte.repeat(LARGEST + 1));
        assert_eq!(larger, Outcome::Refused(Reason::TokenTooLarge), "{byte:?}");
    }
}

#[test]
fn megabyte_of_claims_is_parsed_completely() {
    let mut forge = Forge::limited_to(LARGEST);
    let members: Vec<_> = (0..50_000).map(|at| format!(r#""x{at}":{at}"#)).collect();
    let many = members.join(",");
    assert!(forge.with_claims(&claims(&many)).passes());
    let duplicate = format!("{many},{}", members[0]);
    assert_eq!(
        forge.with_claims(&claims(&duplicate)),
        MALFORMED,
        "the first member again at the end"
    );
    let audiences = vec!["\"a\""; 100_000].join(",");
    let claims = super::claims_but("aud", &format!(r#""aud":[{audiences}]"#));
    assert_eq!(forge.with_claims(&claims), Outcome::Refused(Reason::WrongAudience));
}

#[test]
fn one_token_repeated_10_000_times_does_not_conflict() {
    let mut forge = Forge::new();
    let token = forge.sign(&forge.header(), &claims(""));
    let list = vec![format!("Bearer {token}"); 10_000].join(",");
    let one_line = pairs(&[(":method", "GET"), (":path", "/"), ("authorization", &list)]);
    assert!(forge.core.outcome(&one_line).passes());
    let mut lines = pairs(&[(":method", "GET"), (":path", "/")]);
    lines
        .extend(vec![("authorization".to_owned(), format!("Bearer {token}").into_bytes()); 10_000]);
    assert!(forge.core.outcome(&lines).passes());
}

#[test]
fn different_token_among_10_000_conflicts() {
    let mut forge = Forge::new();
    let token = forge.sign(&forge.header(), &claims(""));
    let mut items = vec![format!("Bearer {token}"); 10_000];
    for at in [0, 5_000, 9_999] {
        items[at] = "bearer other".to_owned();
        let list = items.join(", ");
        let headers = pairs(&[(":method", "GET"), (":path", "/"), ("authorization", &list)]);
        let expected = Outcome::Refused(Reason::ConflictingTokens);
        assert_eq!(forge.core.outcome(&headers), expected, "at {at}");
        items[at] = format!("Bearer {token}");
    }
}

#[test]
fn credentials_of_other_schemes_are_not_tokens() {
    let mut forge = Forge::new();
    for item in ["Basic YTpi", "", " ", "Bearerx", "Digest username=\"Bearer x\""] {
        let list = vec![item; 10_000].join(",");
        let headers = pairs(&[(":method", "GET"), (":path", "/"), ("authorization", &list)]);
        let expected = Outcome::Refused(Reason::MissingToken);
        assert_eq!(forge.core.outcome(&headers), expected, "{item:?}");
    }
}

/// A validly signed token of this size.
fn padded(forge: &Forge, bytes: usize) -> String {
    let mut padding = bytes / 4 * 3 - 800;
    loop {
        let token =
            forge.sign(&forge.header(), &claims(&format!(r#""x":"{}""#, "p".repeat(padding))));
        match bytes.checked_sub(token.len()).expect("a start below the size") {
            0 => return token,
            // Three bytes are four characters; a longer JOSE header adds the last one.
            1 => return stretched(forge, padding),
            missing => padding += (missing * 3 / 4).max(1),
        }
    }
}

fn stretched(forge: &Forge, padding: usize) -> String {
    let header = forge.header().replace('{', "{ ");
    forge.sign(&header, &claims(&format!(r#""x":"{}""#, "p".repeat(padding))))
}

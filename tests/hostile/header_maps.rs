//! Invalid and truncated header maps.

use super::{Forge, claims};
use crate::support::{Outcome, get, map_of};
use sa_authn::denial::Reason;

const UNREADABLE: Outcome = Outcome::Refused(Reason::Internal);

/// xorshift64 with a fixed seed: the same bytes in every run.
struct Random(u64);

#[test]
fn truncated_header_map_is_unreadable() {
    let mut forge = Forge::new();
    let map = good_map(&forge);
    for end in 1..map.len() {
        let outcome = forge.core.request_of(map[..end].to_vec()).arrives(&mut forge.core);
        assert_eq!(outcome, UNREADABLE, "{end} of {} bytes", map.len());
    }
}

#[test]
fn random_header_map_is_unreadable_or_contains_no_request() {
    let (mut forge, mut random) = (Forge::new(), Random(1));
    for _ in 0..5_000 {
        let length = random.below(200);
        let mut map: Vec<_> = (0..length).map(|_| random.byte()).collect();
        // A small count, so that the parser reads beyond it.
        if random.below(4) != 0 {
            let count = random.below(4) as u8;
            map.iter_mut().zip([count, 0, 0, 0]).for_each(|(byte, small)| *byte = small);
        }
        let expected =
            if readable(&map) { Outcome::Refused(Reason::AmbiguousPath) } else { UNREADABLE };
        let outcome = forge.core.request_of(map.clone()).arrives(&mut forge.core);
        assert_eq!(outcome, expected, "{map:?}");
    }
}

#[test]
fn header_map_with_wrong_sizes_is_unreadable() {
    let mut forge = Forge::new();
    let map = good_map(&forge);
    for number in 0..7 {
        for size in [u32::MAX, u32::MAX / 8, 0x8000_0000, 0x2000_0000, 100_000] {
            let mut wrong = map.clone();
            wrong[number * 4..number * 4 + 4].copy_from_slice(&size.to_le_bytes());
            let outcome = forge.core.request_of(wrong).arrives(&mut forge.core);
            assert_eq!(outcome, UNREADABLE, "number {number} is {size}");
        }
    }
}

#[test]
fn changed_bytes_do_not_make_an_invalid_request_pass() {
    let (mut forge, mut random) = (Forge::new(), Random(2));
    let good = forge.sign(&forge.header(), &claims(""));
    let map = map_of(&get("/", &good[..good.len() - 4]));
    for _ in 0..5_000 {
        let mut changed = map.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(changed.len());
            changed[at] = random.byte();
        }
        match forge.core.request_of(changed.clone()).arrives(&mut forge.core) {
            Outcome::Refused(reason) => assert!(EXPECTED.contains(&reason), "{reason:?}"),
            other => panic!("{other:?}: {changed:?}"),
        }
    }
}

#[test]
fn randomly_modified_token_does_not_pass() {
    let (mut forge, mut random) = (Forge::new(), Random(3));
    let good = forge.sign(&forge.header(), &claims(""));
    for _ in 0..5_000 {
        let mut token = good.clone().into_bytes();
        for _ in 0..=random.below(4) {
            let (from, to) = (random.below(token.len()), random.below(token.len()));
            let moved = token.remove(from);
            token.insert(to, if random.below(2) == 0 { moved } else { random.byte() });
        }
        if token == good.as_bytes() {
            continue;
        }
        let mut headers = get("/", "");
        headers[2].1.extend_from_slice(&token);
        match forge.core.outcome(&headers) {
            Outcome::Refused(reason) => assert!(EXPECTED.contains(&reason), "{reason:?}"),
            other => panic!("{other:?}: {}", String::from_utf8_lossy(&token)),
        }
    }
}

/// The reasons for modified bytes; none of them depends on a claim of an unverified token.
const EXPECTED: [Reason; 10] = [
    Reason::Internal,
    Reason::AmbiguousPath,
    Reason::MissingToken,
    Reason::ConflictingTokens,
    Reason::MalformedToken,
    Reason::MissingClaim,
    Reason::UnknownIssuer,
    Reason::UnknownKey,
    Reason::UnsupportedAlgorithm,
    Reason::BadSignature,
];

fn good_map(forge: &Forge) -> Vec<u8> {
    map_of(&get("/", &forge.sign(&forge.header(), &claims(""))))
}

/// A literal parser of the proxy-wasm format: a count, sizes, then bytes with a NUL after each.
fn readable(map: &[u8]) -> bool {
    if map.is_empty() {
        return true;
    }
    let number = |at: usize| {
        let bytes = map.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().unwrap()) as usize)
    };
    let Some(count) = number(0) else { return false };
    let Some(sizes) = (0..count * 2).map(|at| number(4 + at * 4)).collect::<Option<Vec<_>>>()
    else {
        return false;
    };
    let bytes: usize = sizes.iter().map(|size| size + 1).sum();
    4 + count * 8 + bytes <= map.len()
}

// === impl Random ===

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 24) as u8
    }
}

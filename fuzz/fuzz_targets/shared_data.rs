//! Any bytes where other VMs publish their keys: taken for keys only if the token's key is there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sa_authn::authenticator::Consultation;
use sa_authn_fuzz::genuine::TOKENS;
use sa_authn_fuzz::json::holds_the_recorded_key;
use sa_authn_fuzz::world::{bearer, config, discovered, judge, now, proven, under};
use serde_json::json;

fuzz_target!(|bytes: &[u8]| {
    let mut core = under(&config(discovered(), json!({})));
    core.share_keys(7);
    if let Consultation::Claim(entry) = core.consult(0, Some(bytes), now()) {
        // What we write, we read.
        assert!(
            !matches!(core.consult(0, Some(&entry), now()), Consultation::Settled(_))
                || holds_keys(&entry)
        );
    }
    let _ = core.released(0, bytes);
    let finished = judge(&mut core, &bearer(TOKENS[0].token.as_bytes()));
    assert!(proven(&finished).is_none() || holds_keys(bytes), "{finished:?}");
});

/// Wherever the JWKS begins.
fn holds_keys(entry: &[u8]) -> bool {
    let starts = entry.iter().enumerate().filter(|(_, byte)| **byte == b'{');
    starts.into_iter().any(|(at, _)| holds_the_recorded_key(&entry[at..]))
}

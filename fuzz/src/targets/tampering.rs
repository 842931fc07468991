//! Modified genuine tokens: only genuine tokens pass, with their own account.

use std::cell::RefCell;

use arbitrary::{Arbitrary, Unstructured};
use sa_authn::core::NativeDriver;
use serde_json::json;

use super::Target;
use crate::tamper::Tampered;
use crate::{genuine, world};

thread_local! {
    static CORE: RefCell<NativeDriver> =
        RefCell::new(world::under(&world::config(world::inline(), json!({}))));
}

/// The target.
pub const TARGET: Target = Target { name: "tampering", check, seeds };

fn check(bytes: &[u8]) {
    let Ok(tampered) = Tampered::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    let token = tampered.token();
    let finished = CORE.with_borrow_mut(|core| world::judge(core, &world::bearer(&token)));
    let proven = world::proven(&finished);
    if token
        .iter()
        .all(|byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
    {
        assert_eq!(proven.as_deref(), genuine::account_of(&token), "{finished:?}");
    } else if let Some(account) = proven {
        // A list of several items, one of which is genuine.
        assert!(genuine::accounts_in(&token).contains(&account.as_str()), "{finished:?}");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    (0..16).map(changes).collect()
}

/// Long enough for several changes each; what they are, the fuzzer finds out.
fn changes(seed: u8) -> Vec<u8> {
    (0..200_u8).map(|at| at.wrapping_mul(31).wrapping_add(seed.wrapping_mul(17))).collect()
}

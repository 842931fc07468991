//! Modified genuine tokens: only genuine tokens pass, with their own account.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use sa_authn::core::NativeDriver;
use sa_authn_fuzz::tamper::Tampered;
use sa_authn_fuzz::{genuine, world};
use serde_json::json;

thread_local! {
    static CORE: RefCell<NativeDriver> =
        RefCell::new(world::under(&world::config(world::inline(), json!({}))));
}

fuzz_target!(|tampered: Tampered| {
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
});

//! Any bytes as a token: parsed unambiguously, and never accepted.

use std::cell::RefCell;

use sa_authn::authenticator::Presented;
use sa_authn::authn::bearer::{BearerToken, TokenSource};
use sa_authn::authn::jwt::Jwt;
use sa_authn::connection::Connection;
use sa_authn::core::NativeDriver;
use serde_json::json;

use super::Target;
use crate::genuine::{self, TOKENS};
use crate::world::{config, encode, inline, now, under};

thread_local! {
    static CORE: RefCell<NativeDriver> = RefCell::new(under(&config(inline(), json!({}))));
}

/// The target.
pub const TARGET: Target = Target { name: "tokens", check, seeds };

fn check(bytes: &[u8]) {
    let sources = [TokenSource { header: "x-client-id".into(), prefix: None }];
    let Ok(Some(token)) = BearerToken::find(&sources, &[(0, bytes)], |_| true) else { return };
    if let Ok(jwt) = Jwt::parse(token, MAX_BYTES) {
        // One text, one reading.
        assert_eq!(jwt.text().as_bytes(), token.bytes());
        assert_eq!(jwt.text(), format!("{}.{}", jwt.signing_input(), encode(jwt.signature())));
    }
    CORE.with_borrow_mut(|driver| {
        let core = driver.core_mut().authenticator().expect("a configuration");
        let connection = &Connection::default();
        let presented = Presented { token, arrived: now(), connection, reviewed: None, trace: &() };
        let proven = core.authenticate(&presented, now()).caller;
        let account = proven.ok().map(|caller| format!("{}/{}", caller.namespace(), caller.name()));
        assert_eq!(account.as_deref(), genuine::account_of(token.bytes()));
        core.is_ours(token);
    });
}

const MAX_BYTES: usize = 16 * 1024;

fn seeds() -> Vec<Vec<u8>> {
    TOKENS.iter().map(|genuine| genuine.token.clone().into_bytes()).collect()
}

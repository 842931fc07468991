//! The recorded tokens, all signed with one key whose private key was discarded.

use std::sync::LazyLock;

use serde_json::{Map, Value};

/// A recorded token and its account.
#[derive(Debug)]
pub struct Genuine {
    /// The token.
    pub token: String,
    /// Such as `demo/app`; `None` for a legacy token.
    pub account: Option<String>,
}

/// All of them, in the order of their names.
pub static TOKENS: LazyLock<Vec<Genuine>> = LazyLock::new(|| {
    let recorded: Map<String, Value> = serde_json::from_str(RECORDED).expect("the recording");
    recorded
        .into_iter()
        .map(|(name, token)| {
            let account = match name.as_str() {
                "legacy_secret" => None,
                "reviewer" => Some("demo/reviewer"),
                "other" => Some("demo/other"),
                _ => Some("demo/app"),
            };
            let token = token.as_str().expect("a token").to_owned();
            Genuine { token, account: account.map(str::to_owned) }
        })
        .collect()
});

/// The account of this token, if it equals a recorded token.
pub fn account_of(token: &[u8]) -> Option<&'static str> {
    let genuine = TOKENS.iter().find(|genuine| genuine.token.as_bytes() == token)?;
    genuine.account.as_deref()
}

/// The accounts of all recorded tokens in these bytes.
pub fn accounts_in(bytes: &[u8]) -> Vec<&'static str> {
    let stands = |token: &str| bytes.windows(token.len()).any(|part| part == token.as_bytes());
    let found = TOKENS.iter().filter(|genuine| stands(&genuine.token));
    found.filter_map(|genuine| genuine.account.as_deref()).collect()
}

/// When they were minted.
pub const MINTED: u64 = 1_795_302_068;

/// Their issuer, which is one of their audiences too.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Their other audience.
pub const FILTER: &str = "https://filter.example";

/// Their key, as it was published.
pub const JWKS: &str = include_str!("../../tests/testdata/jwks.json");

/// Where that was found.
pub const DISCOVERY: &str = include_str!("../../tests/testdata/openid-configuration.json");

const RECORDED: &str = include_str!("../../tests/testdata/tokens_raw.json");

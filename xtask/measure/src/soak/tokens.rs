//! Tokens of the accounts of both API servers, signed with the current keys.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use envoy_test::{ApiServer, Rotation, SigningKey, Token, poll};

use super::kind::foreign_key;

/// The source of tokens for callers.
#[derive(Debug)]
pub struct TokenSet {
    page: Mutex<Arc<Page>>,
    /// A key that no issuer publishes.
    pub foreign: SigningKey,
}

/// All tokens of one period: a rotation replaces the page, and a request holds its page until it ends.
#[derive(Debug)]
pub struct Page {
    /// Event `east` signs with.
    pub east_key: SigningKey,
    /// Event `west` signs with.
    pub west_key: SigningKey,
    /// A token for each account.
    pub east: Vec<String>,
    /// A token for each account.
    pub west: Vec<String>,
    /// The token of `web/web`.
    pub web: String,
    /// A token of `west` whose pod is gone.
    pub revoked: String,
    /// A token by a key that `east` has withdrawn, or is withdrawing.
    pub withdrawn: String,
}

// === impl TokenSet ===

impl TokenSet {
    /// Has the accounts exist at both, and the pod be gone.
    pub fn new(east: &ApiServer, west: &ApiServer) -> Self {
        for account in 0..ACCOUNTS {
            west.mint(account_token(account));
        }
        west.mint(gone());
        west.delete_pod("api", "gone");
        let withdrawn = withdrawn(&SigningKey::generate(east.signing_key().kind()));
        let page = Page::new(east.signing_key(), west.signing_key(), withdrawn);
        Self { page: Mutex::new(Arc::new(page)), foreign: foreign_key() }
    }

    /// The page that is open.
    pub fn page(&self) -> Arc<Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Signs tokens with these keys, and returns when no request with an older token is in flight.
    pub async fn turn(&self, east_key: SigningKey, west_key: SigningKey) -> Result<()> {
        let withdrawn = match self.page().east_key.kid() == east_key.kid() {
            true => self.page().withdrawn.clone(),
            false => withdrawn(&self.page().east_key),
        };
        let new = Arc::new(Page::new(east_key, west_key, withdrawn));
        let old = {
            let mut page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::downgrade(&std::mem::replace(&mut *page, new))
        };
        poll::until("the last request with a token of the old key", async || {
            Ok((old.strong_count() == 0).then_some(()))
        })
        .await
    }
}

// === impl Page ===

impl Page {
    fn new(east_key: SigningKey, west_key: SigningKey, withdrawn: String) -> Self {
        let sign_east = |account| account_token(account).sign(&east_key);
        let sign_west = |account| account_token(account).issuer(WEST).sign(&west_key);
        Self {
            east: (0..ACCOUNTS).map(sign_east).collect(),
            west: (0..ACCOUNTS).map(sign_west).collect(),
            web: Token::for_service_account("web", "web").sign(&east_key),
            revoked: gone().issuer(WEST).sign(&west_key),
            withdrawn,
            east_key,
            west_key,
        }
    }

    /// How many accounts there are.
    pub fn accounts(&self) -> u64 {
        self.east.len() as u64
    }
}

/// Publishes a new key of an API server in addition to the old one.
pub fn announce(api_server: &ApiServer) -> SigningKey {
    api_server.rotate(Rotation::KeepOld)
}

/// Withdraws every key but this one.
pub fn withdraw_others(api_server: &ApiServer, key: &SigningKey) {
    api_server.rotate_to(key.clone(), Rotation::RemoveOld);
}

fn account_token(account: usize) -> Token {
    Token::for_service_account("api", &format!("api-{account}"))
}

fn gone() -> Token {
    Token::for_service_account("api", "api-0").pod("gone")
}

fn withdrawn(key: &SigningKey) -> String {
    Token::for_service_account("api", "withdrawn").sign(key)
}

/// The issuer of the API server `west`.
pub const WEST: &str = "https://west.example";

const ACCOUNTS: usize = 60;

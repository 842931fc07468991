//! Tokens of the service account `api/api`, minted before the measurement.

use std::sync::Arc;
use std::thread;

use anyhow::{Result, ensure};
use envoy_test::{ApiServer, ApiServerOptions, KeyKind, SigningKey, Token};
use serde_json::json;

use super::contender::Tokens;

/// An API server that publishes an RSA and an EC key, and what is signed with each.
pub struct Mint {
    api_server: ApiServer,
    rsa: SigningKey,
    ec: SigningKey,
    model: Token,
}

/// The tokens of one contender, in the order in which they are sent.
pub struct Feed {
    tokens: Arc<Vec<String>>,
    next: usize,
    repeats: bool,
}

// === impl Mint ===

impl Mint {
    /// Starts the API server.
    pub async fn start() -> Result<Self> {
        let api_server = ApiServer::start(ApiServerOptions::default()).await?;
        let (rsa, ec) = (api_server.signing_key(), SigningKey::generate(KeyKind::P256));
        ensure!(rsa.kind() == KeyKind::Rsa2048, "the API server signs with {:?}", rsa.kind());
        api_server.publish(&[rsa.clone(), ec.clone()]);
        api_server.grant_auth_delegator("envoy-system", "sa-authn");
        let model = Token::for_service_account("api", "api").pod("api-7d4b9c").node("node-1");
        // What the tokens are bound to exists from now on, for TokenReview.
        api_server.mint(model.clone());
        Ok(Self { api_server, rsa, ec, model })
    }

    /// Where the keys and the reviews come from.
    pub fn api_server(&self) -> &ApiServer {
        &self.api_server
    }

    /// So many tokens, each with a `jti` of its own.
    pub fn mint(&self, kind: KeyKind, count: usize) -> Vec<String> {
        let key = self.key(kind);
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let part = count.div_ceil(threads).max(1);
        thread::scope(|scope| {
            let parts: Vec<_> = (0..count)
                .step_by(part)
                .map(|from| scope.spawn(move || self.sign(key, from, count.min(from + part))))
                .collect();
            parts.into_iter().flat_map(|part| part.join().unwrap_or_default()).collect()
        })
    }

    /// With what a module has Envoy verify the signatures of so many such tokens.
    pub fn verify_arguments(&self, kind: KeyKind, count: usize) -> Vec<Vec<u8>> {
        let arguments = |token: &String| {
            let (text, _) = token.rsplit_once('.')?;
            self.key(kind).verify_arguments(text.as_bytes())
        };
        self.mint(kind, count).iter().filter_map(arguments).collect()
    }

    fn key(&self, kind: KeyKind) -> &SigningKey {
        if kind.is_rsa() { &self.rsa } else { &self.ec }
    }

    fn sign(&self, key: &SigningKey, from: usize, to: usize) -> Vec<String> {
        let token = |n: usize| {
            let jti = format!("{n:08x}-9a3e-4b07-8c55-d1f0e2a7b6c4");
            self.model.clone().claim("jti", json!(jti)).sign(key)
        };
        (from..to).map(token).collect()
    }
}

// === impl Feed ===

impl Feed {
    /// What `tokens` says, of tokens that were minted already.
    pub fn new(tokens: Tokens, minted: Arc<Vec<String>>) -> Self {
        Self { tokens: minted, next: 0, repeats: !matches!(tokens, Tokens::Fresh(_)) }
    }

    /// The next tokens. One that must be new and is not would make the cold look warm.
    pub fn draw(&mut self, count: usize) -> Result<Vec<&str>> {
        let from = self.next;
        self.next += count;
        let size = self.tokens.len();
        ensure!(self.repeats || self.next <= size, "only {size} tokens were minted");
        let tokens = self.tokens.iter().cycle().skip(from % size.max(1));
        Ok(tokens.take(count).map(String::as_str).collect())
    }
}

// === impl Tokens ===

impl Tokens {
    /// Of which kind of key they are, and how many it takes for so many requests.
    pub fn needed(self, requests: usize) -> (KeyKind, usize) {
        match self {
            Self::Same(kind) => (kind, 1),
            Self::Fresh(kind) => (kind, requests),
            Self::Ring(kind, count) => (kind, count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(tokens: Tokens) -> Feed {
        Feed::new(tokens, Arc::new(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]))
    }

    #[test]
    fn fresh_tokens_are_sent_once() {
        let mut feed = feed(Tokens::Fresh(KeyKind::P256));
        assert_eq!(feed.draw(2).expect("two"), ["a", "b"]);
        let error = feed.draw(2).expect_err("one is left").to_string();
        assert_eq!(error, "only 3 tokens were minted");
    }

    #[test]
    fn repeated_tokens_start_over_at_the_end() {
        let mut feed = feed(Tokens::Ring(KeyKind::P256, 3));
        assert_eq!(feed.draw(2).expect("two"), ["a", "b"]);
        assert_eq!(feed.draw(3).expect("three"), ["c", "a", "b"]);
    }
}

//! The native cost of each step of a request, without Envoy: `cargo bench`.
//!
//! It shows the cost of each step and regressions of a step. `cargo xtask bench` measures the cost in Envoy, where
//! the host verifies signatures and host calls are the largest part.
#![allow(clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use divan::{Bencher, black_box};
use envoy_test::{KeyKind, SigningKey, Token, jwks, unix_now};
use sa_authn::authenticator::{Authenticator, Presented};
use sa_authn::authn::bearer::BearerToken;
use sa_authn::authn::jwt::Jwt;
use sa_authn::authn::keys::KeySet;
use sa_authn::authn::signature::{Signature, Verifier};
use sa_authn::authz::Mode;
use sa_authn::authz::Outcome;
use sa_authn::authz::access::{AccessRequest, NoReviewer};
use sa_authn::authz::rule::RequestAttributes;
use sa_authn::config::{Config, Settings};
use sa_authn::connection::Connection;
use sa_authn::core::{Environment, NativeDriver};
use sa_authn::denial::Denial;
use sa_authn::exchange::Finished;
use sa_authn::headers::{Headers, to_map};
use sa_authn::identity::Caller;
use sa_authn::time::UnixTime;
use sa_authn::verdict::Verdict;
use serde_json::{Value, json};
use std::rc::Rc;

fn main() {
    divan::main();
}

/// Parses the header map of a request with ten headers.
#[divan::bench]
fn header_map(bencher: Bencher<'_, '_>) {
    let request = Request::new(KeyKind::Rsa2048, 10);
    let settings = request.settings();
    bencher.bench_local(|| {
        Headers::read(black_box(&request.map), &settings.index).expect("a header map")
    });
}

/// Finds the token among the headers.
#[divan::bench]
fn bearer(bencher: Bencher<'_, '_>) {
    let request = Request::new(KeyKind::Rsa2048, 10);
    let settings = request.settings();
    let headers = Headers::read(&request.map, &settings.index).expect("a header map");
    bencher.bench_local(|| {
        let tokens = black_box(&headers.tokens);
        let found = BearerToken::find(&settings.token_sources, tokens, |_| true);
        assert!(found.is_ok_and(|token| token.is_some()));
    });
}

/// Parses the token with its header and claims.
#[divan::bench(args = KINDS)]
fn parse(bencher: Bencher<'_, '_>, kind: KeyKind) {
    let request = Request::new(kind, 10);
    request.with_token(|token| {
        bencher.bench_local(|| Jwt::parse(black_box(token), MAX_BYTES).expect("a JWT"));
    });
}

/// Verifies a signature without the host, as in an Envoy without `verify_signature`.
#[divan::bench(args = KINDS)]
fn signature(bencher: Bencher<'_, '_>, kind: KeyKind) {
    let request = Request::new(kind, 10);
    let keys = KeySet::from_value(&request.jwks).expect("a key set");
    let key = keys.keys()[0].verifying();
    request.with_token(|token| {
        let jwt = Jwt::parse(token, MAX_BYTES).expect("a JWT");
        bencher.bench_local(|| {
            assert_eq!(
                Verifier::default().verify_signature(
                    key,
                    black_box(jwt.signing_input()),
                    jwt.signature()
                ),
                Signature::Genuine
            );
        });
    });
}

/// Finds the rule that covers a request, the last of them, and lets it decide.
#[divan::bench(args = [10, 10_000])]
fn decide(bencher: Bencher<'_, '_>, rules: usize) {
    let request = Request::new(KeyKind::P256, rules);
    let (settings, caller) = (request.settings(), request.caller());
    let attributes =
        RequestAttributes { method: b"GET", cors_preflight: false, direction: None, port: None };
    let path = request.path.as_bytes();
    bencher.bench_local(|| {
        let matched =
            settings.policy.matching_rules(Some(b"secret-store"), Some(path), &attributes);
        let matched = matched.as_ref().map_err(Denial::clone);
        let mut access = AccessRequest { method: b"", path: b"", reviewer: &mut NoReviewer };
        let (caller, mode) = (Ok(&caller), Mode::Enforce);
        let decision = settings.policy.decide(matched, caller, &mut access, mode, &());
        assert!(matches!(black_box(decision).outcome, Outcome::Permitted(_)));
    });
}

/// The complete evaluation from headers to verdict.
#[divan::bench(args = KINDS)]
fn request(bencher: Bencher<'_, '_>, kind: KeyKind) {
    let request = Request::new(kind, 10);
    let mut driver = NativeDriver::new(request.config(), Environment::default());
    let (now, connection) = (UnixTime::from_secs(unix_now()), Connection::default());
    bencher.bench_local(|| {
        let finished = driver.request(1, &request.map, &connection, now);
        assert!(matches!(finished, Some(Finished { verdict: Verdict::Allow(..), .. })));
    });
}

/// A request with a valid token, and a configuration whose last rule allows it.
struct Request {
    config: Value,
    jwks: Value,
    path: String,
    map: Vec<u8>,
}

// === impl Request ===

impl Request {
    fn new(kind: KeyKind, rules: usize) -> Self {
        let key = SigningKey::generate(kind);
        let token = Token::for_service_account("api", "api").pod("api-1").node("node-1").sign(&key);
        let path = format!("/tenants/{rules}/1");
        let rule = |n: usize| json!({ "paths": [format!("/tenants/{n}/*")], "allow": ["api/api"] });
        let jwks = jwks(&[&key]);
        let config = json!({
            "issuers": [{
                "issuer": envoy_test::token::DEFAULT_ISSUER,
                "audiences": [envoy_test::token::DEFAULT_AUDIENCE],
                "keys": { "inline": jwks },
            }],
            "rules": (1..=rules).map(rule).collect::<Value>(),
        });
        let map = map(&path, &token);
        Self { config, jwks, path, map }
    }

    fn config(&self) -> Config {
        Config::parse(self.config.to_string().as_bytes()).expect("a configuration")
    }

    fn settings(&self) -> Settings {
        self.config().settings
    }

    /// The token as it is found in the header.
    fn with_token<T>(&self, use_it: impl FnOnce(BearerToken<'_>) -> T) -> T {
        let settings = self.settings();
        let headers = Headers::read(&self.map, &settings.index).expect("a header map");
        let found = BearerToken::find(&settings.token_sources, &headers.tokens, |_| true);
        use_it(found.expect("no conflict").expect("a token"))
    }

    fn caller(&self) -> Rc<Caller> {
        let mut authenticator = Authenticator::new(self.config(), Verifier::default(), 1);
        let (now, connection) = (UnixTime::from_secs(unix_now()), Connection::default());
        let connection = &connection;
        self.with_token(|token| {
            let presented =
                Presented { token, arrived: now, connection, reviewed: None, trace: &() };
            authenticator.authenticate(&presented, now)
        })
        .caller
        .expect("a good token")
    }
}

fn map(path: &str, token: &str) -> Vec<u8> {
    let bearer = format!("Bearer {token}");
    let headers = [
        (":authority", "secret-store.prod.svc.cluster.local"),
        (":method", "GET"),
        (":path", path),
        (":scheme", "http"),
        ("user-agent", "api-server/2.14.1"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip, deflate, br"),
        ("x-request-id", "3f1c9a52-6b0e-4a8e-9d27-5b8f0c1a7e44"),
        ("x-forwarded-proto", "http"),
        ("authorization", bearer.as_str()),
    ];
    to_map(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

const MAX_BYTES: usize = 16 * 1024;
const KINDS: [KeyKind; 2] = [KeyKind::Rsa2048, KeyKind::P256];

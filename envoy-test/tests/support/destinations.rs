//! The destinations of a caller's Envoy: two services with TLS that accept tokens, and one without a token.

use anyhow::{Result, ensure};
use envoy_test::envoy::caller::{ORDERS, SECRET_STORE, TELEMETRY};
use envoy_test::upstream::Received;
use envoy_test::{CallerSetup, Envoy, EnvoySetup, Request, Response, Upstream, WorkloadCa, poll};
use serde_json::Value;

use super::services::serving;

/// Two services with TLS, each with its own token, and one without a token.
pub struct Destinations {
    pub version: String,
    pub ca: WorkloadCa,
    pub orders: Upstream,
    pub secret_store: Upstream,
    pub telemetry: Upstream,
    fronts: Vec<Envoy>,
}

pub const ORDERS_TOKEN: &str = "made.for.orders";
pub const SECRET_STORE_TOKEN: &str = "made.for.the-secret-store";
pub const TOKEN_HEADERS: [&str; 3] = ["authorization", "x-client-id", "x-api-token"];

impl Destinations {
    pub async fn new(version: &str) -> Result<Self> {
        let ca = WorkloadCa::new()?;
        let (orders, secret_store) = (Upstream::start().await?, Upstream::start().await?);
        let mut fronts = Vec::new();
        for (upstream, name) in [(&orders, "orders"), (&secret_store, "secret-store")] {
            let listen = serving(&ca, &[&format!("{name}.shop.svc")])?;
            fronts.push(front(version, upstream, listen).await?);
        }
        let (version, telemetry) = (version.to_owned(), Upstream::start().await?);
        Ok(Self { version, ca, orders, secret_store, telemetry, fronts })
    }

    /// The same with orders that have moved to telemetry.
    pub async fn redirecting(version: &str) -> Result<Self> {
        let destinations = Self::new(version).await?;
        destinations.orders.answer_with(302, &[("location", "http://telemetry.shop.svc/moved")])?;
        Ok(destinations)
    }

    /// Path and tokens of each request to telemetry, of which there must be one.
    pub async fn telemetry_got(&self) -> Result<Vec<(String, Vec<(String, String)>)>> {
        poll::until("a request to telemetry", async || {
            Ok((!self.telemetry.received().is_empty()).then_some(()))
        })
        .await?;
        let received = self.telemetry.received();
        Ok(received.iter().map(|request| (request.path.clone(), tokens(request))).collect())
    }

    /// The caller's Envoy, without tokens.
    pub fn caller(&self) -> CallerSetup {
        CallerSetup::new(&self.ca)
            .version(&self.version)
            .destination(ORDERS, self.fronts[0].port())
            .destination(SECRET_STORE, self.fronts[1].port())
            .destination(TELEMETRY, self.telemetry.port())
    }

    pub async fn caller_with_tokens(&self) -> Result<Envoy> {
        with_tokens(self.caller()).start().await
    }

    /// All requests at all services.
    pub fn all(&self) -> [Vec<Received>; 3] {
        [&self.orders, &self.secret_store, &self.telemetry].map(Upstream::received)
    }
}

/// The Envoy of a service, with TLS.
pub async fn front(
    version: &str,
    upstream: &Upstream,
    listen: impl FnOnce(&mut Value) + Send + 'static,
) -> Result<Envoy> {
    let setup = EnvoySetup::new().version(version).without_filter().upstream(upstream);
    setup.patch(listen).start().await
}

pub fn with_tokens(setup: CallerSetup) -> CallerSetup {
    setup.token(ORDERS, ORDERS_TOKEN).token(SECRET_STORE, SECRET_STORE_TOKEN)
}

pub fn to(service: &str) -> Request {
    Request::get("/1").header("host", format!("{service}.shop.svc"))
}

pub async fn send(request: &Request, envoy: &Envoy) -> Result<Response> {
    let response = request.send(envoy.port()).await?;
    ensure!(response.status == 200, "{} {}", response.status, response.text());
    Ok(response)
}

/// Every header that may hold a token, as it arrived.
pub fn tokens(received: &Received) -> Vec<(String, String)> {
    let named = |name: &str| TOKEN_HEADERS.contains(&name);
    let found = received.headers.iter().filter(|(name, _)| named(name));
    found.map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned())).collect()
}

pub fn pair(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

pub fn bearer() -> Vec<(String, String)> {
    pair("authorization", &format!("Bearer {ORDERS_TOKEN}"))
}

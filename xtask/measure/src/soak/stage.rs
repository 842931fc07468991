//! Two running API servers, an upstream and an Envoy between them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use envoy_test::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER};
use envoy_test::{ApiServer, ApiServerOptions, Envoy, EnvoySetup, KeyKind, Upstream};
use serde_json::{Value, json};

use super::events::{Event, EventLog};
use super::kind::NEVER_PASSES;
use super::tally::Tally;
use super::tokens::{TokenSet, WEST};

/// Everything that runs; it ends when this is dropped.
#[derive(Debug)]
pub struct Stage {
    /// The Envoy.
    pub envoy: Envoy,
    /// Its workers.
    pub workers: u32,
    /// The first issuer's keys.
    pub east: ApiServer,
    /// The second issuer's keys and reviews.
    pub west: ApiServer,
    /// The application.
    pub upstream: Upstream,
    /// The tokens.
    pub tokens: TokenSet,
    /// The events.
    pub events: EventLog,
    /// The results.
    pub tally: Tally,
    over: AtomicBool,
}

// === impl Stage ===

impl Stage {
    /// Starts everything and waits until Envoy listens.
    pub async fn start(envoy_version: &str, module: PathBuf, workers: u32) -> Result<Self> {
        let (east, west) = (api_server(DEFAULT_ISSUER).await?, api_server(WEST).await?);
        let tokens = TokenSet::new(&east, &west);
        let upstream = Upstream::start().await?;
        upstream.keep_only(|received| received.header(NEVER_PASSES).is_some());
        let envoy = EnvoySetup::new()
            .version(envoy_version)
            .module(&module)
            .plugin_config(config(false))
            .api_server_named("east", &east)
            .api_server_named("west", &west)
            .upstream(&upstream)
            .concurrency(workers)
            .dynamic_listener(DRAIN_TIME)
            .patch(without_access_log)
            .start()
            .await?;
        let events = EventLog::new();
        events.begins(Event::WebIsOut);
        let (tally, over) = (Tally::default(), AtomicBool::new(false));
        Ok(Self { envoy, workers, east, west, upstream, tokens, events, tally, over })
    }

    /// Asks all tasks to end.
    pub fn over(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Whether the end was asked for.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// The filter's configuration, under which `web/web` may call `/toggle/*` or not.
pub fn config(web: bool) -> Value {
    let keys = |cluster: &str| {
        json!({
            "discovery": { "cluster": cluster, "authority": "kubernetes.default.svc" },
            "refreshInterval": "5s", "minRefetchInterval": "1s", "timeout": "2s",
        })
    };
    let review = json!({
        "cluster": "west", "authority": "kubernetes.default.svc",
        "cacheTtl": "10s", "refreshAhead": "4s", "timeout": "2s",
    });
    let audiences = [DEFAULT_AUDIENCE];
    json!({
        "issuers": [
            { "name": "east", "issuer": DEFAULT_ISSUER, "audiences": audiences, "keys": keys("east") },
            { "name": "west", "issuer": WEST, "audiences": audiences, "keys": keys("west"), "tokenReview": review },
        ],
        "rules": [
            { "name": "public", "paths": ["/public/*"], "allow": "anyone" },
            { "name": "toggle", "paths": ["/toggle/*"], "allow": [if web { "web/web" } else { "api/*" }] },
            { "name": "secrets", "paths": ["/secrets/*"], "allow": ["api/*"] },
        ],
        // Small, so that it is full soon: growth until it is full is not a leak.
        "limits": { "waitTimeout": "3s", "tokenCacheEntries": 1000 },
    })
}

async fn api_server(issuer: &str) -> Result<ApiServer> {
    let options =
        ApiServerOptions { key_kind: KeyKind::P256, ..ApiServerOptions::with_issuer(issuer) };
    let api_server = ApiServer::start(options).await?;
    api_server.grant_auth_delegator("envoy-system", "sa-authn");
    Ok(api_server)
}

/// A log line for each of millions of requests would be useless.
fn without_access_log(tree: &mut Value) {
    let listener = &mut tree["static_resources"]["listeners"][0];
    let http = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    http["access_log"] = json!([]);
}

/// Longer than any request, because a replaced listener resets its remaining requests.
const DRAIN_TIME: Duration = Duration::from_secs(20);

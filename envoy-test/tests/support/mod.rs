//! Shared by the end-to-end tests: configurations, an Envoy with its upstream, and outcomes of requests.

pub mod authorization;
pub mod command;
pub mod crash_switch;
pub mod destinations;
pub mod docker;
pub mod istio;
pub mod listeners;
pub mod reviews;
pub mod schemas;
pub mod secrecy;
pub mod services;

use anyhow::{Context, Result, ensure};
use envoy_test::client::raw;
use envoy_test::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER};
use envoy_test::{
    ApiServer, ApiServerOptions, Endpoint, Envoy, EnvoySetup, Fault, KeyKind, Request, Response,
    SigningKey, Token, Upstream, jwks,
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A configuration with one issuer, "local", with these `keys`.
pub fn config(keys: Value) -> Value {
    json!({ "issuers": [
        { "name": "local", "issuer": DEFAULT_ISSUER, "audiences": [DEFAULT_AUDIENCE], "keys": keys },
    ] })
}

/// This key; `/public/*` is open to anyone, and `/secrets/*` to `api/api`.
pub fn rules(key: &SigningKey) -> Value {
    let mut config = config(json!({ "inline": jwks(&[key]) }));
    config["rules"] = json!([
        { "name": "public", "paths": ["/public/*"], "allow": "anyone" },
        { "name": "secrets", "paths": ["/secrets/*"], "allow": ["api/api"] },
    ]);
    config
}

/// Keys by discovery from the cluster `kube-apiserver`, with further members.
pub fn discovery(more: Value) -> Value {
    let mut keys = json!({
        "discovery": { "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" },
    });
    if let (Some(keys), Value::Object(more)) = (keys.as_object_mut(), more) {
        keys.extend(more);
    }
    keys
}

/// The caller of most tests.
pub fn api() -> Token {
    Token::for_service_account("api", "api")
}

/// `GET /secrets/1` with this token.
pub fn get(token: &str) -> Request {
    Request::get("/secrets/1").bearer(token)
}

/// Fails unless the filter denied the request with this status and reason, and consistent headers.
pub fn check_refused(response: &Response, status: u16, reason: &str) -> Result<()> {
    ensure!(response.status == status, "{} {}", response.status, response.text());
    ensure!(response.reason().as_deref() == Some(reason), "{}", response.text());
    let retry = response.header("retry-after");
    ensure!(retry.is_some() == (status == 503), "retry-after {retry:?}");
    Ok(())
}

/// Limits with a timeout so long that only the test ends the pause.
pub fn long_wait(limits: Value) -> Value {
    let mut config = config(discovery(json!({ "timeout": "30s" })));
    config["limits"] = json!({ "waitTimeout": "30s" });
    if let (Some(all), Value::Object(limits)) = (config["limits"].as_object_mut(), limits) {
        all.extend(limits);
    }
    config
}

/// An API server that signs with a key on P-256.
pub async fn p256_api_server() -> Result<ApiServer> {
    let options = ApiServerOptions { key_kind: KeyKind::P256, ..ApiServerOptions::default() };
    ApiServer::start(options).await
}

/// An API server that accepts the first request and does not answer until the fault is cleared.
pub async fn stalled() -> Result<ApiServer> {
    let api_server = p256_api_server().await?;
    api_server.set_fault(Endpoint::Discovery, Some(Fault::UntilCleared));
    Ok(api_server)
}

pub fn clear_fault(api_server: &ApiServer) {
    api_server.set_fault(Endpoint::Discovery, None);
}

pub fn post(token: &str) -> Request {
    Request::post("/secrets/1").bearer(token).header("x-sa-name", "admin")
}

/// Requests in flight, with their indexes.
pub type Sent = JoinSet<(usize, Result<Response>)>;

/// Sends each request on a separate connection, all at once.
pub fn send_all(port: u16, requests: impl IntoIterator<Item = Request>) -> Sent {
    let numbered = requests.into_iter().enumerate();
    numbered.map(|(at, request)| async move { (at, request.send(port).await) }).collect()
}

/// The responses in the order of the requests.
pub async fn answers(sent: Sent) -> Result<Vec<Response>> {
    let mut answers = sent.join_all().await;
    answers.sort_by_key(|(at, _)| *at);
    answers
        .into_iter()
        .map(|(at, answer)| answer.with_context(|| format!("request {at}")))
        .collect()
}

/// An Envoy and its upstream, for requests one after another.
pub struct Gate {
    pub envoy: Envoy,
    pub upstream: Upstream,
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The status; 0 if the HTTP/2 stream was reset.
    pub status: u64,
    /// The source: `sa_authn.` and a reason for the filter, `via_upstream` for the upstream, otherwise Envoy.
    pub by: String,
    /// The number of requests at the upstream.
    pub reached: usize,
}

/// The name of a case, the bytes of the request, and the expected outcome.
pub type Case = (&'static str, Vec<u8>, Outcome);

// === impl Outcome ===

impl Outcome {
    pub fn passes() -> Self {
        Self { status: 200, by: "via_upstream".to_owned(), reached: 1 }
    }

    pub fn refused(status: u64, reason: &str) -> Self {
        Self::envoy(status, &format!("sa_authn.{reason}"))
    }

    /// Envoy itself answers; `by` are its response code details, or their beginning and a `*`.
    pub fn envoy(status: u64, by: &str) -> Self {
        Self { status, by: by.to_owned(), reached: 0 }
    }

    fn is_met_by(&self, other: &Self) -> bool {
        let by = match self.by.strip_suffix('*') {
            Some(start) => other.by.starts_with(start),
            None => self.by == other.by,
        };
        by && (self.status, self.reached) == (other.status, other.reached)
    }
}

// === impl Gate ===

impl Gate {
    pub async fn start(setup: EnvoySetup) -> Result<Self> {
        let upstream = Upstream::start().await?;
        // By default Envoy keeps a connection for one second after a closing response, which is too long for many requests.
        let envoy = setup.upstream(&upstream).patch(|tree| {
            let listeners = tree["static_resources"]["listeners"].as_array_mut();
            for listener in listeners.into_iter().flatten() {
                http_options_of(listener)["delayed_close_timeout"] = json!("0.02s");
            }
        });
        Ok(Self { envoy: envoy.start().await?, upstream })
    }

    /// Sends these HTTP/1 bytes.
    pub async fn http1(&self, bytes: &[u8]) -> Result<Outcome> {
        self.http1_at(self.envoy.port(), bytes).await
    }

    /// The same to the listener at this port.
    pub async fn http1_at(&self, port: u16, bytes: &[u8]) -> Result<Outcome> {
        let before = (self.envoy.access_log().len(), self.upstream.count());
        let answer = raw(port, bytes).await?;
        let outcome = self.outcome(before).await?;
        let (status, body) = split(&answer).context("no answer")?;
        ensure!(status == outcome.status, "{status} was sent, {outcome:?} logged");
        if let Some(reason) = outcome.by.strip_prefix("sa_authn.") {
            let body: Value = serde_json::from_slice(body)?;
            ensure!(body["reason"] == reason, "{body} was sent, {outcome:?} logged");
        }
        Ok(outcome)
    }

    /// Sends these HTTP/2 frames to the listener at this port; the access log has the response.
    async fn http2_at(&self, port: u16, frames: &[u8]) -> Result<Outcome> {
        let before = (self.envoy.access_log().len(), self.upstream.count());
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        // Envoy closes the connection as soon as it detects the error.
        let _ = stream.write_all(frames).await;
        self.outcome(before).await
    }

    async fn outcome(&self, (lines, count): (usize, usize)) -> Result<Outcome> {
        let log = self.envoy.wait_access_log(lines + 1).await?;
        let line = log.get(lines).context("a line")?;
        Ok(Outcome {
            status: line["status"].as_u64().unwrap_or_default(),
            by: line["details"].as_str().unwrap_or_default().to_owned(),
            reached: self.upstream.count() - count,
        })
    }

    /// The failures of the cases without the expected outcome.
    pub async fn failures(&self, cases: &[Case]) -> Result<Vec<String>> {
        self.failures_at(self.envoy.port(), cases).await
    }

    /// The same at the listener at this port.
    pub async fn failures_at(&self, port: u16, cases: &[Case]) -> Result<Vec<String>> {
        let mut failures = Vec::new();
        for (name, bytes, expected) in cases {
            let http2 = bytes.starts_with(b"PRI ");
            let outcome = match http2 {
                true => self.http2_at(port, bytes).await,
                false => self.http1_at(port, bytes).await,
            };
            match outcome.with_context(|| format!("case {name:?}"))? {
                outcome if expected.is_met_by(&outcome) => {}
                outcome => failures.push(format!("{name}: {outcome:?} instead of {expected:?}")),
            }
        }
        Ok(failures)
    }

    /// Fails unless this token still passes, no VM has crashed since the start, and the log does not contain
    /// the token.
    pub async fn check_alive(&self, token: &str) -> Result<()> {
        self.check_alive_at(self.envoy.port(), token).await
    }

    /// The same at the listener at this port.
    pub async fn check_alive_at(&self, port: u16, token: &str) -> Result<()> {
        let response = get(token).send(port).await?;
        ensure!(response.status == 200, "{} {}", response.status, response.text());
        let failures = self.envoy.vm_failures().await?;
        ensure!(failures.is_empty(), "a VM died:\n{}", failures.join("\n"));
        let signature = token.rsplit('.').next().context("a signature")?;
        ensure!(!self.envoy.log().contains(signature), "the token stands in the log");
        Ok(())
    }
}

/// The options of Envoy's HTTP connection manager.
pub fn http_options(tree: &mut Value) -> &mut Value {
    http_options_of(&mut tree["static_resources"]["listeners"][0])
}

/// The same of one listener of several.
pub fn http_options_of(listener: &mut Value) -> &mut Value {
    &mut listener["filter_chains"][0]["filters"][0]["typed_config"]
}

/// Enables CONNECT and upgrades to WebSocket, so that they reach the filter.
pub fn with_upgrades(tree: &mut Value) {
    let http = http_options(tree);
    http["http2_protocol_options"] = json!({ "allow_connect": true });
    http["upgrade_configs"] =
        json!([{ "upgrade_type": "websocket" }, { "upgrade_type": "CONNECT" }]);
    let tunnel = json!({
        "match": { "connect_matcher": {} },
        "route": {
            "cluster": "upstream",
            "upgrade_configs": [{ "upgrade_type": "CONNECT", "connect_config": {} }],
        },
    });
    let routes = http.pointer_mut("/route_config/virtual_hosts/0/routes");
    routes.and_then(Value::as_array_mut).expect("routes").insert(0, tunnel);
}

/// The number of requests that Envoy has received and not answered.
pub const ACTIVE: &str = "http.inbound.downstream_rq_active";

/// Status and body of the last response; `100 Continue` may precede it.
fn split(answer: &[u8]) -> Option<(u64, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (answer.get(..end)?, answer.get(end + 4..)?);
    let status = std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()?;
    if (100..200).contains(&status) { split(body) } else { Some((status, body)) }
}

//! An upstream that echoes and records requests.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpStream;

use crate::headers::{Pairs, first, pairs, text};
use crate::lock::lock;
use crate::serve::Server;

/// A server for HTTP/1.1 and HTTP/2 (h2c) that answers 200 with what it received.
#[derive(Debug)]
pub struct Upstream {
    server: Server,
    shared: Arc<Shared>,
}

/// One request as the upstream saw it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Received {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// `:authority` or Host.
    pub authority: String,
    /// Every header, in order; the bytes as they came.
    pub headers: Pairs,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers, if any came.
    pub trailers: Pairs,
}

#[derive(Debug, Default)]
struct Shared {
    heads: AtomicUsize,
    received: Mutex<Vec<Received>>,
    answer: Mutex<Option<(u16, HeaderMap)>>,
    /// Which requests stay in the record; None for all.
    kept: Mutex<Option<Kept>>,
}

/// Whether a request stays in the record.
type Kept = fn(&Received) -> bool;

// === impl Upstream ===

impl Upstream {
    /// Starts on a free port.
    pub async fn start() -> Result<Self> {
        Self::start_at(0).await
    }

    /// Starts on this port of 127.0.0.1.
    pub async fn start_at(port: u16) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let for_connections = shared.clone();
        let connected = move |stream| serve(stream, for_connections.clone());
        Ok(Self { server: Server::start(port, connected).await?, shared })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Every request so far that arrived to its end.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// How many requests began to arrive so far: their headers are here, their bodies perhaps not.
    pub fn count(&self) -> usize {
        self.shared.heads.load(Ordering::SeqCst)
    }

    /// The last request.
    pub fn last(&self) -> Option<Received> {
        lock(&self.shared.received).last().cloned()
    }

    /// From now on keeps only requests like these in its record, for those who send a great many.
    pub fn keep_only(&self, kept: fn(&Received) -> bool) {
        *lock(&self.shared.kept) = Some(kept);
    }

    /// From now on answers with this status and these headers (a redirect, say), still with the echo.
    pub fn answer_with(&self, status: u16, headers: &[(&'static str, &str)]) -> Result<()> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value)?);
        }
        *lock(&self.shared.answer) = Some((status, map));
        Ok(())
    }
}

// === impl Received ===

impl Received {
    /// The first value of a header, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        first(&self.headers, name)
    }

    fn echo(&self) -> String {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| json!([name, text(value)])).collect();
        json!({
            "method": self.method,
            "path": self.path,
            "authority": self.authority,
            "headers": headers,
            "body": text(&self.body),
        })
        .to_string()
    }
}

// === private ===

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { answer(request, &shared).await }
    });
    // A connection closed by Envoy is not an error.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
) -> hyper::Result<Response<BoxBody<Bytes, Infallible>>> {
    shared.heads.fetch_add(1, Ordering::SeqCst);
    let received = read(request).await?;
    let grpc =
        received.header("content-type").is_some_and(|value| value.starts_with("application/grpc"));
    let echo = Full::new(Bytes::from(received.echo()));
    if lock(&shared.kept).is_none_or(|kept| kept(&received)) {
        lock(&shared.received).push(received);
    }
    let mut response = if grpc { grpc_response(echo) } else { json_response(echo) };
    if let Some((status, headers)) = lock(&shared.answer).clone() {
        *response.status_mut() = status.try_into().unwrap_or_default();
        response.headers_mut().extend(headers);
    }
    Ok(response)
}

async fn read(request: Request<Incoming>) -> hyper::Result<Received> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().map(pairs).unwrap_or_default();
    let from_uri = parts.uri.authority().map(ToString::to_string);
    let host = || parts.headers.get("host").map(|host| text(host.as_bytes()));
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    Ok(Received {
        method: parts.method.to_string(),
        path: path.to_owned(),
        authority: from_uri.or_else(host).unwrap_or_default(),
        headers: pairs(&parts.headers),
        body: body.to_bytes().to_vec(),
        trailers,
    })
}

fn json_response(echo: Full<Bytes>) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(echo.boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn grpc_response(echo: Full<Bytes>) -> Response<BoxBody<Bytes, Infallible>> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let mut response = Response::new(echo.with_trailers(async { Some(Ok(trailers)) }).boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

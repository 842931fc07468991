//! A client for requests to Envoy.

mod connection;
mod http1;
mod raw;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::headers::{Pairs, first, text};

pub use connection::{Connection, is_unsent};
pub use raw::raw;

/// A request, built up step by step.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Request {
    method: String,
    path: String,
    headers: Pairs,
    body: Vec<u8>,
    trailers: Pairs,
    http2: bool,
}

/// A complete response.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Every header, in order; the bytes as they came.
    pub headers: Pairs,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers, if any came.
    pub trailers: Pairs,
}

// === impl Request ===

impl Request {
    /// A GET.
    pub fn get(path: &str) -> Self {
        Self::method("GET", path)
    }

    /// A POST.
    pub fn post(path: &str) -> Self {
        Self::method("POST", path)
    }

    /// Any method.
    pub fn method(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Pairs::new(),
            body: Vec::new(),
            trailers: Pairs::new(),
            http2: false,
        }
    }

    /// Adds a header, also a second one of the same name; `host` replaces the default.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.as_ref().to_vec()));
        self
    }

    /// Its headers, as they were added.
    pub fn headers(&self) -> &Pairs {
        &self.headers
    }

    /// What Envoy hands a filter of it: pseudo-headers first, several `authorization` lines as one.
    pub fn header_map(&self) -> Pairs {
        let host = self.headers.iter().rfind(|(name, _)| name == "host");
        let authority = host.map_or(b"localhost".as_slice(), |(_, value)| value);
        let (method, path) = (self.method.as_bytes(), self.path.as_bytes());
        let mut map: Pairs = [(":authority", authority), (":method", method), (":path", path)]
            .map(|(name, value)| (name.to_owned(), value.to_vec()))
            .to_vec();
        for (name, value) in self.headers.iter().filter(|(name, _)| name != "host") {
            match map.iter_mut().find(|(known, _)| name == "authorization" && known == name) {
                Some((_, joined)) => *joined = [joined.as_slice(), value].join(&b','),
                None => map.push((name.clone(), value.clone())),
            }
        }
        map
    }

    /// Adds `authorization: Bearer <token>`.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a trailer behind the body (HTTP/2, or HTTP/1.1 chunked).
    pub fn trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.trailers.push((name.to_ascii_lowercase(), value.as_ref().to_vec()));
        self
    }

    /// Sends it over HTTP/2, without TLS.
    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Makes it look like a gRPC call.
    pub fn grpc(self) -> Self {
        self.http2().header("content-type", "application/grpc").header("te", "trailers")
    }

    /// Sends it to this port of 127.0.0.1, on a connection of its own.
    pub async fn send(&self, port: u16) -> Result<Response> {
        let mut connection = if self.http2 {
            Connection::http2(port).await?
        } else {
            Connection::http1(port).await?
        };
        connection.send(self).await
    }
}

// === impl Response ===

impl Response {
    /// The first value of a header, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        first(&self.headers, name)
    }

    /// The first value of a trailer, as text.
    pub fn trailer(&self, name: &str) -> Option<String> {
        first(&self.trailers, name)
    }

    /// `grpc-status`, from the headers (an answer without a message) or the trailers.
    pub fn grpc_status(&self) -> Option<u32> {
        let status = self.header("grpc-status").or_else(|| self.trailer("grpc-status"));
        status.and_then(|status| status.parse().ok())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        text(&self.body)
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }

    /// The filter's reason: the member "reason" of a JSON body.
    pub fn reason(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body.get("reason").and_then(Value::as_str).map(str::to_owned)
    }
}

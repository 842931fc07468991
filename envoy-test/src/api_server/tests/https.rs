//! Sends requests to the fake API server over TLS, verified with its CA.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::ApiServer;
use crate::headers::text;

pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Answered {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(super) async fn ask(
    api_server: &ApiServer,
    method: &str,
    path: &str,
    token: Option<&str>,
    accept: Option<&str>,
    body: &str,
) -> Result<Answered> {
    let mut request = hyper::Request::builder().method(method).uri(path).header("host", "any");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if let Some(accept) = accept {
        request = request.header("accept", accept);
    }
    let stream = TcpStream::connect(("127.0.0.1", api_server.port())).await?;
    let name = ServerName::try_from("kubernetes.default.svc")?;
    let stream = connector(api_server.ca_pem())?.connect(name, stream).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await.context("reading the body")?.to_bytes();
    driver.abort();
    let pair = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        (name.to_string(), text(value.as_bytes()))
    };
    Ok(Answered {
        status: parts.status.as_u16(),
        headers: parts.headers.iter().map(pair).collect(),
        body: text(&body),
    })
}

fn connector(ca_pem: &str) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

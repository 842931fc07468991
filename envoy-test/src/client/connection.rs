//! A connection for many requests.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Request, Response};
use crate::headers::{Pairs, pairs};
use crate::poll::LIMIT;

type Body = BoxBody<Bytes, Infallible>;

/// One TCP connection, kept for as many requests as wanted, one at a time.
#[derive(Debug)]
pub struct Connection {
    server: String,
    sender: Sender,
    driver: JoinHandle<()>,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

// === impl Connection ===

impl Connection {
    /// Connects to 127.0.0.1 for HTTP/1.1.
    pub async fn http1(port: u16) -> Result<Self> {
        Self::http1_to(&local(port)).await
    }

    /// Connects to any `host:port` for HTTP/1.1.
    pub async fn http1_to(server: &str) -> Result<Self> {
        let (sender, connection) = http1::handshake(connect(server).await?).await?;
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { server: server.to_owned(), sender: Sender::Http1(sender), driver })
    }

    /// Connects to 127.0.0.1 for HTTP/2 with prior knowledge.
    pub async fn http2(port: u16) -> Result<Self> {
        Self::http2_over(local(port), connect(&local(port)).await?).await
    }

    /// The same from this address, which must be one of the loopback interface (127.0.0.0/8).
    pub async fn http2_from(source: Ipv4Addr, port: u16) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((source, 0)))?;
        let stream = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        Self::http2_over(local(port), TokioIo::new(stream)).await
    }

    async fn http2_over(server: String, io: TokioIo<TcpStream>) -> Result<Self> {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { server, sender: Sender::Http2(sender), driver })
    }

    /// Sends all requests at once, as streams of this HTTP/2 connection; the answers are in the order of the requests.
    pub async fn send_at_once(&self, requests: &[Request]) -> Result<Vec<Response>> {
        let Sender::Http2(sender) = &self.sender else { bail!("only HTTP/2 has streams") };
        let mut sent = Vec::new();
        for request in requests {
            let (mut sender, message) = (sender.clone(), self.message(request)?);
            sender.ready().await?;
            sent.push(tokio::spawn(async move { read(sender.send_request(message).await?).await }));
        }
        let mut responses = Vec::new();
        for response in sent {
            let response = timeout(LIMIT, response).await.context("no answer in time")?;
            responses.push(response??);
        }
        Ok(responses)
    }

    /// Sends a request in this connection's protocol, and reads the answer to its end.
    pub async fn send(&mut self, request: &Request) -> Result<Response> {
        let what = format!("{} {}", request.method, request.path);
        timeout(LIMIT, self.exchange(request))
            .await
            .with_context(|| format!("no answer to {what} in {LIMIT:?}"))?
            .with_context(|| what)
    }

    /// Whether another request can be sent: Envoy has not said that it is the last.
    pub fn is_open(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => !sender.is_closed(),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }

    async fn exchange(&mut self, request: &Request) -> Result<Response> {
        let message = self.message(request)?;
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(message).await?
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(message).await?
            }
        };
        read(response).await
    }

    fn message(&self, request: &Request) -> Result<hyper::Request<Body>> {
        let host = request.headers.iter().rfind(|(name, _)| name == "host");
        let host = host.map_or(self.server.as_bytes(), |(_, value)| value);
        let mut headers = HeaderMap::new();
        let uri = match self.sender {
            Sender::Http1(_) => {
                headers.insert("host", HeaderValue::from_bytes(host)?);
                request.path.clone()
            }
            Sender::Http2(_) => format!("http://{}{}", std::str::from_utf8(host)?, request.path),
        };
        append(&mut headers, request.headers.iter().filter(|(name, _)| name != "host"))?;
        let mut message = hyper::Request::builder()
            .method(request.method.as_str())
            .uri(uri)
            .body(body(request)?)?;
        *message.headers_mut() = headers;
        Ok(message)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Whether a request failed before any of it was sent, because its connection had just ended: a caller that sends
/// it on another one does not send it twice.
pub fn is_unsent(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<hyper::Error>();
    error.is_some_and(|error| error.is_canceled() || error.is_closed())
}

// === private ===

fn local(port: u16) -> String {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string()
}

async fn connect(server: &str) -> Result<TokioIo<TcpStream>> {
    let stream =
        TcpStream::connect(server).await.with_context(|| format!("connecting to {server}"))?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

fn body(request: &Request) -> Result<Body> {
    let body = Full::new(Bytes::from(request.body.clone()));
    if request.trailers.is_empty() {
        return Ok(body.boxed());
    }
    let mut trailers = HeaderMap::new();
    append(&mut trailers, request.trailers.iter())?;
    Ok(body.with_trailers(async { Some(Ok(trailers)) }).boxed())
}

fn append<'a>(
    map: &mut HeaderMap,
    pairs: impl Iterator<Item = &'a (String, Vec<u8>)>,
) -> Result<()> {
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        map.append(name, HeaderValue::from_bytes(value)?);
    }
    Ok(())
}

async fn read(response: hyper::Response<Incoming>) -> Result<Response> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().map_or_else(Pairs::new, pairs);
    Ok(Response {
        status: parts.status.as_u16(),
        headers: pairs(&parts.headers),
        body: body.to_bytes().to_vec(),
        trailers,
    })
}

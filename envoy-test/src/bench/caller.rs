//! A caller that sends one request after another on one connection.
//!
//! It parses only what is necessary: the upstream's responses have no body, so a `200` ends with
//! its headers, and any other response is an error, unless the caller requests the details.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// What a request was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

/// A connection that is kept.
#[derive(Debug)]
pub struct Caller {
    stream: TcpStream,
    head: Vec<u8>,
    message: Vec<u8>,
    answer: Vec<u8>,
}

// === impl Caller ===

impl Caller {
    /// Connects; every request is a GET for `path`, with the headers that a service in a mesh sends.
    pub fn connect(port: u16, path: &str) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("connecting to 127.0.0.1:{port}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let head = format!("GET {path} HTTP/1.1\r\n{HEADERS}authorization: Bearer ").into_bytes();
        Ok(Self { stream, head, message: Vec::new(), answer: vec![0; ANSWER_BYTES] })
    }

    /// Sends one request with this token; whatever is answered, as long as its length is announced.
    pub fn ask(&mut self, token: &str) -> Result<Answer> {
        self.write(token)?;
        let mut length = 0;
        loop {
            length += self.read(length)?;
            let text = String::from_utf8_lossy(self.answer.get(..length).unwrap_or_default());
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let announced = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let announced: usize = announced.context("no content-length")?.parse()?;
            if body.len() >= announced {
                let status = head.split(' ').nth(1).context("no status")?.parse()?;
                return Ok(Answer { status, body: body.to_owned() });
            }
        }
    }

    /// Sends one request with this token; how long the answer took, which must be a 200.
    pub fn send(&mut self, token: &str) -> Result<Duration> {
        let start = self.write(token)?;
        let mut length = 0;
        loop {
            length += self.read(length)?;
            let answer = self.answer.get(..length).unwrap_or_default();
            if answer.len() >= OK.len() && !answer.starts_with(OK) {
                bail!("not answered with 200: {}", String::from_utf8_lossy(answer));
            }
            if answer.ends_with(END) {
                return Ok(start.elapsed());
            }
        }
    }

    fn write(&mut self, token: &str) -> Result<Instant> {
        self.message.clear();
        self.message.extend_from_slice(&self.head);
        self.message.extend_from_slice(token.as_bytes());
        self.message.extend_from_slice(END);
        let start = Instant::now();
        self.stream.write_all(&self.message)?;
        Ok(start)
    }

    /// Reads what there is behind the first bytes of the answer; how much that was.
    fn read(&mut self, length: usize) -> Result<usize> {
        let free = self.answer.get_mut(length..).unwrap_or_default();
        ensure!(!free.is_empty(), "an answer of more than {ANSWER_BYTES} bytes");
        let read = self.stream.read(free).context("waiting for an answer")?;
        ensure!(read > 0, "the connection was closed in place of an answer");
        Ok(read)
    }
}

const LIMIT: Duration = Duration::from_secs(20);
const ANSWER_BYTES: usize = 4096;
const OK: &[u8] = b"HTTP/1.1 200 ";
const END: &[u8] = b"\r\n\r\n";

const HEADERS: &str = "\
    host: secret-store.prod.svc.cluster.local\r\n\
    user-agent: api-server/2.14.1\r\n\
    accept: application/json\r\n\
    accept-encoding: gzip, deflate, br\r\n\
    content-type: application/json\r\n\
    x-request-id: 3f1c9a52-6b0e-4a8e-9d27-5b8f0c1a7e44\r\n\
    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";

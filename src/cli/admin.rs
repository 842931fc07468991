//! A client for Envoy's admin address: HTTP/1.1 without TLS, one request for each connection.

use super::Failure;
use serde_json::Value;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// An admin address.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Host and port.
    authority: String,
}

// === impl Admin ===

impl Admin {
    /// Parses a URL, or host and port.
    pub fn parse(url: &str) -> Result<Self, Failure> {
        if url.starts_with("https://") {
            return Err(Failure(format!(
                "--admin {url:?}: Envoy's admin address has no TLS; use http://"
            )));
        }
        let rest = url.strip_prefix("http://").unwrap_or(url);
        let authority = rest.split('/').next().unwrap_or_default();
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        match port {
            Some(_) => Ok(Self { authority: authority.to_owned() }),
            None => Err(Failure(format!(
                "--admin {url:?}: expected a URL with a port, for example http://127.0.0.1:9901"
            ))),
        }
    }

    /// The local port of a port-forward.
    pub fn local(port: u16) -> Self {
        Self { authority: format!("127.0.0.1:{port}") }
    }

    /// The body of a response with status 200.
    pub fn get(&self, path: &str) -> Result<String, Failure> {
        let failure = |why: String| Failure(format!("http://{}{path}: {why}", self.authority));
        let bytes = self.exchange(path).map_err(|error| failure(error.to_string()))?;
        let (status, body) =
            response(&bytes).ok_or_else(|| failure("not an HTTP response".to_owned()))?;
        if status != 200 {
            return Err(failure(format!("status {status}; is this Envoy's admin address?")));
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// The body of a response as JSON.
    pub fn get_json(&self, path: &str) -> Result<Value, Failure> {
        let body = self.get(path)?;
        serde_json::from_str(&body)
            .map_err(|error| Failure(format!("http://{}{path}: not JSON: {error}", self.authority)))
    }

    fn exchange(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in self.authority.to_socket_addrs()? {
            match self.exchange_with(address, path) {
                Ok(bytes) => return Ok(bytes),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn exchange_with(&self, address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let host = &self.authority;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut bytes = Vec::new();
        stream.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// The status and the body of a response (RFC 9112) after which the server closed the connection.
fn response(bytes: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (bytes.get(..end)?, bytes.get(end + 4..)?);
    let head = std::str::from_utf8(head).ok()?.to_ascii_lowercase();
    let status = head.strip_prefix("http/1.")?.split(' ').nth(1)?.parse().ok()?;
    let has = |wanted: &str| head.lines().any(|line| line.replace(' ', "") == wanted);
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    match (has("transfer-encoding:chunked"), length) {
        (true, _) => Some((status, unchunked(body)?)),
        (false, Some(length)) => Some((status, body.get(..length)?.to_vec())),
        (false, None) => Some((status, body.to_vec())),
    }
}

/// The content of a chunked body (RFC 9112 section 7.1); `None` if it is incomplete.
fn unchunked(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let end = body.windows(2).position(|window| window == b"\r\n")?;
        let line = std::str::from_utf8(body.get(..end)?).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(content);
        }
        let rest = body.get(end + 2..)?;
        content.extend_from_slice(rest.get(..size)?);
        body = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

const TIMEOUT: Duration = Duration::from_secs(10);

/// The configuration of a gateway with thousands of clusters has a few hundred megabytes.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_responses_are_read() {
        for (bytes, expected) in [
            (&b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"[..], Some((200, "abc"))),
            (b"HTTP/1.1 404 Not Found\r\n\r\nabc", Some((404, "abc"))),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n",
                Some((200, "abc")),
            ),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nab", None),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc", None),
            (b"SSH-2.0-OpenSSH\r\n\r\n", None),
            (b"", None),
        ] {
            let expected = expected.map(|(status, body)| (status, body.as_bytes().to_vec()));
            assert_eq!(response(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn address_needs_a_port_and_no_tls() {
        let parsed = |url| Admin::parse(url).map(|admin| admin.authority).map_err(|why| why.0);
        assert_eq!(parsed("http://127.0.0.1:9901/").as_deref(), Ok("127.0.0.1:9901"));
        assert_eq!(parsed("[::1]:15000").as_deref(), Ok("[::1]:15000"));
        assert!(parsed("http://localhost").is_err_and(|why| why.contains("with a port")));
        assert!(parsed("https://localhost:1").is_err_and(|why| why.contains("no TLS")));
    }
}

//! Writes requests and parses responses of HTTP/1.1.
//!
//! For callers that hyper does not support: slow ones, and ones that send only a part.

use super::{Request, Response};
use crate::headers::Pairs;

// === impl Request ===

impl Request {
    /// As HTTP/1.1 sends it, on a connection that ends with the answer; without trailers.
    pub fn http1_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        let mut line = |name: &str, value: &[u8]| {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        };
        if !self.headers.iter().any(|(name, _)| name == "host") {
            line("host", b"localhost");
        }
        self.headers.iter().for_each(|(name, value)| line(name, value));
        line("connection", b"close");
        if !self.body.is_empty() {
            line("content-length", self.body.len().to_string().as_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

// === impl Response ===

impl Response {
    /// An answer whose body ends with its connection; None for what is none.
    pub fn parse_http1(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().as_bytes().to_vec()))
        };
        let headers = lines.map(header).collect::<Option<Pairs>>()?;
        let body = bytes.get(end + 4..)?.to_vec();
        Some(Self { status, headers, body, trailers: Pairs::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_written_as_by_hyper_except_the_order() {
        let request = Request::post("/a").header("x-a", "b").body("hello");
        let expected = "POST /a HTTP/1.1\r\nhost: localhost\r\nx-a: b\r\nconnection: close\r\n\
            content-length: 5\r\n\r\nhello";
        assert_eq!(String::from_utf8_lossy(&request.http1_bytes()), expected);
    }

    #[test]
    fn response_is_read_to_its_end() {
        let answer = Response::parse_http1(b"HTTP/1.1 401 Unauthorized\r\nX-A: b\r\n\r\n{}");
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.header("x-a").as_deref()), (401, Some("b")));
        assert_eq!(answer.text(), "{}");
        assert!(Response::parse_http1(b"HTTP/1.1 200 OK\r\n").is_none());
    }
}

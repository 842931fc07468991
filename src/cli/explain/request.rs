//! The request that the arguments describe, as the header map that Envoy passes to the filter.

use super::Failure;
use crate::cli::request_line::RequestLine;
use clap::ValueEnum;
use sa_authn::authn::bearer::TokenSource;
use sa_authn::connection::Connection;
use sa_authn::connection::Direction;
use sa_authn::headers::to_map;

/// The arguments that describe the request.
#[derive(Debug, clap::Args)]
pub struct RequestOptions {
    /// Method and path, such as 'GET /secrets/1'; or a URL, or a command line of curl
    #[arg(long, value_name = "LINE", default_value = "GET /")]
    request: String,

    /// Host of the request; default: the host of the URL, or localhost
    #[arg(long)]
    host: Option<String>,

    /// Additional header, as 'name: value'
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,

    /// URI in the certificate of the mTLS peer, such as spiffe://cluster.local/ns/api/sa/api
    #[arg(long, value_name = "URI")]
    peer: Option<String>,

    /// Direction of the listener
    #[arg(long)]
    direction: Option<Arrival>,

    /// Port of the listener
    #[arg(long)]
    port: Option<u16>,
}

/// The direction of a listener.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Arrival {
    Inbound,
    Outbound,
}

// === impl RequestOptions ===

impl RequestOptions {
    /// The request line and host, and what was taken from a URL or a curl command line.
    pub fn line(&self) -> String {
        match self.parsed() {
            Ok(line) => {
                let took = line.took.as_ref().map_or(String::new(), |took| format!(" ({took})"));
                format!("{} {}, host {}{took}", line.method, line.path, self.host(&line))
            }
            Err(_) => self.request.clone(),
        }
    }

    fn parsed(&self) -> Result<RequestLine, Failure> {
        let parsed = self.request.parse();
        parsed.map_err(|why: String| Failure(format!("--request {:?}: {why}", self.request)))
    }

    fn host(&self, line: &RequestLine) -> String {
        self.host.clone().or_else(|| line.host.clone()).unwrap_or_else(|| "localhost".to_owned())
    }

    /// The attributes of the connection.
    pub fn connection(&self) -> Connection {
        let direction = self.direction.map(|direction| match direction {
            Arrival::Inbound => Direction::Inbound,
            Arrival::Outbound => Direction::Outbound,
        });
        Connection {
            direction,
            port: self.port,
            peer_uri: self.peer.clone(),
            ..Connection::default()
        }
    }

    /// The headers of the request, with the token in the first of `sources`.
    pub fn map(&self, sources: &[TokenSource], token: Option<&[u8]>) -> Result<Vec<u8>, Failure> {
        let line = self.parsed()?;
        let host = self.host(&line);
        let mut headers: Vec<(String, Vec<u8>)> =
            [(":authority", &host), (":method", &line.method), (":path", &line.path)]
                .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
                .to_vec();
        for header in line.headers.iter().chain(&self.header) {
            // The colon before the value, not the first character of a pseudo-header.
            let colon = header.char_indices().skip(1).find(|(_, c)| *c == ':').map(|(at, _)| at);
            let (name, value) = colon
                .and_then(|at| Some((header.get(..at)?, header.get(at + 1..)?)))
                .ok_or_else(|| Failure("--header: expected 'name: value'".to_owned()))?;
            let value = value.strip_prefix(' ').unwrap_or(value);
            add(&mut headers, name.to_ascii_lowercase(), value.as_bytes());
        }
        if let (Some(source), Some(token)) = (sources.first(), token) {
            let prefix = source.prefix.as_deref().unwrap_or_default().as_bytes();
            add(&mut headers, source.header.to_string(), &[prefix, token].concat());
        }
        Ok(to_map(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()))))
    }
}

/// Adds a header. Envoy joins several `authorization` headers with a comma.
fn add(headers: &mut Vec<(String, Vec<u8>)>, name: String, value: &[u8]) {
    let same = headers.iter_mut().find(|(known, _)| name == "authorization" && *known == name);
    match same {
        Some((_, joined)) => *joined = [joined.as_slice(), value].join(&b','),
        None => headers.push((name, value.to_vec())),
    }
}

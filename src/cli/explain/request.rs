//! A request as the arguments have it -> the header map that Envoy would hand to the filter.

use super::Failure;
use clap::ValueEnum;
use sa_authn::authn::bearer::TokenSource;
use sa_authn::authz::rule::Direction;
use sa_authn::connection::Connection;
use sa_authn::headers::to_map;

/// The request.
#[derive(Debug, clap::Args)]
pub struct Sent {
    /// Method and path, such as 'GET /secrets/1'
    #[arg(long, value_name = "LINE", default_value = "GET /")]
    request: String,

    /// The host that is asked
    #[arg(long, default_value = "localhost")]
    host: String,

    /// A further header, as 'name: value'
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,

    /// The URI in the mTLS peer's certificate, such as spiffe://cluster.local/ns/api/sa/api
    #[arg(long, value_name = "URI")]
    peer: Option<String>,

    /// Where the request came in
    #[arg(long)]
    direction: Option<Arrival>,

    /// The listener's port
    #[arg(long)]
    port: Option<u16>,
}

/// The direction of a listener.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Arrival {
    Inbound,
    Outbound,
}

// === impl Sent ===

impl Sent {
    /// How the request is called.
    pub fn line(&self) -> String {
        format!("{}, host {}", self.request, self.host)
    }

    /// What its connection says.
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

    /// Its headers, with the token in the first of `sources`.
    pub fn map(&self, sources: &[TokenSource], token: Option<&[u8]>) -> Result<Vec<u8>, Failure> {
        let (method, path) = self.request.split_once(' ').ok_or_else(|| {
            Failure(format!(
                "--request {:?}: must be method and path, such as 'GET /'",
                self.request
            ))
        })?;
        let mut headers: Vec<(String, Vec<u8>)> =
            [(":authority", self.host.as_str()), (":method", method), (":path", path)]
                .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
                .to_vec();
        for header in &self.header {
            // The colon before a value, and not that of a pseudo-header's name.
            let colon = header.char_indices().skip(1).find(|(_, c)| *c == ':').map(|(at, _)| at);
            let (name, value) = colon
                .and_then(|at| Some((header.get(..at)?, header.get(at + 1..)?)))
                .ok_or_else(|| Failure("--header: must be 'name: value'".to_owned()))?;
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

/// Envoy joins several `authorization` lines with a comma.
fn add(headers: &mut Vec<(String, Vec<u8>)>, name: String, value: &[u8]) {
    let same = headers.iter_mut().find(|(known, _)| name == "authorization" && *known == name);
    match same {
        Some((_, joined)) => *joined = [joined.as_slice(), value].join(&b','),
        None => headers.push((name, value.to_vec())),
    }
}

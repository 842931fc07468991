//! Reads connection attributes from Envoy.

use crate::connection::Direction;
use crate::connection::{Connection, ConnectionFacts, SourceAddress};
use proxy_wasm::hostcalls;

/// Reads the attributes that are needed. An attribute that cannot be read is absent, and meets no condition.
pub(super) fn read(facts: ConnectionFacts) -> Connection {
    let number = |path: &[&str]| property(path)?.try_into().ok().map(i64::from_le_bytes);
    Connection {
        direction: facts
            .direction
            .then(|| number(&["xds", "listener_direction"]))
            .flatten()
            .and_then(|direction| match direction {
                1 => Some(Direction::Inbound),
                2 => Some(Direction::Outbound),
                _ => None,
            }),
        port: facts
            .port
            .then(|| number(&["destination", "port"]))
            .flatten()
            .and_then(|port| u16::try_from(port).ok()),
        peer_uri: facts.peer_uri.then(peer_uri).flatten(),
        source: SourceAddress(source_address),
    }
}

/// The address of the request of the effective context.
fn source_address() -> Option<String> {
    String::from_utf8(property(&["source", "address"])?).ok()
}

/// The URI of the certificate that the peer presented; not that of a plain connection. Whether it was
/// verified is for the listener to see to: no attribute tells (`ACCEPT_UNTRUSTED` would forge it).
fn peer_uri() -> Option<String> {
    let mtls = property(&["connection", "mtls"])?;
    let uri = property(&["connection", "uri_san_peer_certificate"])?;
    (mtls == [1]).then(|| String::from_utf8(uri).ok()).flatten().filter(|uri| !uri.is_empty())
}

/// An attribute of Envoy's.
pub(super) fn property(path: &[&str]) -> Option<Vec<u8>> {
    hostcalls::get_property(path.to_vec()).ok()?
}

//! What a request's connection says, as far as the configuration asks for it.

use crate::authz::rule::Direction;

/// Facts that Envoy knows of a request besides its headers. They do not change while it waits.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// `xds.listener_direction`.
    pub direction: Option<Direction>,
    /// `destination.port`: the listener's.
    pub port: Option<u16>,
    /// `connection.uri_san_peer_certificate`, of a certificate that the listener has verified.
    pub peer_uri: Option<String>,
    /// `source.address`, which is only read for a request that is about to be paused.
    pub source: SourceAddress,
}

/// Reads the address that a request came from, with its port; `None` where Envoy has none.
#[derive(Clone, Copy, Debug)]
pub struct SourceAddress(pub fn() -> Option<String>);

/// Which facts are needed: each costs a call to the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// [`Connection::direction`].
    pub direction: bool,
    /// [`Connection::port`].
    pub port: bool,
    /// [`Connection::peer_uri`].
    pub peer_uri: bool,
}

// === impl SourceAddress ===

impl Default for SourceAddress {
    fn default() -> Self {
        Self(|| None)
    }
}

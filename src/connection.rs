//! What a request's connection says, as far as the configuration asks for it.

use crate::authz::rule::Direction;

/// Facts that Envoy knows of a request besides its headers. They do not change while it waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// `xds.listener_direction`.
    pub direction: Option<Direction>,
    /// `destination.port`: the listener's.
    pub port: Option<u16>,
    /// `connection.uri_san_peer_certificate`, of a certificate that the listener has verified.
    pub peer_uri: Option<String>,
}

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

//! Attributes of a request's connection that the configuration uses.

/// Attributes of a request other than its headers. They do not change while the request is paused.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// `xds.listener_direction`.
    pub direction: Option<Direction>,
    /// `destination.port`: the listener's.
    pub port: Option<u16>,
    /// `connection.uri_san_peer_certificate`, of a certificate that the listener has verified.
    pub peer_uri: Option<String>,
    /// `source.address`, which is read only if the request is paused.
    pub source: SourceAddress,
}

/// `xds.listener_direction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the workload.
    Inbound,
    /// From the workload.
    Outbound,
}

/// Reads the source address of a request, with its port; `None` if Envoy has none.
#[derive(Clone, Copy, Debug)]
pub struct SourceAddress(pub fn() -> Option<String>);

/// Which attributes are needed. Each costs a call to the host.
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

//! Sends raw bytes, and returns the bytes of the response.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Sends `bytes` on a connection of its own and returns what came until the other side closed it.
///
/// Where it is kept open, whatever came within two seconds; send `connection: close` to save them.
pub async fn raw(port: u16, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let (mut from, mut to) = stream.split();
    let mut answer = Vec::new();
    // Envoy cuts connections that broke the protocol, perhaps before everything is sent: that is an end,
    // too, and no error.
    let write = async { drop(to.write_all(bytes).await) };
    let read = async { while matches!(from.read_buf(&mut answer).await, Ok(1..)) {} };
    let _ = timeout(LISTEN, async { tokio::join!(write, read) }).await;
    Ok(answer)
}

const LISTEN: Duration = Duration::from_secs(2);

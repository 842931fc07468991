//! Bytes come in, as no well-behaved client would send them; the bytes of the answer go out.

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
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    // A reset after the answer is an end, too: Envoy cuts connections that broke the protocol.
    let _ =
        timeout(LISTEN, async { while matches!(stream.read_buf(&mut answer).await, Ok(1..)) {} })
            .await;
    Ok(answer)
}

const LISTEN: Duration = Duration::from_secs(2);

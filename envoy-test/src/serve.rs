//! A running server, which stops with all its connections on drop.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A server that accepts connections until it is dropped or stopped.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    accepting: JoinHandle<()>,
}

// === impl Server ===

impl Server {
    /// Listens on `port` (0: any) of 127.0.0.1 and gives each connection to `serve`.
    pub(crate) async fn start<F, Fut>(port: u16, serve: F) -> io::Result<Self>
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), serve).await
    }

    /// The same at any address.
    pub(crate) async fn start_at<F, Fut>(address: SocketAddr, serve: F) -> io::Result<Self>
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { port, accepting: tokio::spawn(accept(listener, serve)) })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Closes the port and cuts every connection; returns when that is done.
    pub(crate) async fn stop(mut self) {
        self.accepting.abort();
        // The error says that it was cancelled, which is what was asked for.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

// === private ===

async fn accept<F, Fut>(listener: TcpListener, serve: F)
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    // Dropping the set with this task aborts the connections, too.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                // Small answers on a kept connection must not wait for acknowledgements.
                let _ = stream.set_nodelay(true);
                connections.spawn(serve(stream));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

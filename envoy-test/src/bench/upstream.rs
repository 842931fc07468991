//! An upstream with minimal responses, which keeps the head of the last request.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::lock::lock;

/// A server for GETs over HTTP/1.1, with a thread a connection.
#[derive(Debug)]
pub struct BareUpstream {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    last: Mutex<Vec<u8>>,
}

// === impl BareUpstream ===

impl BareUpstream {
    /// Starts on a free port.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let accepting = shared.clone();
        thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { port, shared })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The head of the last request, as it came.
    pub fn last_head(&self) -> String {
        String::from_utf8_lossy(&lock(&self.shared.last)).into_owned()
    }
}

impl Drop for BareUpstream {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, to see that it is over.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

// === private ===

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = shared.clone();
        // Ends when Envoy closes the connection, which is no error.
        thread::spawn(move || drop(serve(stream, &shared)));
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let mut piece = vec![0; HEAD_BYTES];
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(piece.get(..read).unwrap_or_default());
        if head.ends_with(b"\r\n\r\n") {
            // Before the response, because the caller may then read the head.
            std::mem::swap(&mut *lock(&shared.last), &mut head);
            head.clear();
            stream.write_all(ANSWER)?;
        }
    }
}

const HEAD_BYTES: usize = 16 * 1024;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

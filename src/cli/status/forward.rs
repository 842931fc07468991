//! `kubectl port-forward` to the admin address of a pod's proxy.

use crate::cli::Failure;
use crate::cli::admin::Admin;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running `kubectl port-forward`, which ends when this is dropped.
#[derive(Debug)]
pub struct Forward {
    child: Child,
    /// kubectl writes a line for each connection, and a closed pipe would end it.
    _stdout: BufReader<ChildStdout>,
    /// The local end.
    pub admin: Admin,
}

// === impl Forward ===

impl Forward {
    /// Starts it and waits until it listens.
    pub fn start(namespace: Option<&str>, pod: &str, port: u16) -> Result<Self, Failure> {
        let mut command = Command::new("kubectl");
        command.arg("port-forward");
        command.args(namespace.map(|namespace| format!("--namespace={namespace}")));
        // `--` so that a pod's name cannot be an option.
        command.args(["--address=127.0.0.1", "--", pod, &format!(":{port}")]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| Failure(format!("kubectl port-forward: {error}")))?;
        let mut stdout = child.stdout.take().map(BufReader::new);
        let mut line = String::new();
        // Errors are ignored: without a line there is no port.
        let _ = stdout.as_mut().map(|stdout| stdout.read_line(&mut line));
        match (local_port(&line), stdout) {
            (Some(port), Some(stdout)) => {
                Ok(Self { child, _stdout: stdout, admin: Admin::local(port) })
            }
            _ => {
                let mut why = String::new();
                if let Some(stderr) = child.stderr.take() {
                    let _ = stderr.take(MAX_ERROR).read_to_string(&mut why);
                }
                // Errors are ignored: the process has ended already.
                let _ = child.kill();
                let _ = child.wait();
                // The lines before the last one are kubectl's log.
                let why = why.trim().lines().last().unwrap_or_default();
                Err(Failure(format!("kubectl port-forward: {why}")))
            }
        }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // Errors are ignored: the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `Forwarding from 127.0.0.1:40123 -> 15000`
fn local_port(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("127.0.0.1:")?;
    rest.split(' ').next()?.parse().ok()
}

const MAX_ERROR: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_port_is_in_the_first_line() {
        assert_eq!(local_port("Forwarding from 127.0.0.1:40123 -> 15000"), Some(40123));
        assert_eq!(local_port("error: x"), None);
    }
}

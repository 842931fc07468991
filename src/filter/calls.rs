//! Calls of the core's -> calls of Envoy's, and back.

use super::host::{self, Failed};
use crate::callout::{Callout, CalloutId, MAX_BODY_BYTES, Reply};
use std::collections::HashMap;

/// The calls under way: which of the core's one of the host's is.
#[derive(Default)]
pub(super) struct Calls(HashMap<u32, CalloutId>);

// === impl Calls ===

impl Calls {
    /// Sends a call. One that cannot be sent is answered at once.
    pub(super) fn send(&mut self, callout: &Callout) -> Result<(), Reply> {
        match dispatch(callout) {
            Ok(token) => {
                self.0.insert(token, callout.id);
                Ok(())
            }
            Err(host::BAD_ARGUMENT) => Err(Reply::UnknownCluster),
            Err(_) => Err(Reply::NotSent),
        }
    }

    /// Takes the answer to one of the host's calls; `None` when it is not one of ours.
    pub(super) fn answered(
        &mut self,
        token: u32,
        headers: usize,
        body: usize,
    ) -> Option<(CalloutId, Reply)> {
        let id = self.0.remove(&token)?;
        Some((id, if headers == 0 { Reply::Reset } else { read_reply(body) }))
    }
}

fn dispatch(callout: &Callout) -> Result<u32, Failed> {
    let mut headers = vec![
        (":method", if callout.body.is_some() { "POST" } else { "GET" }),
        (":scheme", "https"),
        (":authority", callout.authority.as_str()),
        (":path", callout.path.as_str()),
        ("accept", callout.accept),
        ("user-agent", concat!("sa-authn/", env!("CARGO_PKG_VERSION"))),
    ];
    if callout.body.is_some() {
        headers.push(("content-type", "application/json"));
    }
    host::dispatch(&callout.cluster, &headers, callout.body.as_deref(), callout.timeout)
}

fn read_reply(body_size: usize) -> Reply {
    let header = |name| {
        let value = host::callout_header(name).ok()?;
        String::from_utf8(value).ok().filter(|value| !value.is_empty())
    };
    let Some(status) = header(":status").and_then(|status| status.parse().ok()) else {
        return Reply::Reset;
    };
    let body = match body_size {
        0 => Some(Vec::new()),
        1..=MAX_BODY_BYTES => match host::callout_body(MAX_BODY_BYTES) {
            Ok(body) => Some(body),
            Err(_) => return Reply::Reset,
        },
        _ => None,
    };
    Reply::Response { status, cache_control: header("cache-control"), body }
}

//! A verdict -> what the host is told. Every call may fail, and whatever fails refuses the request.

use super::host::{self, Failed, Level};
use crate::exchange::Finished;
use crate::headers::to_map;
use crate::verdict::{Answer, Denial, HeaderEdits, Realm, Verdict};

/// Whether the request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// Its headers were edited; it may go on.
    Pass,
    /// It was answered, or could not be.
    Refused,
}

/// Carries out a verdict on the request of the effective context.
pub(super) fn apply(finished: &Finished, realm: &Realm) -> Applied {
    let edits = match &finished.verdict {
        Verdict::Deny(denial) => return refuse(denial, finished.grpc, realm),
        Verdict::Allow(_, edits) | Verdict::Shadow(_, edits) => edits,
    };
    match edit(edits) {
        Ok(()) => Applied::Pass,
        Err(Failed(status)) => {
            // Half-edited, the request could carry a forged name or a token.
            host::log(Level::Error, &format!("request headers cannot be edited: status {status}"));
            let denial = crate::verdict::Reason::Internal.because("headers cannot be edited");
            refuse(&denial, finished.grpc, realm)
        }
    }
}

fn edit(edits: &HeaderEdits) -> Result<(), Failed> {
    for name in &edits.remove {
        host::remove_request_header(name)?;
    }
    for (name, value) in &edits.set {
        host::set_request_header(name.as_bytes(), value)?;
    }
    Ok(())
}

/// Should even the answer fail, the request stays where it is and Envoy's own timeouts end it.
fn refuse(denial: &Denial, grpc: bool, realm: &Realm) -> Applied {
    let answer = Answer::to(denial, grpc, realm);
    let headers = to_map(answer.headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
    let sent = host::send_local_response(
        answer.status,
        answer.grpc_status,
        &answer.details,
        &headers,
        &answer.body,
    );
    if let Err(Failed(status)) = sent {
        host::log(Level::Error, &format!("a refusal cannot be sent: status {status}"));
    }
    Applied::Refused
}

//! A verdict -> what the host is told. Every call may fail, and whatever fails refuses the request.

use super::host::{self, Failed, Level};
use crate::config::Settings;
use crate::exchange::{Exchange, Finished};
use crate::headers::{UnreadableHeaders, claims_in_trailers, to_map};
use crate::verdict::{Answer, Denial, HeaderEdits, Reason, Verdict};

/// What has become of a request.
#[derive(Debug)]
pub(super) enum Applied {
    /// Its headers were edited; it may go on.
    Passes,
    /// It waits, and this is how to go on with it.
    Waits(Box<Exchange>),
    /// It stays where it is: it was answered, or could not be.
    Stays,
}

/// Carries out a verdict on the request of the effective context.
pub(super) fn apply(finished: &Finished, settings: &Settings) -> Applied {
    tell_others(finished);
    let edits = match &finished.verdict {
        Verdict::Deny(denial) => return refuse(denial, finished.grpc, settings),
        Verdict::Allow(_, edits) | Verdict::Shadow(_, edits) => edits,
    };
    match edit(edits) {
        Ok(()) => Applied::Passes,
        Err(Failed(status)) => {
            // Half-edited, the request could carry a forged name or a token.
            host::log(Level::Error, &format!("request headers cannot be edited: status {status}"));
            refuse(&Reason::Internal.because("headers cannot be edited"), finished.grpc, settings)
        }
    }
}

fn edit(edits: &HeaderEdits) -> Result<(), Failed> {
    for name in edits.removed() {
        host::remove_request_header(name)?;
    }
    for (name, value) in edits.set() {
        host::set_request_header(name.as_bytes(), value)?;
    }
    Ok(())
}

/// Takes out of the trailers what only we may say, and tokens that go no further. It is done when they
/// come, because those of a request that waits go on without being asked about again.
pub(super) fn clean_trailers(settings: &Settings) -> Result<(), Failed> {
    let map = host::request_trailers()?;
    let names = claims_in_trailers(&map, &settings.index);
    let names = names.map_err(|UnreadableHeaders| Failed(host::BAD_ARGUMENT.0))?;
    names.into_iter().try_for_each(host::remove_request_trailer)
}

/// Filter state: what access logs print, and filters behind this one match, of a proven caller.
fn tell_others(finished: &Finished) {
    let Ok(caller) = &finished.caller else { return };
    for (name, value) in caller.filter_state() {
        if let Err(Failed(status)) = host::set_property(name, value) {
            host::log(Level::Warn, &format!("filter state cannot be set: status {status}"));
        }
    }
}

/// Should even the answer fail, the request stays where it is and Envoy's own timeouts end it.
pub(super) fn refuse(denial: &Denial, grpc: bool, settings: &Settings) -> Applied {
    send(&Answer::to(denial, grpc, &settings.answers))
}

/// Sends an answer to the request of the effective context.
pub(super) fn send(answer: &Answer) -> Applied {
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
    Applied::Stays
}

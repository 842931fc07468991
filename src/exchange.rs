//! One request, from its headers to its verdict. Read this first.
//!
//! 1. Read the headers once.
//! 2. Find the one token.
//! 3. Find the rule that decides.
//! 4. Prove who sent the token; that may have to wait for keys.
//! 5. Let the policy decide.
//! 6. Turn the judgement into a verdict.
//!
//! An exchange keeps nothing of its request but when it came: one that waited is judged anew from its
//! headers, which the host keeps. So there is one way to a verdict, not one for the patient.

use crate::authenticator::{Authentication, Authenticator, Unproven};
use crate::authn::ServiceAccount;
use crate::authn::bearer::BearerToken;
use crate::config::Settings;
use crate::headers::{Headers, UnreadableHeaders};
use crate::time::UnixTime;
use crate::verdict::{Denial, HeaderEdits, Mode, Reason, Verdict};
use crate::waiting::{Hold, RequestId};
use std::rc::Rc;

/// The state machine of one request.
#[derive(Debug)]
pub struct Exchange {
    id: RequestId,
    arrived: UnixTime,
}

/// What happens to a request. Each brings its header map, in the host's form.
#[derive(Clone, Copy, Debug)]
pub enum Input<'m> {
    /// It came.
    Headers(&'m [u8]),
    /// Keys of the issuer that it waits for were fetched, or the fetch failed.
    KeysChanged(&'m [u8]),
    /// It waited long enough.
    DeadlinePassed(&'m [u8]),
}

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// Hold the request, its body and its trailers, until the next input.
    Hold,
    /// Do this; the exchange is over.
    Finish(Finished),
}

/// A verdict, and what its answer depends on besides.
#[derive(Debug)]
pub struct Finished {
    /// What becomes of the request.
    pub verdict: Verdict,
    /// Who was proven, whether or not that helped.
    pub caller: Option<Box<ServiceAccount>>,
    /// Whether the caller speaks gRPC.
    pub grpc: bool,
}

// === impl Exchange ===

impl Exchange {
    /// A request that has just come.
    pub fn new(id: RequestId, arrived: UnixTime) -> Self {
        Self { id, arrived }
    }

    /// Takes an input to the next step.
    pub fn step(&mut self, input: Input<'_>, with: &mut Authenticator, now: UnixTime) -> Step {
        let (map, patient) = match input {
            Input::Headers(map) | Input::KeysChanged(map) => (map, true),
            Input::DeadlinePassed(map) => (map, false),
        };
        let settings = Rc::clone(with.settings());
        let step = match Headers::read(map, &settings.index) {
            Ok(headers) => self.judge(&headers, &settings, patient, with, now),
            Err(UnreadableHeaders) => Step::Finish(unreadable()),
        };
        if let Step::Finish(_) = step {
            with.waiting().forget(self.id);
        }
        step
    }

    fn judge(
        &self,
        headers: &Headers<'_>,
        settings: &Settings,
        patient: bool,
        with: &mut Authenticator,
        now: UnixTime,
    ) -> Step {
        let token = BearerToken::find(&settings.token_sources, &headers.tokens);
        let route = settings.policy.route(headers.method, headers.path);
        let Authentication { caller, ours } = self.authenticate(token.as_ref().copied(), with, now);
        let caller = match caller {
            Err(Unproven::Waits(hold)) => {
                // An open path is not worth waiting for a name; shadow mode must not slow anyone down.
                let open = route.as_ref().is_ok_and(|route| route.is_open());
                let may_wait = patient && !open && route.is_ok() && settings.mode == Mode::Enforce;
                match self.hold(hold, may_wait, with) {
                    Ok(()) => return Step::Hold,
                    Err(denial) => Err(denial),
                }
            }
            Err(Unproven::Denied(denial)) => Err(denial),
            Ok(caller) => Ok(caller),
        };
        let edits = edits(headers, settings, caller.as_ref().ok(), ours);
        // Tokens that conflict and a path that is ambiguous are refused whoever calls.
        let judgement =
            token.and(route).and_then(|route| settings.policy.decide(route, caller.as_ref()));
        Step::Finish(Finished {
            verdict: settings.mode.enforce(judgement, edits),
            caller: caller.ok().map(Box::new),
            grpc: headers.grpc,
        })
    }

    fn authenticate(
        &self,
        token: Result<Option<BearerToken<'_>>, &Denial>,
        with: &mut Authenticator,
        now: UnixTime,
    ) -> Authentication {
        let unproven = |denial: Denial| Authentication { caller: Err(denial.into()), ours: false };
        match token {
            Ok(Some(token)) => with.authenticate(token, self.arrived, now),
            Ok(None) => unproven(Reason::MissingToken.because("no token in any configured header")),
            Err(denial) => unproven(denial.clone()),
        }
    }

    fn hold(&self, hold: Hold, may_wait: bool, with: &mut Authenticator) -> Result<(), Denial> {
        if may_wait {
            return with.waiting().admit(self.id, hold, self.arrived);
        }
        Err(Reason::KeysUnavailable.because("keys did not come in time"))
    }
}

/// A request that cannot be read is not let through.
fn unreadable() -> Finished {
    let denial = Reason::Internal.because("the request's headers cannot be read");
    Finished { verdict: Verdict::Deny(denial), caller: None, grpc: false }
}

/// What passing does to a request's headers: what only we may say is removed whoever says it, then
/// said by us where a caller was proven; and a token that is meant for us goes no further.
fn edits(
    headers: &Headers<'_>,
    settings: &Settings,
    caller: Option<&ServiceAccount>,
    ours: bool,
) -> HeaderEdits {
    let mut edits = HeaderEdits::default();
    edits.remove.extend(headers.identity.iter().map(|name| name.to_vec()));
    for header in &settings.identity_headers {
        if let Some(value) = caller.and_then(|caller| header.field.of(caller)) {
            edits.set.push((header.name.clone(), value.into_bytes()));
        }
    }
    if ours && !settings.forward_token && settings.mode == Mode::Enforce {
        take_token_off(headers, settings, &mut edits);
    }
    edits
}

fn take_token_off(headers: &Headers<'_>, settings: &Settings, edits: &mut HeaderEdits) {
    for (at, source) in settings.token_sources.iter().enumerate() {
        let values = headers.tokens.iter().filter(|(from, _)| *from == at).map(|(_, value)| *value);
        if !values.clone().any(|value| source.has_token(value)) {
            continue;
        }
        let kept: Vec<_> = values.filter_map(|value| source.without_token(value)).collect();
        match kept.is_empty() {
            true => edits.remove.push(source.header.clone().into_bytes()),
            false => edits.set.push((source.header.clone(), kept.join(b", ".as_slice()))),
        }
    }
}

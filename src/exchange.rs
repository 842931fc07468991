//! One request, from its headers to its verdict. Read this first.
//!
//! 1. Read the headers once.
//! 2. Find the one token.
//! 3. Find the rule that decides.
//! 4. Prove who sent the token; that may have to wait for keys, or for the API server.
//! 5. Let the policy decide.
//! 6. Turn the judgement into a verdict.
//!
//! An exchange keeps nothing of its request but when it came: one that waited is judged anew from its
//! headers, which the host keeps. So there is one way to a verdict, not one for the patient.

mod take_off;

use crate::authenticator::{Authentication, Authenticator, Presented, Reviewed, Unproven};
use crate::authn::bearer::BearerToken;
use crate::authz::Judgement;
use crate::authz::policy::Route;
use crate::authz::rule::Circumstances;
use crate::config::Settings;
use crate::connection::Connection;
use crate::headers::{Headers, UnreadableHeaders};
use crate::identity::Caller;
use crate::time::UnixTime;
use crate::verdict::{Denial, HeaderEdits, Mode, Reason, Verdict};
use crate::waiting::{Hold, RequestId, Source};
use std::rc::Rc;
use take_off::take_off;

/// The state machine of one request.
#[derive(Debug)]
pub struct Exchange {
    id: RequestId,
    arrived: UnixTime,
    connection: Connection,
}

/// What happens to a request. Each brings its header map, in the host's form.
#[derive(Clone, Copy, Debug)]
pub enum Input<'m> {
    /// It came.
    Headers(&'m [u8]),
    /// Keys of the issuer that it waits for were fetched, or the fetch failed.
    KeysChanged(&'m [u8]),
    /// The review that it waits for has ended.
    Reviewed(&'m [u8], &'m Reviewed),
    /// It waited long enough.
    DeadlinePassed(&'m [u8]),
}

/// What is to be done next.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly every step is a Finish")]
pub enum Step {
    /// Hold the request, its body and its trailers, until the next input.
    Hold,
    /// Do this; the exchange is over.
    Finish(Finished),
}

/// A verdict, and what its answer and the operator need to know besides.
#[derive(Debug)]
pub struct Finished {
    /// What becomes of the request.
    pub verdict: Verdict,
    /// Who was proven, or why nobody was, whether or not that mattered.
    pub caller: Result<Rc<Caller>, Denial>,
    /// Why the caller was not reviewed, though it should have been.
    pub unreviewed: Option<Denial>,
    /// The rule that decided.
    pub rule: Option<Rc<str>>,
    /// Shadow rules before the rule that decided, which would have denied the request.
    pub shadowed: Vec<Rc<str>>,
    /// Whether the caller speaks gRPC.
    pub grpc: bool,
    /// `x-request-id`, for the log.
    pub request_id: Option<String>,
}

// === impl Exchange ===

impl Exchange {
    /// A request that has just come.
    pub fn new(id: RequestId, arrived: UnixTime) -> Self {
        Self { id, arrived, connection: Connection::default() }
    }

    /// The same, with what its connection says.
    #[must_use]
    pub fn over(self, connection: Connection) -> Self {
        Self { connection, ..self }
    }

    /// Takes an input to the next step.
    pub fn step(&mut self, input: Input<'_>, with: &mut Authenticator, now: UnixTime) -> Step {
        let (map, reviewed, patient) = match input {
            Input::Headers(map) | Input::KeysChanged(map) => (map, None, true),
            Input::Reviewed(map, reviewed) => (map, Some(reviewed), true),
            Input::DeadlinePassed(map) => (map, None, false),
        };
        let settings = Rc::clone(with.settings());
        let mut headers = Headers::default();
        let step = match headers.add(map, &settings.index) {
            Ok(()) => self.judge(&headers, &settings, (reviewed, patient), with, now),
            // In no mode: identity headers that cannot be read cannot be removed.
            Err(UnreadableHeaders) => Step::Finish(Finished::refused(
                Reason::Internal.because("the request's headers cannot be read"),
            )),
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
        (reviewed, patient): (Option<&Reviewed>, bool),
        with: &mut Authenticator,
        now: UnixTime,
    ) -> Step {
        let counts = |token| !settings.ignore_foreign || with.is_ours(token);
        let token = BearerToken::find(&settings.token_sources, &headers.tokens, counts);
        let circumstances = self.circumstances(headers);
        let route = settings.policy.route(headers.authority, headers.path, &circumstances);
        let Authentication { caller, ours, unreviewed } =
            self.authenticate(&token, reviewed, with, now);
        let (shadow, needs_caller) = route
            .as_ref()
            .map_or((false, false), |route| (route.is_shadowed(), route.needs_caller()));
        let shadow = settings.mode == Mode::Shadow || shadow;
        let (caller, unreviewed) = match caller {
            Err(Unproven::Waits(hold)) => {
                // An open path is not worth waiting for a name, and shadow mode must not delay a request.
                let worth_it = needs_caller && settings.mode == Mode::Enforce;
                match self.hold(hold, patient, worth_it, with) {
                    Ok(()) => return Step::Hold,
                    Err(denial) => (Err(denial), None),
                }
            }
            Err(Unproven::Denied(denial)) => (Err(denial), None),
            Ok(caller) => (Ok(caller), unreviewed),
        };
        let edits = edits(headers, caller.as_ref().ok());
        let found = token.as_ref().ok().copied().flatten().filter(|_| ours);
        let mut finished = conclude(headers, settings, token.err(), route, caller, edits);
        if let (Verdict::Allow(_, edits), false) = (&mut finished.verdict, shadow)
            && !settings.forward_token
        {
            take_off(found, headers, settings, with, edits);
        }
        Step::Finish(Finished { unreviewed, ..finished })
    }

    fn circumstances<'m>(&self, headers: &Headers<'m>) -> Circumstances<'m> {
        let method = headers.method.unwrap_or_default();
        Circumstances {
            method,
            cors_preflight: method == b"OPTIONS" && headers.origin && headers.cors_request_method,
            direction: self.connection.direction,
            port: self.connection.port,
        }
    }

    fn authenticate(
        &self,
        token: &Result<Option<BearerToken<'_>>, Denial>,
        reviewed: Option<&Reviewed>,
        with: &mut Authenticator,
        now: UnixTime,
    ) -> Authentication {
        let (arrived, connection) = (self.arrived, &self.connection);
        let denial = match token {
            Ok(Some(token)) => {
                let presented = Presented { token: *token, arrived, connection, reviewed };
                return with.authenticate(&presented, now);
            }
            Ok(None) => Reason::MissingToken.because("no token in any configured header"),
            Err(denial) => denial.clone(),
        };
        Authentication::refused(denial, false)
    }

    fn hold(
        &self,
        hold: Hold,
        patient: bool,
        worth_it: bool,
        with: &mut Authenticator,
    ) -> Result<(), Denial> {
        match (patient, worth_it) {
            (true, true) => {
                let source = || Source::of((self.connection.source.0)().as_deref());
                with.waiting().admit(self.id, hold, self.arrived, source)
            }
            (false, _) => Err(hold.unavailable("did not come in time")),
            (true, false) => Err(hold.unavailable("would have to be waited for")),
        }
    }
}

/// Lets the policy decide, and turns that into a verdict.
fn conclude(
    headers: &Headers<'_>,
    settings: &Settings,
    conflict: Option<Denial>,
    route: Result<Route<'_>, Denial>,
    caller: Result<Rc<Caller>, Denial>,
    edits: HeaderEdits,
) -> Finished {
    // Tokens that conflict and a path that is ambiguous are refused whoever calls.
    let judgement = match conflict.map_or(Ok(route), Err) {
        Ok(Ok(route)) => settings.policy.decide(&route, caller.as_deref().map(Caller::account)),
        Ok(Err(denial)) | Err(denial) => Judgement::refused(denial),
    };
    let mode = match judgement.mode {
        Mode::Shadow => Mode::Shadow,
        Mode::Enforce => settings.mode,
    };
    let verdict = mode.enforce(judgement.outcome, edits);
    // Of what passes in silence nobody needs to know it.
    let request_id = headers.request_id.filter(|_| !matches!(verdict, Verdict::Allow(..)));
    Finished {
        verdict,
        caller,
        unreviewed: None,
        rule: judgement.rule,
        shadowed: judgement.shadowed,
        grpc: headers.grpc,
        request_id: request_id.map(|id| String::from_utf8_lossy(id).into_owned()),
    }
}

impl Finished {
    /// A refusal for a request of which nothing is known.
    pub fn refused(denial: Denial) -> Self {
        Self {
            verdict: Verdict::Deny(denial.clone()),
            caller: Err(denial),
            unreviewed: None,
            rule: None,
            shadowed: Vec::new(),
            grpc: false,
            request_id: None,
        }
    }
}

/// What passing does to a request's headers: what only we may say is removed whoever says it, then
/// said by us where a caller was proven.
fn edits(headers: &Headers<'_>, caller: Option<&Rc<Caller>>) -> HeaderEdits {
    let others = headers.identity.iter().map(|name| name.to_vec()).collect();
    HeaderEdits { others, caller: caller.cloned(), ..HeaderEdits::default() }
}

//! One request, from its headers to its verdict. Read this first.
//!
//! 1. Read the headers once.
//! 2. Find the one token.
//! 3. Find the rule that decides.
//! 4. Prove who sent the token; that may have to wait for keys, or for the API server.
//! 5. Let the policy decide; where Kubernetes RBAC decides, that may have to wait for the API server.
//! 6. Turn the judgement into a verdict.
//!
//! A paused request is evaluated again from its headers when it resumes, so that there is one code path to a verdict.

mod take_off;

use crate::authenticator::Hold;
use crate::authenticator::{Authentication, Authenticator, Presented, Unproven};
use crate::authn::bearer::BearerToken;
use crate::authz::Mode;
use crate::authz::access::{AccessAnswer, AccessQuestion, AccessRequest, AccessReviewer};
use crate::authz::rule::RequestAttributes;
use crate::authz::{Decision, Outcome};
use crate::config::Settings;
use crate::denial::{Denial, Reason};
use crate::headers::{Headers, UnreadableHeaders};
use crate::identity::Caller;
use crate::paused::{PausedRequests, Request, Resumption};
use crate::time::UnixTime;
use crate::trace::Trace;
use crate::verdict::Verdict;
use std::rc::Rc;
use take_off::take_off;

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// The request is paused.
    Hold,
    /// The request has its verdict.
    Finish(Box<Finished>),
}

/// A verdict, with what its response, the log and the metrics need.
#[derive(Debug)]
pub struct Finished {
    /// The verdict.
    pub verdict: Verdict,
    /// The authenticated caller, or why there is none, whether or not the verdict depends on it.
    pub caller: Result<Rc<Caller>, Denial>,
    /// Why a required review did not take place.
    pub unreviewed: Option<Denial>,
    /// The rule that decided.
    pub rule: Option<Rc<str>>,
    /// Shadow rules before the rule that decided, which would have denied the request.
    pub shadow_denied_by: Vec<Rc<str>>,
    /// Whether the caller speaks gRPC.
    pub grpc: bool,
    /// `x-request-id`, for the log.
    pub request_id: Option<String>,
}

/// Evaluates a request, from its header map in the host's form. `resumption` says why a paused request goes on.
pub(crate) fn evaluate(
    request: &Request,
    map: &[u8],
    resumption: Option<Resumption>,
    (authenticator, paused): (&mut Authenticator, &mut PausedRequests),
    now: UnixTime,
    trace: &impl Trace,
) -> Step {
    let settings = Rc::clone(authenticator.settings());
    let mut headers = Headers::default();
    match headers.add(map, &settings.index) {
        Ok(()) => {
            let evaluation = Evaluation { request, resumption, settings: &settings, now, trace };
            evaluation.judge(&headers, authenticator, paused)
        }
        // Denied in shadow mode, too: identity headers that cannot be read cannot be removed.
        Err(UnreadableHeaders) => Step::Finish(Box::new(Finished::refused(
            Reason::Internal.because("the request's headers cannot be read"),
        ))),
    }
}

/// Answers questions to Kubernetes RBAC from the reviews that a request waited for, and from earlier ones.
struct Reviewer<'r> {
    authenticator: &'r mut Authenticator,
    request: &'r Request,
    now: UnixTime,
}

/// One pass over a request.
struct Evaluation<'e, T> {
    request: &'e Request,
    resumption: Option<Resumption>,
    settings: &'e Settings,
    now: UnixTime,
    trace: &'e T,
}

// === impl Evaluation ===

impl<T: Trace> Evaluation<'_, T> {
    fn judge(
        &self,
        headers: &Headers<'_>,
        authenticator: &mut Authenticator,
        paused: &mut PausedRequests,
    ) -> Step {
        let settings = self.settings;
        let counts = |token| !settings.ignore_foreign || authenticator.is_ours(token);
        let token = BearerToken::find(&settings.token_sources, &headers.tokens, counts);
        self.trace.searched(&token);
        let attributes = self.attributes(headers);
        let matched = settings.policy.matching_rules(headers.authority, headers.path, &attributes);
        self.trace.matched(matched.as_ref());
        let Authentication { caller, ours, unreviewed } =
            self.authenticate_caller(&token, authenticator);
        let (shadow, needs_caller) = matched
            .as_ref()
            .map_or((false, false), |matched| (matched.is_shadowed(), matched.needs_caller()));
        let shadow = settings.mode == Mode::Shadow || shadow;
        let (caller, unreviewed) = match caller {
            Err(Unproven::Waits(hold)) => {
                // The name of a caller is not worth a pause on an open path, and shadow mode must not delay a request.
                let should_wait = needs_caller && settings.mode == Mode::Enforce;
                match self.pause(hold, should_wait, paused) {
                    Ok(()) => return Step::Hold,
                    Err(denial) => (Err(denial), None),
                }
            }
            Err(Unproven::Denied(denial)) => (Err(denial), None),
            Ok(caller) => (Ok(caller), unreviewed),
        };
        let found = token.as_ref().ok().copied().flatten().filter(|_| ours);
        let (conflict, mode) = (token.err(), settings.mode);
        // Tokens that conflict and a path that is ambiguous are denied for every caller.
        let matched = conflict.map_or(matched, Err);
        let matched = matched.as_ref().map_err(Denial::clone);
        let mut reviewer =
            Reviewer { authenticator: &mut *authenticator, request: self.request, now: self.now };
        let mut access = AccessRequest {
            method: headers.method.unwrap_or_default(),
            path: headers.path.unwrap_or_default(),
            reviewer: &mut reviewer,
        };
        let (policy, asks) = (&settings.policy, &mut access);
        let mut decision = policy.decide(matched, caller.as_ref(), asks, mode, self.trace);
        if let Outcome::Pending(call) = decision.outcome {
            match self.pause(Hold::Access(call), true, paused) {
                Ok(()) => return Step::Hold,
                Err(denial) => decision.outcome = Outcome::Denied(denial),
            }
        }
        let mut finished = conclude(headers, decision, caller);
        if let (Verdict::Allow(_, edits), false) = (&mut finished.verdict, shadow)
            && !settings.forward_token
        {
            take_off(found, headers, settings, authenticator, edits);
        }
        finished.unreviewed = unreviewed;
        Step::Finish(finished)
    }

    fn attributes<'m>(&self, headers: &Headers<'m>) -> RequestAttributes<'m> {
        let method = headers.method.unwrap_or_default();
        RequestAttributes {
            method,
            cors_preflight: method == b"OPTIONS" && headers.origin && headers.cors_request_method,
            direction: self.request.connection.direction,
            port: self.request.connection.port,
        }
    }

    fn authenticate_caller(
        &self,
        token: &Result<Option<BearerToken<'_>>, Denial>,
        authenticator: &mut Authenticator,
    ) -> Authentication {
        let denial = match token {
            Ok(Some(token)) => {
                let Request { arrived, connection, received, .. } = self.request;
                let reviewed = received.token.as_deref();
                let (token, arrived, trace) = (*token, *arrived, self.trace);
                let presented = Presented { token, arrived, connection, reviewed, trace };
                return authenticator.authenticate(&presented, self.now);
            }
            Ok(None) => Reason::MissingToken.because("no token in any configured header"),
            Err(denial) => denial.clone(),
        };
        Authentication::failed(denial, false)
    }

    #[cold]
    fn pause(
        &self,
        hold: Hold,
        should_wait: bool,
        paused: &mut PausedRequests,
    ) -> Result<(), Denial> {
        let is_late = self.resumption == Some(Resumption::DeadlinePassed);
        if is_late || !should_wait {
            return Err(hold.unavailable(is_late));
        }
        paused.admit(self.request, hold)
    }
}

/// Turns the policy's decision into a verdict.
fn conclude(
    headers: &Headers<'_>,
    decision: Decision,
    caller: Result<Rc<Caller>, Denial>,
) -> Box<Finished> {
    let verdict = match decision.outcome {
        Outcome::Permitted(permit) => {
            let edits = permit.edits(&headers.identity);
            Verdict::Allow(permit, edits)
        }
        Outcome::ShadowDenied(permit) => {
            let edits = permit.edits(&headers.identity);
            Verdict::Shadow(permit, edits)
        }
        Outcome::Denied(denial) => Verdict::Deny(denial),
        Outcome::Pending(_) => Verdict::Deny(Reason::Internal.because("a decision is pending")),
    };
    // Only for the log, in which allowed requests have no line.
    let request_id = headers.request_id.filter(|_| !matches!(verdict, Verdict::Allow(..)));
    Box::new(Finished {
        verdict,
        caller,
        unreviewed: None,
        rule: decision.rule,
        shadow_denied_by: decision.shadow_denied_by,
        grpc: headers.grpc,
        request_id: request_id.map(|id| String::from_utf8_lossy(id).into_owned()),
    })
}

impl AccessReviewer for Reviewer<'_> {
    fn review(&mut self, question: &AccessQuestion<'_>) -> AccessAnswer {
        self.authenticator.review_access(question, &self.request.received.access, self.now)
    }
}

impl Finished {
    /// A denial of a request that could not be evaluated.
    pub fn refused(denial: Denial) -> Self {
        Self {
            verdict: Verdict::Deny(denial.clone()),
            caller: Err(denial),
            unreviewed: None,
            rule: None,
            shadow_denied_by: Vec::new(),
            grpc: false,
            request_id: None,
        }
    }
}

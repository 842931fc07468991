//! What the filter told its trace about a request.

use sa_authn::authn::bearer::BearerToken;
use sa_authn::authn::claims::Claims;
use sa_authn::authn::issuer::IssuerIdentity;
use sa_authn::authn::jwt::Jwt;
use sa_authn::authn::keys::Jwk;
use sa_authn::authn::trace::{Check, TokenTrace};
use sa_authn::authz::access::{AccessAnswer, AccessQuestion, PATH};
use sa_authn::authz::policy::MatchedRules;
use sa_authn::authz::rule::Rule;
use sa_authn::authz::trace::{Part, RuleTrace};
use sa_authn::denial::Denial;
use sa_authn::trace::Trace;
use std::cell::RefCell;
use std::rc::Rc;

/// The steps that the filter took. A request that was paused takes some of them again: the last result counts for rules, the
/// others do not change.
#[derive(Debug, Default)]
pub struct Record {
    /// The bytes of the token; `None` until the headers were read.
    pub token: Option<Result<Option<Vec<u8>>, Denial>>,
    pub parsed: Option<Result<Parsed, Denial>>,
    /// The issuers of the token, as indexes in the configuration.
    pub issuers: Option<Result<Vec<usize>, Denial>>,
    /// The keys of the issuers with these names.
    pub keys: Vec<(Rc<str>, Vec<Rc<Jwk>>)>,
    pub signatures: Vec<Verification>,
    pub checks: Vec<(Check, Result<(), Denial>)>,
    /// The names of the rules that cover the request; `None` inside if no rules are configured.
    pub covering: Option<Result<Option<Vec<Rc<str>>>, Denial>>,
    pub rules: Vec<(Rc<str>, Part, Result<(), Denial>)>,
    /// Each question to Kubernetes RBAC once.
    pub asked: Vec<Asked>,
}

/// A SubjectAccessReview.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    pub authority: String,
    pub path: String,
    pub body: Vec<u8>,
}

/// What a parsed token says.
#[derive(Debug)]
pub struct Parsed {
    pub alg: String,
    pub kid: Option<String>,
    pub claims: Rc<Claims>,
}

/// A signature that was verified with a key.
#[derive(Debug)]
pub struct Verification {
    pub issuer: Rc<str>,
    pub kid: String,
    pub outcome: Result<(), Denial>,
}

/// Writes a [`Record`].
#[derive(Debug, Default)]
pub struct Recorder(RefCell<Record>);

// === impl Record ===

impl Record {
    /// The result of a check; `None` if the filter did not reach it.
    pub fn check(&self, check: Check) -> Option<&Result<(), Denial>> {
        self.checks.iter().find(|(other, _)| *other == check).map(|(_, outcome)| outcome)
    }

    /// The result of a part of a rule; `None` if the filter did not evaluate it.
    pub fn rule(&self, name: &str, part: Part) -> Option<&Result<(), Denial>> {
        let found = self.rules.iter().rfind(|(rule, of, _)| **rule == *name && *of == part);
        found.map(|(.., outcome)| outcome)
    }
}

// === impl Recorder ===

impl Recorder {
    pub fn finish(self) -> Record {
        self.0.into_inner()
    }
}

impl TokenTrace for Recorder {
    fn parsed(&self, jwt: &Result<Jwt<'_>, Denial>) {
        let parsed = jwt.as_ref().map_err(Denial::clone).map(|jwt| Parsed {
            alg: jwt.header().alg.clone(),
            kid: jwt.header().kid.clone(),
            claims: Rc::clone(jwt.claims()),
        });
        self.0.borrow_mut().parsed = Some(parsed);
    }

    fn issuers(&self, issuers: Result<&[usize], &Denial>) {
        self.0.borrow_mut().issuers = Some(issuers.map(<[usize]>::to_vec).map_err(Denial::clone));
    }

    fn keys(&self, issuer: &IssuerIdentity, keys: &[Rc<Jwk>]) {
        self.0.borrow_mut().keys.push((Rc::clone(&issuer.name), keys.to_vec()));
    }

    fn signature(&self, issuer: &IssuerIdentity, key: &Jwk, outcome: &Result<(), Denial>) {
        let (issuer, kid) = (Rc::clone(&issuer.name), key.kid().to_owned());
        let outcome = outcome.clone();
        self.0.borrow_mut().signatures.push(Verification { issuer, kid, outcome });
    }

    fn checked<T>(&self, check: Check, outcome: &Result<T, Denial>) {
        let outcome = outcome.as_ref().map(drop).map_err(Denial::clone);
        self.0.borrow_mut().checks.push((check, outcome));
    }
}

impl RuleTrace for Recorder {
    fn evaluated(&self, rule: &Rule, part: Part, outcome: &Result<(), Denial>) {
        let name = Rc::clone(&rule.name);
        self.0.borrow_mut().rules.push((name, part, outcome.clone()));
    }

    fn asked(&self, _: &Rule, question: &AccessQuestion<'_>, _: &AccessAnswer) {
        let Some(plan) = &question.caller().issuer().access else { return };
        let (authority, body) = (plan.authority.clone(), question.body());
        let asked = Asked { authority, path: format!("{}{PATH}", plan.path_prefix), body };
        let record = &mut self.0.borrow_mut().asked;
        if !record.contains(&asked) {
            record.push(asked);
        }
    }
}

impl Trace for Recorder {
    fn searched(&self, found: &Result<Option<BearerToken<'_>>, Denial>) {
        let found = found.as_ref().map_err(Denial::clone);
        let found = found.map(|token| token.as_ref().map(|token| token.bytes().to_vec()));
        self.0.borrow_mut().token = Some(found);
    }

    fn matched(&self, rules: Result<&MatchedRules<'_>, &Denial>) {
        let names = rules.map_err(Denial::clone).map(|matched| {
            let asked = matched.asked()?;
            Some(asked.iter().map(|rule| Rc::clone(&rule.name)).collect())
        });
        self.0.borrow_mut().covering = Some(names);
    }
}

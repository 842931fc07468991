//! What a request needs to pass: only the policy makes it, and only from it come the edits of the request's headers.

use crate::denial::Denial;
use crate::identity::Caller;
use std::rc::Rc;

/// Leave for one request to pass. Only [`super::Policy::decide`] makes one.
///
/// ```compile_fail
/// // Its fields are private.
/// let permit = sa_authn::authz::Permit { caller: None, rule: None };
/// ```
///
/// ```compile_fail
/// let permit = sa_authn::authz::Permit::default();
/// ```
///
/// ```
/// fn rule(permit: &sa_authn::authz::Permit) -> Option<&str> {
///     permit.rule()
/// }
/// ```
#[derive(Debug)]
pub struct Permit {
    caller: Option<Rc<Caller>>,
    rule: Option<Rc<str>>,
}

/// Leave for one request to pass that was denied in shadow mode. Only [`super::Policy::decide`] makes one.
///
/// ```compile_fail
/// fn forge(denial: sa_authn::denial::Denial) -> sa_authn::authz::ShadowPermit {
///     sa_authn::authz::ShadowPermit { caller: None, denial }
/// }
/// ```
///
/// ```
/// fn why(permit: &sa_authn::authz::ShadowPermit) -> &sa_authn::denial::Denial {
///     permit.denial()
/// }
/// ```
#[derive(Debug)]
pub struct ShadowPermit {
    caller: Option<Rc<Caller>>,
    denial: Denial,
}

/// What is removed from a request and what is set on it. Removal comes first. Only a permit makes edits.
///
/// ```compile_fail
/// let edits = sa_authn::authz::HeaderEdits::default();
/// ```
///
/// ```compile_fail
/// // The caller of one request cannot be exchanged for another.
/// fn exchange(edits: &mut sa_authn::authz::HeaderEdits, other: sa_authn::authz::HeaderEdits) {
///     edits.caller = other.caller;
/// }
/// ```
///
/// ```
/// fn names(edits: &sa_authn::authz::HeaderEdits) -> Vec<&[u8]> {
///     edits.removed().collect()
/// }
/// ```
#[derive(Debug)]
pub struct HeaderEdits {
    /// The header that held the token and nothing else.
    token: Option<Rc<str>>,
    /// Other names to remove, exactly as they came: identity headers that the caller tried to set, in whatever
    /// spelling, and further headers that held the token.
    others: Vec<Vec<u8>>,
    /// Headers that held more than the token, and what remains of them.
    remains: Vec<(Rc<str>, Vec<u8>)>,
    /// The caller named in the identity headers.
    caller: Option<Rc<Caller>>,
}

// === impl Permit ===

impl Permit {
    /// `caller` is the authenticated caller, if there is one; `rule` the rule that let the request pass.
    pub(super) fn new(caller: Option<Rc<Caller>>, rule: Option<Rc<str>>) -> Self {
        Self { caller, rule }
    }

    /// The authenticated caller; `None` if the rule lets anyone pass and the request has no valid token.
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.as_deref()
    }

    /// The name of the rule that let the request pass; `None` without rules.
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// The edits of the request's headers: identity headers that came with it (`forged`, names as they came) are removed,
    /// and those of the authenticated caller are set.
    pub fn edits(&self, forged: &[&[u8]]) -> HeaderEdits {
        HeaderEdits::new(forged, self.caller.as_ref())
    }
}

// === impl ShadowPermit ===

impl ShadowPermit {
    pub(super) fn new(caller: Option<Rc<Caller>>, denial: Denial) -> Self {
        Self { caller, denial }
    }

    /// Why the request would have been denied.
    pub fn denial(&self) -> &Denial {
        &self.denial
    }

    /// The edits of the request's headers; see [`Permit::edits`].
    pub fn edits(&self, forged: &[&[u8]]) -> HeaderEdits {
        HeaderEdits::new(forged, self.caller.as_ref())
    }
}

// === impl HeaderEdits ===

impl HeaderEdits {
    fn new(forged: &[&[u8]], caller: Option<&Rc<Caller>>) -> Self {
        let others = forged.iter().map(|name| name.to_vec()).collect();
        Self { token: None, others, remains: Vec::new(), caller: caller.cloned() }
    }

    /// Also removes the header that held the token and nothing else.
    pub(crate) fn remove_token(&mut self, header: &Rc<str>) {
        self.token = Some(Rc::clone(header));
    }

    /// Also removes a header.
    pub(crate) fn remove(&mut self, header: &str) {
        self.others.push(header.as_bytes().to_vec());
    }

    /// Also replaces the value of a header that held more than the token.
    pub(crate) fn replace(&mut self, header: &Rc<str>, value: Vec<u8>) {
        self.remains.push((Rc::clone(header), value));
    }

    /// The names that are removed.
    pub fn removed(&self) -> impl Iterator<Item = &[u8]> {
        let token = self.token.iter().map(|name| name.as_bytes());
        token.chain(self.others.iter().map(Vec::as_slice))
    }

    /// Names and values that are set, each replacing every value that its name has.
    pub fn set(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let remains = self.remains.iter().map(|(name, value)| (&**name, value.as_slice()));
        let identity = self.caller.iter().flat_map(|caller| caller.headers());
        remains.chain(identity.map(|(name, value)| (&**name, &**value)))
    }
}

/// Compares what is done, whatever it was made of.
impl PartialEq for HeaderEdits {
    fn eq(&self, other: &Self) -> bool {
        self.removed().eq(other.removed()) && self.set().eq(other.set())
    }
}

impl Eq for HeaderEdits {}

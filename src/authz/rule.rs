//! One rule: which requests it covers, and who may make them.

use super::path::NormalPath;
use crate::authn::ServiceAccount;
use std::collections::HashMap;
use std::rc::Rc;

/// A rule of the configuration, checked.
#[derive(Debug)]
pub struct Rule {
    /// How logs, metrics and permits call it.
    pub name: Rc<str>,
    /// Exact method names; `None` is any. `GET` does not include `HEAD`.
    pub methods: Option<Vec<String>>,
    /// Any of these; `None` is any path.
    pub paths: Option<Vec<PathPattern>>,
    /// Who may pass.
    pub allow: Allow,
}

/// Who may pass.
#[derive(Debug)]
pub enum Allow {
    /// Everybody, with or without a token.
    Anyone,
    /// Every service account of a configured issuer.
    Authenticated,
    /// Those that are listed.
    Listed(Accounts),
}

/// A set of service accounts, found by hash: a hundred thousand cost a request what ten do.
#[derive(Debug, Default)]
pub struct Accounts {
    /// Namespace, then name, each perhaps [`ANY`].
    by_name: HashMap<String, HashMap<String, Vec<Condition>>>,
}

/// What must hold besides the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Only accounts of the issuer with this name.
    pub issuer_name: Option<String>,
}

/// `/a/b`, `/a/*` (everything below `/a`, not `/a` itself), `/a/*/b` (one segment).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    pub(super) segments: Vec<Segment>,
    /// Whether everything below the segments is meant, and not they themselves.
    pub(super) below: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    /// One segment that is not empty.
    Any,
}

// === impl Rule ===

impl Rule {
    /// Whether the rule covers requests with this method.
    pub fn covers_method(&self, method: &[u8]) -> bool {
        self.methods
            .as_ref()
            .is_none_or(|methods| methods.iter().any(|name| name.as_bytes() == method))
    }
}

// === impl Accounts ===

impl Accounts {
    /// Adds `namespace/name`, of which a whole part may be `*`. `Err` says what is wrong with it.
    pub fn add(&mut self, account: &str, condition: Condition) -> Result<(), &'static str> {
        let (namespace, name) = account.split_once('/').ok_or("not of the form namespace/name")?;
        for part in [namespace, name] {
            if part != ANY && part.contains('*') {
                return Err("`*` must stand for a whole part");
            }
        }
        if namespace != ANY && !crate::authn::service_account::is_dns_label(namespace) {
            return Err("the namespace is not a DNS label");
        }
        if name != ANY && !crate::authn::service_account::is_dns_subdomain(name) {
            return Err("the name is not a DNS subdomain");
        }
        let names = self.by_name.entry(namespace.to_owned()).or_default();
        names.entry(name.to_owned()).or_default().push(condition);
        Ok(())
    }

    /// Whether the set has this account.
    pub fn contains(&self, account: &ServiceAccount) -> bool {
        [account.namespace(), ANY]
            .into_iter()
            .filter_map(|namespace| self.by_name.get(namespace))
            .flat_map(|names| [account.name(), ANY].map(|name| names.get(name)))
            .flatten()
            .flatten()
            .any(|condition| condition.holds_for(account))
    }
}

// === impl Condition ===

impl Condition {
    fn holds_for(&self, account: &ServiceAccount) -> bool {
        self.issuer_name.as_ref().is_none_or(|name| name == account.issuer_name())
    }
}

// === impl PathPattern ===

impl PathPattern {
    /// Reads a pattern of the configuration. `Err` says what would be right.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let normal = NormalPath::parse(pattern.as_bytes())
            .map_err(|denial| format!("no request's path can match it: {}", denial.detail()))?;
        if normal.as_str() != pattern {
            return Err(format!(
                "requests are compared in normal form: write {:?}",
                normal.as_str()
            ));
        }
        let mut segments: Vec<_> =
            normal.segments().map(Segment::parse).collect::<Result<_, _>>()?;
        let below = segments.last() == Some(&Segment::Any);
        if below {
            segments.pop();
        }
        Ok(Self { segments, below })
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            ANY => Ok(Self::Any),
            word if word.contains('*') => {
                Err(format!("`*` in {word:?} must stand for a whole segment, as in /a/* or /a/*/b"))
            }
            word => Ok(Self::Literal(word.to_owned())),
        }
    }
}

/// Stands for any whole part.
const ANY: &str = "*";

//! Sets of service accounts, found by hash: a hundred thousand cost a request what ten do.

use crate::authn::ServiceAccount;
use crate::authn::service_account::{is_dns_label, is_dns_subdomain};
use crate::table::Table;

/// Who is meant by `allow` or `deny`.
#[derive(Debug)]
pub enum Who {
    /// Everybody, with or without a token.
    Anyone,
    /// Every service account of a configured issuer.
    Authenticated,
    /// Those that are listed.
    Listed(Accounts),
}

/// A set of service accounts.
#[derive(Debug, Default)]
pub struct Accounts {
    by_namespace: Table<Names>,
    any_namespace: Names,
}

/// The names of one namespace, or of any.
#[derive(Debug, Default)]
struct Names {
    by_name: Table<Vec<Condition>>,
    any_name: Vec<Condition>,
}

/// Whether a condition on a fact that the token lacks holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// `deny`: a caller that cannot show that it is not on the list does not pass it.
    Holds,
    /// `allow`.
    Fails,
}

/// What must hold besides the name. `None` and `false` ask for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The configuration's name of the issuer.
    pub issuer_name: Option<String>,
    /// An audience of the issuer's that the token must be meant for.
    pub audience: Option<String>,
    /// Whether the token must be bound to a pod.
    pub pod_bound: bool,
    /// The node that the token's pod runs on.
    pub node: Option<String>,
    /// The uid of the ServiceAccount object: a recreated one of the same name does not match.
    pub uid: Option<String>,
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
        if namespace != ANY && !is_dns_label(namespace) {
            return Err("the namespace is not a DNS label");
        }
        if name != ANY && !is_dns_subdomain(name) {
            return Err("the name is not a DNS subdomain");
        }
        let names = match namespace {
            ANY => &mut self.any_namespace,
            namespace => self.by_namespace.entry(namespace.as_bytes().into()).or_default(),
        };
        let conditions = match name {
            ANY => &mut names.any_name,
            name => names.by_name.entry(name.as_bytes().into()).or_default(),
        };
        conditions.push(condition);
        Ok(())
    }

    /// Whether the set has this account. `missing` says whether a condition on a fact that the token lacks holds.
    pub fn contains(&self, account: &ServiceAccount, missing: Missing) -> bool {
        self.by_namespace
            .get(account.namespace().as_bytes())
            .is_some_and(|names| names.contain(account, missing))
            || self.any_namespace.contain(account, missing)
    }
}

// === impl Names ===

impl Names {
    fn contain(&self, account: &ServiceAccount, missing: Missing) -> bool {
        let holds = |conditions: &Vec<Condition>| {
            conditions.iter().any(|condition| condition.holds_for(account, missing))
        };
        self.by_name.get(account.name().as_bytes()).is_some_and(holds) || holds(&self.any_name)
    }
}

// === impl Condition ===

impl Condition {
    /// filter-config/README.md has a table of these facts.
    fn holds_for(&self, account: &ServiceAccount, missing: Missing) -> bool {
        let is = |wanted: &str, found: Option<&str>| match found {
            Some(found) => found == wanted,
            None => missing == Missing::Holds,
        };
        let node = || account.node().map(|node| node.name);
        self.issuer_name.as_deref().is_none_or(|wanted| wanted == &**account.issuer_name())
            && self.audience.as_deref().is_none_or(|wanted| account.has_audience(wanted))
            && self.node.as_deref().is_none_or(|wanted| is(wanted, node()))
            && self.uid.as_deref().is_none_or(|wanted| is(wanted, account.uid()))
            && (!self.pod_bound || account.pod().is_some())
    }
}

/// Stands for any whole part.
const ANY: &str = "*";

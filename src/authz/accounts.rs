//! Sets of service accounts, with a lookup cost independent of their size.

use super::access::AccessRule;
use crate::account_name::{is_dns_label, is_dns_subdomain};
use crate::authn::ServiceAccount;
use crate::table::Table;

/// The callers in `allow` or `deny`.
#[derive(Debug)]
pub enum Who {
    /// Every caller, with or without a token.
    Anyone,
    /// Every service account of a configured issuer.
    Authenticated,
    /// The listed service accounts.
    Listed(Accounts),
    /// Every service account that Kubernetes RBAC allows what the rule asks. Only in `allow`.
    KubernetesRbac(AccessRule),
}

/// A set of service accounts.
#[derive(Debug, Default)]
pub struct Accounts {
    by_namespace: Table<Names>,
    any_namespace: Names,
}

/// The names in one namespace, or in any namespace.
#[derive(Debug, Default)]
struct Names {
    by_name: Table<Vec<Condition>>,
    any_name: Vec<Condition>,
}

/// Whether a condition on a claim that the token lacks matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// In `deny`, it does: the rule denies a caller unless the token shows that the entry does not apply.
    Holds,
    /// In `allow`, it does not.
    Fails,
}

/// The conditions of an entry besides the name. `None` and `false` match every token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The `name` of the issuer.
    pub issuer_name: Option<String>,
    /// An audience of the issuer that must be in the token's `aud`.
    pub audience: Option<String>,
    /// Whether the token must be bound to a pod.
    pub pod_bound: bool,
    /// The node of the token's pod.
    pub node: Option<String>,
    /// The uid of the ServiceAccount object. A recreated service account of the same name has another uid.
    pub uid: Option<String>,
}

// === impl Accounts ===

impl Accounts {
    /// Adds `namespace/name`, in which `*` can replace a whole part. `Err` has the error message.
    pub fn add(&mut self, account: &str, condition: Condition) -> Result<(), &'static str> {
        let (namespace, name) = account.split_once('/').ok_or("expected namespace/name")?;
        for part in [namespace, name] {
            if part != ANY && part.contains('*') {
                return Err("`*` must replace a whole part, as in `namespace/*`");
            }
        }
        if namespace != ANY && !is_dns_label(namespace) {
            return Err("the namespace must be a DNS label (lower-case letters, digits, `-`)");
        }
        if name != ANY && !is_dns_subdomain(name) {
            return Err("the name must be a DNS subdomain (lower-case letters, digits, `-`, `.`)");
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

    /// Whether the set contains every account that `namespace/name` matches, without conditions.
    pub fn covers(&self, account: &str) -> bool {
        let Some((namespace, name)) = account.split_once('/') else { return false };
        let names = [self.by_namespace.get(namespace.as_bytes()), Some(&self.any_namespace)];
        names.into_iter().flatten().any(|names| {
            let named = names.by_name.get(name.as_bytes());
            let conditions = named.into_iter().chain([&names.any_name]).flatten();
            conditions.into_iter().any(|condition| *condition == Condition::default())
        })
    }

    /// Whether the set contains this account.
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
    /// The table in filter-config/README.md documents these conditions.
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

/// Matches any namespace or name.
const ANY: &str = "*";

//! The types of `rules`.

use super::Mode;
use super::access::ByKubernetes;
use crate::config::reader::{Read, Reader, object, words};
use serde_json::Value;

object! {
    /// A rule. It covers a request if all of its conditions match, and then allows or denies the caller.
    Rule {
        /// The name of the rule in logs and stats. Must be unique.
        name: String = "name",
        /// `api.example`: this host without a port. `*.example`: every host below `example`, without a port.
        /// `api.example:8080`: with this port. `api.example:*`: with any port or without one. The filter rejects an
        /// ambiguous host (a dot at its end, an empty port, two hosts).
        hosts: Vec<String> = "hosts",
        /// Exact methods, in capitals. `GET` does not include `HEAD`. The filter rejects a method that neither RFC 9110,
        /// RFC 5789 nor a rule names.
        methods: Vec<String> = "methods",
        /// `/a/b`: exactly this path. `/a/*`: every path below `/a`, but not `/a` itself. `/a/*/b`: one segment in place of
        /// `*`. Escape `(`, `)`, `+` and `$` (`/Users%281%29`).
        paths: Vec<String> = "paths",
        /// The direction of the traffic.
        direction: Direction = "direction",
        /// The ports of the listener.
        ports: Vec<u16> = "ports",
        /// Whether the rule covers only CORS preflight requests.
        cors_preflight: bool = "corsPreflight",
        /// The callers that the rule denies. For other callers the filter evaluates `allow`, or the next rule.
        deny: Who = "deny",
        /// The callers that the rule allows. It denies all other callers.
        allow: Who = "allow",
        /// `shadow`: the rule records the requests that it would deny. It decides only if no enforced rule decides.
        mode: Mode = "mode",
    }
}

words! {
    Direction {
        /// Towards the workload.
        Inbound = "inbound",
        /// From the workload.
        Outbound = "outbound",
    }
}

/// `anyone`, `authenticated`, a list, or an object with `kubernetesRBAC`.
#[derive(Debug)]
pub(crate) enum Who {
    Anyone,
    Authenticated,
    Listed(Vec<Entry>),
    Kubernetes(Box<ByKubernetes>),
}

/// `namespace/name`, or an object with conditions.
#[derive(Debug)]
pub(crate) enum Entry {
    Account(String),
    Conditions(Box<Conditions>),
}

object! {
    /// Service accounts that match all of these conditions.
    Conditions {
        /// `namespace/name`, in which `*` can replace a whole part.
        service_account: String = "serviceAccount",
        /// Every service account of this namespace. Replaces `serviceAccount`.
        namespace: String = "namespace",
        /// The `name` of the issuer, and so the cluster.
        issuer_name: String = "issuerName",
        /// One of the issuer's `audiences`, which must be in the token's `aud`.
        audience: String = "audience",
        /// `true`: the token is bound to a pod.
        pod_bound: bool = "podBound",
        /// The node of the token's pod.
        node: String = "node",
        /// The uid of the ServiceAccount object. A recreated service account of the same name has another uid.
        uid: String = "uid",
    }
}

// === impl Who ===

impl Read for Who {
    fn read(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let expected = r#""anyone", "authenticated", a list such as ["namespace/name"] or {"kubernetesRBAC": ...}"#;
        match value {
            Value::String(word) => match word.as_str() {
                "anyone" => Some(Self::Anyone),
                "authenticated" => Some(Self::Authenticated),
                _ => reader.invalid(value, expected),
            },
            Value::Array(_) => Vec::read(value, reader).map(Self::Listed),
            Value::Object(_) => {
                ByKubernetes::read(value, reader).map(|asks| Self::Kubernetes(Box::new(asks)))
            }
            _ => reader.mismatch(value, expected),
        }
    }
}

// === impl Entry ===

impl Read for Entry {
    fn read(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        match value {
            Value::String(account) => Some(Self::Account(account.clone())),
            Value::Object(_) => {
                Conditions::read(value, reader).map(|one| Self::Conditions(Box::new(one)))
            }
            _ => reader.mismatch(
                value,
                r#""namespace/name" or an object such as {"serviceAccount": ...}"#,
            ),
        }
    }
}

//! Classification of Kubernetes tokens.

use sa_authn::account_name::split_username;
use sa_authn::authn::claims::{Claims, ObjectRef};
use sa_authn::printable::printable;
use std::time::Duration;

/// The kind of a token, in one or more lines.
pub fn of(claims: &Claims) -> String {
    if claims.is_legacy() || claims.issuer() == Some(LEGACY_ISSUER) {
        return "token from a Secret (before Kubernetes 1.24), without audience and expiry.\n\
                The filter rejects it: legacy_token. Use a projected token."
            .to_owned();
    }
    let account = claims.subject().and_then(split_username).filter(|_| claims.in_kubernetes());
    let Some((namespace, name)) = account else {
        return "not a service account token, for example a user's JWT.\n\
                The filter rejects it: not_a_service_account, or unknown_issuer if the issuer is not configured."
            .to_owned();
    };
    let named = claims.service_account().map(|account| account.name);
    if (claims.namespace(), named) != (Some(namespace), Some(name)) {
        return format!(
            "contradictory: sub names {namespace}/{name}, but kubernetes.io names {}/{}",
            printable(claims.namespace().unwrap_or("(none)")),
            printable(named.unwrap_or("(none)"))
        );
    }
    format!("service account {namespace}/{name}: {}", bound(claims))
}

fn bound(claims: &Claims) -> String {
    match (claims.pod(), claims.secret(), claims.node()) {
        (Some(pod), _, node) => {
            let node = node
                .as_ref()
                .map_or(String::new(), |node| format!(" on node {}", printable(node.name)));
            let bound = format!(
                "bound to pod {}{node}; with TokenReview it becomes invalid when the pod is deleted",
                object(&pod)
            );
            match is_extended(claims) {
                true => format!("{bound}.\n{DEFAULT}"),
                false => {
                    format!(
                        "{bound}.\nA projected token, or a token that was requested for the pod."
                    )
                }
            }
        }
        (None, Some(secret), _) => {
            format!(
                "bound to secret {}; with TokenReview it becomes invalid when the secret is \
                     deleted",
                object(&secret)
            )
        }
        (None, None, Some(node)) => {
            format!(
                "bound to node {}; with TokenReview it becomes invalid when the node is deleted",
                object(&node)
            )
        }
        (None, None, None) => {
            "not bound to an object, such as a token of `kubectl create token`; valid until it \
             expires; with TokenReview it becomes invalid when the service account is deleted"
                .to_owned()
        }
    }
}

fn object(object: &ObjectRef<'_>) -> String {
    match &object.uid {
        Some(uid) => format!("{} (uid {})", printable(object.name), printable(uid)),
        None => printable(object.name).into_owned(),
    }
}

/// Whether the API server extended the lifetime to a year (`--service-account-extend-token-expiration`).
fn is_extended(claims: &Claims) -> bool {
    let times = claims.times();
    let (Some(issued), Some(expires)) = (times.issued_at, times.expires) else { return false };
    times.warn_after.is_some() && expires.since(issued) > LONG
}

const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

const DEFAULT: &str = "The default token of the pod. The API server extended its lifetime to a \
                       year, for clients that do not reload the
file; the kubelet replaces it by \
                       `warnafter`. `honorWarnAfter` reverts the extension.";

const LONG: Duration = Duration::from_secs(7 * 24 * 60 * 60);

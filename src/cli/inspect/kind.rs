//! Claims -> what kind of Kubernetes token they make it.

use sa_authn::authn::claims::{Claims, ObjectRef};
use sa_authn::authn::service_account::split_username;
use sa_authn::printable::printable;
use std::time::Duration;

/// One or more lines.
pub fn of(claims: &Claims) -> String {
    if claims.is_legacy() || claims.issuer() == Some(LEGACY_ISSUER) {
        return "a token from a Secret (before Kubernetes 1.24): it has no audience and never expires.\n\
                The filter refuses it as legacy_token: use a projected token."
            .to_owned();
    }
    let account = claims.subject().and_then(split_username).filter(|_| claims.in_kubernetes());
    let Some((namespace, name)) = account else {
        return "not a service account's: a user's JWT, or another program's.\n\
                The filter refuses it as not_a_service_account, if its issuer is one of the configuration."
            .to_owned();
    };
    let named = claims.service_account().map(|account| account.name);
    if (claims.namespace(), named) != (Some(namespace), Some(name)) {
        return format!(
            "one that contradicts itself: sub says {namespace}/{name}, kubernetes.io says {}/{}",
            printable(claims.namespace().unwrap_or("nothing")),
            printable(named.unwrap_or("nothing"))
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
                "bound to pod {}{node}: it ends with that pod, where the API server is asked",
                object(&pod)
            );
            match is_extended(claims) {
                true => format!("{bound}.\n{DEFAULT}"),
                false => {
                    format!("{bound}.\nA projected token, or one that was requested for the pod.")
                }
            }
        }
        (None, Some(secret), _) => {
            format!("bound to secret {}: it ends when the secret is deleted", object(&secret))
        }
        (None, None, Some(node)) => {
            format!("bound to node {}: it ends when the node is deleted", object(&node))
        }
        (None, None, None) => {
            "bound to nothing: a TokenRequest, such as `kubectl create token`; good until \
                               it expires, unless the service account is deleted"
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

/// The API server's `--service-account-extend-token-expiration`: a year, of which the kubelet uses an hour.
fn is_extended(claims: &Claims) -> bool {
    let times = claims.times();
    let (Some(issued), Some(expires)) = (times.issued_at, times.expires) else { return false };
    times.warn_after.is_some() && expires.since(issued) > LONG
}

const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

const DEFAULT: &str = "\
The default token of the pod, extended to a year for clients that never read their file again; the kubelet
replaces it by `warnafter`. `honorWarnAfter` takes the year back.";

const LONG: Duration = Duration::from_secs(7 * 24 * 60 * 60);

//! What the calls for keys and for reviews have in common: the cluster and the authority.

use super::problems::Problems;

/// Whether a text is printable ASCII without spaces, and not empty.
pub(super) fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Checks a text that must be there.
pub(super) fn required(
    path: &str,
    field: &str,
    what: &str,
    value: Option<String>,
    problems: &mut Problems,
) -> String {
    let value = value.unwrap_or_default();
    if !is_visible(&value) {
        problems.add(format!("{path}.{field}"), what);
    }
    value
}

pub(super) const CLUSTER: &str =
    "must be the name of an Envoy cluster, for example \"kube-apiserver\"";
pub(super) const AUTHORITY: &str =
    "must be the server's host name, for example \"kubernetes.default.svc\"";

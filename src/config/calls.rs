//! What the calls for keys and for reviews have in common: the server and a path prefix.

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

/// Cluster and authority of a server.
pub(super) fn server(
    path: &str,
    cluster: Option<String>,
    host: Option<String>,
    problems: &mut Problems,
) -> (String, String) {
    let cluster = required(path, "cluster", CLUSTER, cluster, problems);
    (cluster, authority(path, host, problems))
}

/// `pathPrefix`; empty by default.
pub(super) fn path_prefix(path: &str, wire: Option<String>, problems: &mut Problems) -> String {
    let prefix = wire.unwrap_or_default();
    let fits = prefix.starts_with('/') && is_visible(&prefix) && !prefix.contains(['?', '#']);
    if !prefix.is_empty() && (!fits || prefix.ends_with('/')) {
        problems.add(
            format!("{path}.pathPrefix"),
            "must begin with a slash and not end with one, for example \"/k8s/clusters/c-1\"",
        );
    }
    prefix
}

/// The `:authority` of calls. A URL is an error: the API server would reject every call.
fn authority(path: &str, value: Option<String>, problems: &mut Problems) -> String {
    let value = required(path, "authority", AUTHORITY, value, problems);
    if value.contains('/') {
        let (_, rest) = value.split_once("://").unwrap_or(("", &value));
        let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
        let fault = format!("must be a host name without a scheme and a path; write {host:?}");
        problems.add(format!("{path}.authority"), fault);
    }
    value
}

const CLUSTER: &str = "must be the name of an Envoy cluster, for example \"kube-apiserver\"";
const AUTHORITY: &str = "must be the server's host name, for example \"kubernetes.default.svc\"";

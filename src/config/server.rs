//! Validation of the servers that the filter calls: cluster, authority and path prefix.

use super::problems::Problems;

/// Cluster and authority of a server.
pub(super) fn server(
    path: &str,
    cluster: Option<String>,
    authority: Option<String>,
    problems: &mut Problems,
) -> (String, String) {
    let (cluster, authority) = (cluster.unwrap_or_default(), authority.unwrap_or_default());
    if !is_visible(&cluster) || cluster.contains("://") {
        problems.add(format!("{path}.cluster"), CLUSTER);
    }
    if authority.contains('/') {
        let (_, rest) = authority.split_once("://").unwrap_or(("", &authority));
        let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
        let fault =
            format!("must be the server's host name without a scheme and a path; write {host:?}");
        problems.add(format!("{path}.authority"), fault);
    } else if !is_authority(&authority) {
        problems.add(format!("{path}.authority"), AUTHORITY);
    }
    (cluster, authority)
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

/// A host, with or without a port.
fn is_authority(text: &str) -> bool {
    let port = match text.rsplit_once(']') {
        Some((_, rest)) => rest.strip_prefix(':'),
        None => text.split_once(':').map(|(_, port)| port),
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !text.is_empty()
        && !text.starts_with(':')
        && text.bytes().all(fits)
        && port.is_none_or(|port| port.parse().is_ok_and(|port: u16| port > 0))
}

/// Whether a text is not empty, and has only printable ASCII without white space.
pub(super) fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

const CLUSTER: &str =
    "must be the name of an Envoy cluster and not a URL, for example \"kube-apiserver\"";
const AUTHORITY: &str = "must be the server's host name, with or without a port, for example \
                         \"kubernetes.default.svc\"";

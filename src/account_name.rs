//! Names of service accounts, checked as Kubernetes checks them.

/// Namespace and name of `system:serviceaccount:<namespace>:<name>`, as strict as
/// kubernetes/apiserver:pkg/authentication/serviceaccount/util.go.
pub fn split_username(username: &str) -> Option<(&str, &str)> {
    let (namespace, name) = username.strip_prefix(PREFIX)?.split_once(':')?;
    (is_dns_label(namespace) && is_dns_subdomain(name)).then_some((namespace, name))
}

/// RFC 1123: what a namespace may be called.
pub fn is_dns_label(text: &str) -> bool {
    let alphanumeric = |byte: Option<&u8>| byte.is_some_and(|b| is_lower_alphanumeric(*b));
    text.len() <= 63
        && alphanumeric(text.as_bytes().first())
        && alphanumeric(text.as_bytes().last())
        && text.bytes().all(|byte| is_lower_alphanumeric(byte) || byte == b'-')
}

/// RFC 1123 labels with dots between them: what a service account may be called. Kubernetes limits the
/// whole to 253 characters, and not its labels.
pub fn is_dns_subdomain(text: &str) -> bool {
    let label = |part: &str| {
        let (first, last) = (part.bytes().next(), part.bytes().next_back());
        first.is_some_and(is_lower_alphanumeric)
            && last.is_some_and(is_lower_alphanumeric)
            && part.bytes().all(|byte| is_lower_alphanumeric(byte) || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Of the user name of a service account.
pub(crate) const PREFIX: &str = "system:serviceaccount:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_is_exactly_a_service_accounts() {
        let longest = format!("system:serviceaccount:{}:{}", "n".repeat(63), "a".repeat(253));
        assert!(split_username(&longest).is_some());
        for (username, expected) in [
            ("system:serviceaccount:demo:app", Some(("demo", "app"))),
            ("system:serviceaccount:demo:app.v1-2", Some(("demo", "app.v1-2"))),
        ] {
            assert_eq!(split_username(username), expected);
        }
    }

    #[test]
    fn what_only_looks_like_a_service_account_is_none() {
        for username in [
            "demo:app",
            "system:serviceaccount:demo",
            "system:serviceaccount::app",
            "system:serviceaccount:demo:",
            "system:serviceaccount:demo:app:x",
            "system:serviceaccount:de.mo:app",
            "system:serviceaccount:Demo:app",
            "system:serviceaccount:demo:App",
            "system:serviceaccount:demo:-app",
            "system:serviceaccount:demo:app.",
            "system:serviceaccount:demo:a..b",
            "system:serviceaccount:d\u{435}mo:app",
            "system:serviceaccount:demo:app ",
            "System:serviceaccount:demo:app",
            " system:serviceaccount:demo:app",
            "system:serviceaccounts:demo:app",
            "system:anonymous",
        ] {
            assert_eq!(split_username(username), None, "{username}");
        }
        let too_long = format!("system:serviceaccount:{}:app", "n".repeat(64));
        assert_eq!(split_username(&too_long), None);
    }
}

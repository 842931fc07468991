//! Extracts the token from an Authorization value as Kubernetes does.

/// What Kubernetes finds after "Bearer ": white space around the value is cut off first, so a token
/// that begins with white space is an empty token, and an empty token is an anonymous caller.
pub(super) fn bearer(authorization: &str) -> Option<&str> {
    let mut parts = authorization.trim().splitn(3, ' ');
    let scheme = parts.next()?;
    let token = parts.next()?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn tokens_are_extracted_as_in_kubernetes() {
        assert_eq!(bearer("Bearer x"), Some("x"));
        assert_eq!(bearer("bearer x\n"), Some("x"));
        assert_eq!(bearer("Bearer x y"), Some("x"));
        assert_eq!(bearer("Bearer  x"), None);
        assert_eq!(bearer("Bearer \t"), None);
        assert_eq!(bearer("Basic x"), None);
    }
}

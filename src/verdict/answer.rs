//! A denial -> the response that the caller gets: status, headers and body, for HTTP and for gRPC.

use super::Denial;

/// A local reply, ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status; for gRPC callers Envoy sends 200 and the gRPC status.
    pub status: u16,
    /// The gRPC status, used by the host only where the caller speaks gRPC.
    pub grpc_status: u8,
    /// Header names and values.
    pub headers: Vec<(&'static str, String)>,
    /// A small JSON object, or plain text for gRPC callers (it becomes their grpc-message).
    pub body: String,
    /// For `%RESPONSE_CODE_DETAILS%` in access logs.
    pub details: String,
}

/// What the caller is to be told about where it knocked (RFC 6750 section 3).
#[derive(Clone, Debug)]
pub struct Realm(pub String);

// === impl Answer ===

impl Answer {
    /// The answer to a refused request. `grpc` when the caller sent `content-type: application/grpc`.
    pub fn to(denial: &Denial, grpc: bool, realm: &Realm) -> Self {
        let reason = denial.reason();
        let mut headers = Vec::new();
        if reason.status() == 401 {
            headers.push(("www-authenticate", challenge(denial, realm)));
        }
        if reason.status() == 503 {
            let seconds = denial.retry_after().map_or(DEFAULT_RETRY_SECS, |after| {
                after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1)
            });
            headers.push(("retry-after", seconds.to_string()));
        }
        let body = if grpc {
            format!("{}: {}", reason.code(), reason.message())
        } else {
            headers.push(("content-type", "application/json".to_owned()));
            format!(r#"{{"reason":"{}","message":"{}"}}"#, reason.code(), reason.message())
        };
        Self {
            status: reason.status(),
            grpc_status: reason.grpc_status(),
            headers,
            body,
            details: format!("sa_authn.{}", reason.code()),
        }
    }
}

/// RFC 6750 section 3.1: no error code where no token was sent.
fn challenge(denial: &Denial, realm: &Realm) -> String {
    let Realm(realm) = realm;
    match denial.reason() {
        super::Reason::MissingToken => format!(r#"Bearer realm="{realm}""#),
        reason => format!(
            r#"Bearer realm="{realm}", error="invalid_token", error_description="{}""#,
            reason.message()
        ),
    }
}

impl Default for Realm {
    fn default() -> Self {
        Self("sa-authn".to_owned())
    }
}

const DEFAULT_RETRY_SECS: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Reason;
    use std::time::Duration;

    fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
        answer.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_missing_token_is_challenged_without_an_error() {
        let answer = Answer::to(&Reason::MissingToken.because(""), false, &Realm::default());
        assert_eq!(header(&answer, "www-authenticate"), Some(r#"Bearer realm="sa-authn""#));
    }

    #[test]
    fn a_bad_token_is_challenged_with_an_error_and_no_detail() {
        let denial = Reason::Expired.because("exp 5, now 1000");
        let answer = Answer::to(&denial, false, &Realm::default());
        assert_eq!(
            header(&answer, "www-authenticate"),
            Some(
                r#"Bearer realm="sa-authn", error="invalid_token", error_description="the token has expired""#
            )
        );
        assert_eq!(answer.body, r#"{"reason":"expired","message":"the token has expired"}"#);
        assert_eq!(answer.details, "sa_authn.expired");
    }

    #[test]
    fn our_own_failure_says_when_to_come_back_rounded_up() {
        let denial = Reason::KeysUnavailable.because("").retry_in(Duration::from_millis(2100));
        let answer = Answer::to(&denial, false, &Realm::default());
        assert_eq!((answer.status, header(&answer, "retry-after")), (503, Some("3")));
        assert_eq!(header(&answer, "www-authenticate"), None);
    }

    #[test]
    fn a_grpc_caller_gets_plain_text_and_status_3_for_a_bad_request() {
        let answer = Answer::to(&Reason::AmbiguousPath.because(""), true, &Realm::default());
        assert_eq!(answer.grpc_status, 3);
        assert_eq!(answer.body, "ambiguous_path: the request's path is ambiguous");
        assert_eq!(header(&answer, "content-type"), None);
    }
}

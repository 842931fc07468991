//! The response to a denied request: status, headers and body, for HTTP and for gRPC.

use crate::denial::{Denial, Reason};

/// A local reply.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status; for gRPC callers Envoy sends 200 and the gRPC status.
    pub status: u16,
    /// The gRPC status, which the host uses only if the caller speaks gRPC.
    pub grpc_status: u8,
    /// Header names and values.
    pub headers: Vec<(&'static str, String)>,
    /// A small JSON object, or plain text for gRPC callers (it becomes their grpc-message).
    pub body: String,
    /// For `%RESPONSE_CODE_DETAILS%` in access logs.
    pub details: String,
}

/// What responses to denied requests say (`answers` in the configuration).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The `realm` parameter of `WWW-Authenticate` (RFC 6750 section 3).
    pub realm: String,
    /// Whether responses leave out the reason. Logs and metrics always have it.
    pub hide_reason: bool,
}

// === impl Answer ===

impl Answer {
    /// The response to a denied request. `grpc`: the caller sent `content-type: application/grpc`.
    #[cold]
    pub fn to(denial: &Denial, grpc: bool, answers: &Answers) -> Self {
        let reason = denial.reason();
        let (code, message) = match answers.hide_reason {
            true => reason.hidden(),
            false => (reason.code(), reason.message()),
        };
        let mut headers = Vec::new();
        if reason.status() == 401 {
            let error = (reason != Reason::MissingToken).then_some(message);
            headers.push(("www-authenticate", challenge(&answers.realm, error)));
        }
        if reason.status() == 503 {
            let seconds = denial.retry_after().map_or(DEFAULT_RETRY_SECS, |after| {
                after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1)
            });
            headers.push(("retry-after", seconds.to_string()));
        }
        let body = if grpc {
            format!("{code}: {message}")
        } else {
            headers.push(("content-type", "application/json".to_owned()));
            format!(r#"{{"reason":"{code}","message":"{message}"}}"#)
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

/// RFC 6750 section 3.1: no error code if the request has no token.
fn challenge(realm: &str, error: Option<&str>) -> String {
    match error {
        None => format!(r#"Bearer realm="{realm}""#),
        Some(message) => format!(
            r#"Bearer realm="{realm}", error="invalid_token", error_description="{message}""#
        ),
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self { realm: "sa-authn".to_owned(), hide_reason: false }
    }
}

const DEFAULT_RETRY_SECS: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
        answer.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_missing_token_is_challenged_without_an_error() {
        let answer = Answer::to(&Reason::MissingToken.because(""), false, &Answers::default());
        assert_eq!(header(&answer, "www-authenticate"), Some(r#"Bearer realm="sa-authn""#));
    }

    #[test]
    fn a_bad_token_is_challenged_with_an_error_and_no_detail() {
        let denial = Reason::Expired.because("exp 5, now 1000");
        let answer = Answer::to(&denial, false, &Answers::default());
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
    fn where_reasons_are_hidden_all_of_one_status_sound_alike() {
        let answers = Answers { hide_reason: true, ..Answers::default() };
        for reason in Reason::ALL {
            let expected = match reason.status() {
                400 => "bad_request: bad request",
                403 => "forbidden: forbidden",
                503 => "unavailable: unavailable",
                _ => "unauthorized: unauthorized",
            };
            let answer = Answer::to(&reason.because("a detail"), true, &answers);
            assert_eq!(answer.body, expected, "{reason:?}");
        }
    }

    #[test]
    fn a_caller_may_be_told_no_more_than_the_status() {
        let answers = Answers { realm: "vault".to_owned(), hide_reason: true };
        let answer = Answer::to(&Reason::WrongAudience.because(""), false, &answers);
        assert_eq!(answer.body, r#"{"reason":"unauthorized","message":"unauthorized"}"#);
        assert_eq!(
            header(&answer, "www-authenticate"),
            Some(
                r#"Bearer realm="vault", error="invalid_token", error_description="unauthorized""#
            )
        );
        assert_eq!(answer.details, "sa_authn.wrong_audience");
    }

    #[test]
    fn our_own_failure_says_when_to_come_back_rounded_up() {
        let denial = Reason::KeysUnavailable.because("").retry_in(Duration::from_millis(2100));
        let answer = Answer::to(&denial, false, &Answers::default());
        assert_eq!((answer.status, header(&answer, "retry-after")), (503, Some("3")));
        assert_eq!(header(&answer, "www-authenticate"), None);
    }

    #[test]
    fn a_grpc_caller_gets_plain_text_and_status_3_for_a_bad_request() {
        let answer = Answer::to(&Reason::AmbiguousPath.because(""), true, &Answers::default());
        assert_eq!(answer.grpc_status, 3);
        assert_eq!(answer.body, "ambiguous_path: the request's path is ambiguous");
        assert_eq!(header(&answer, "content-type"), None);
    }
}

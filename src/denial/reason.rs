//! The reasons for a denial, with the response of each.

/// Why a request is denied. The code is stable. It is in the response's body, the log, the response code details, the command
/// line's output and docs/troubleshooting.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No token in any of the configured headers.
    MissingToken,
    /// Not a JWT in compact form (RFC 7515 section 7.1), or claims of the wrong shape.
    MalformedToken,
    /// Longer than `limits.maxTokenBytes`.
    TokenTooLarge,
    /// `alg` is not what the key is for, or nothing that Kubernetes signs with.
    UnsupportedAlgorithm,
    /// `iss` is not a configured issuer.
    UnknownIssuer,
    /// A token from a Secret (before Kubernetes 1.24): it has no audience and never expires.
    LegacyToken,
    /// The issuer does not publish a key with the token's `kid`.
    UnknownKey,
    /// The signature is not the key's.
    BadSignature,
    /// A claim that every bound ServiceAccount token has is not there.
    MissingClaim,
    /// `exp` has passed.
    Expired,
    /// `nbf` or `iat` lies in the future.
    NotYetValid,
    /// The token was made for longer than the configuration allows.
    LifetimeTooLong,
    /// `aud` holds none of the issuer's configured audiences.
    WrongAudience,
    /// A genuine token whose subject is no service account.
    NotAServiceAccount,
    /// The token is not bound to an object that the configuration demands.
    NotBound,
    /// The mTLS peer is another workload than the token's service account.
    WrongPeer,
    /// The API server says that the token, or what it is bound to, is gone.
    Revoked,
    /// The API server's review tells of another caller than the token.
    ReviewMismatch,
    /// Several tokens that differ.
    ConflictingTokens,
    /// A path or a host that Envoy or the upstream could read otherwise than the rules do.
    AmbiguousPath,
    /// A method that no RFC and no rule names, where a rule looks at methods.
    UnknownMethod,
    /// A segment or a query parameter that a rule's access review needs is missing, or servers read it differently.
    AmbiguousAttributes,
    /// Genuine, but no rule lets this caller do this.
    Forbidden,
    /// The issuer's keys are not available.
    KeysUnavailable,
    /// The API server's TokenReview is not available.
    ReviewUnavailable,
    /// The API server's SubjectAccessReview is not available.
    AuthorizationUnavailable,
    /// Too many requests are paused already.
    Overloaded,
    /// The configuration is invalid, and the filter runs to deny every request.
    Misconfigured,
    /// The filter failed.
    Internal,
}

// === impl Reason ===

impl Reason {
    /// Every reason, in the order in which a request meets them.
    pub const ALL: [Self; 29] = [
        Self::MissingToken,
        Self::MalformedToken,
        Self::TokenTooLarge,
        Self::UnsupportedAlgorithm,
        Self::UnknownIssuer,
        Self::LegacyToken,
        Self::UnknownKey,
        Self::BadSignature,
        Self::MissingClaim,
        Self::Expired,
        Self::NotYetValid,
        Self::LifetimeTooLong,
        Self::WrongAudience,
        Self::NotAServiceAccount,
        Self::NotBound,
        Self::WrongPeer,
        Self::Revoked,
        Self::ReviewMismatch,
        Self::ConflictingTokens,
        Self::AmbiguousPath,
        Self::UnknownMethod,
        Self::AmbiguousAttributes,
        Self::Forbidden,
        Self::KeysUnavailable,
        Self::ReviewUnavailable,
        Self::AuthorizationUnavailable,
        Self::Overloaded,
        Self::Misconfigured,
        Self::Internal,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        self.texts().0
    }

    /// One sentence for the caller. It says no more than the code does.
    pub const fn message(self) -> &'static str {
        self.texts().1
    }

    /// The HTTP status. A failure of the filter is 503 and never 401, because clients discard a token after a 401.
    pub const fn status(self) -> u16 {
        match self {
            Self::ConflictingTokens
            | Self::AmbiguousPath
            | Self::UnknownMethod
            | Self::AmbiguousAttributes => 400,
            Self::Forbidden => 403,
            Self::KeysUnavailable
            | Self::ReviewUnavailable
            | Self::AuthorizationUnavailable
            | Self::Overloaded
            | Self::Misconfigured
            | Self::Internal => 503,
            _ => 401,
        }
    }

    /// The gRPC status for callers that speak gRPC (Envoy itself would make 13 of a 400).
    pub const fn grpc_status(self) -> u8 {
        match self.status() {
            400 => 3,
            403 => 7,
            503 => 14,
            _ => 16,
        }
    }

    /// Code and message for responses that leave out the reason.
    pub const fn hidden(self) -> (&'static str, &'static str) {
        match self.status() {
            400 => ("bad_request", "bad request"),
            403 => ("forbidden", "forbidden"),
            503 => ("unavailable", "unavailable"),
            _ => ("unauthorized", "unauthorized"),
        }
    }

    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::MissingToken => ("missing_token", "no bearer token was sent"),
            Self::MalformedToken => ("malformed_token", "the token is not a well-formed JWT"),
            Self::TokenTooLarge => ("token_too_large", "the token is too large"),
            Self::UnsupportedAlgorithm => {
                ("unsupported_algorithm", "the token's algorithm is not accepted")
            }
            Self::UnknownIssuer => ("unknown_issuer", "the token's issuer is not accepted"),
            Self::LegacyToken => {
                ("legacy_token", "tokens from a Secret are not accepted: use a projected token")
            }
            Self::UnknownKey => ("unknown_key", "the token's issuer does not publish its key"),
            Self::BadSignature => ("bad_signature", "the token's signature does not verify"),
            Self::MissingClaim => ("missing_claim", "the token lacks a required claim"),
            Self::Expired => ("expired", "the token has expired"),
            Self::NotYetValid => ("not_yet_valid", "the token is not valid yet"),
            Self::LifetimeTooLong => ("lifetime_too_long", "the token lives longer than accepted"),
            Self::WrongAudience => ("wrong_audience", "the token is not meant for this service"),
            Self::NotAServiceAccount => {
                ("not_a_service_account", "the token is not a ServiceAccount token")
            }
            Self::NotBound => ("not_bound", "the token is not bound as required"),
            Self::WrongPeer => ("wrong_peer", "the token belongs to another workload"),
            Self::Revoked => ("revoked", "the API server does not accept the token"),
            Self::ReviewMismatch => ("review_mismatch", "the token was not confirmed"),
            Self::ConflictingTokens => ("conflicting_tokens", "several different tokens were sent"),
            Self::AmbiguousPath => ("ambiguous_path", "the request's path is ambiguous"),
            Self::UnknownMethod => ("unknown_method", "the request's method is not accepted"),
            Self::AmbiguousAttributes => (
                "ambiguous_attributes",
                "the request's attributes for authorization are missing or ambiguous",
            ),
            Self::Forbidden => ("forbidden", "this service account may not do this"),
            Self::KeysUnavailable => ("keys_unavailable", "the token cannot be checked right now"),
            Self::ReviewUnavailable => {
                ("review_unavailable", "the token cannot be reviewed right now")
            }
            Self::AuthorizationUnavailable => {
                ("authorization_unavailable", "the request cannot be authorized right now")
            }
            Self::Overloaded => ("overloaded", "too many requests are waiting"),
            Self::Misconfigured => ("misconfigured", "the request could not be checked"),
            Self::Internal => ("internal", "the request could not be checked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_is_one_reason_and_lower_snake_case() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for code in codes {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        }
    }

    #[test]
    fn what_is_our_failure_never_answers_401() {
        for reason in [
            Reason::KeysUnavailable,
            Reason::ReviewUnavailable,
            Reason::AuthorizationUnavailable,
            Reason::Overloaded,
            Reason::Misconfigured,
            Reason::Internal,
        ] {
            assert_eq!((reason.status(), reason.grpc_status()), (503, 14), "{}", reason.code());
        }
    }
}

//! `sa-authn reasons`: the meaning and remedy of each denial reason.

use super::{Failure, Report};
use sa_authn::config::nearest;
use sa_authn::denial::Reason;

/// The arguments of `reasons`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Reason, such as `expired` or `sa_authn.expired`, or an HTTP status, such as `401`; default: all reasons
    reason: Option<String>,
}

/// Prints the reasons.
pub fn print(options: &Options) -> Result<Report, Failure> {
    let chosen = match &options.reason {
        None => Reason::ALL.to_vec(),
        Some(code) => match code.parse::<u16>() {
            Ok(status) => with_status(status)?,
            Err(_) => vec![named(code)?],
        },
    };
    let blocks: Vec<_> = chosen.into_iter().map(block).collect();
    Ok(Report::plain(blocks.join("\n")))
}

fn with_status(status: u16) -> Result<Vec<Reason>, Failure> {
    let reasons: Vec<_> =
        Reason::ALL.into_iter().filter(|reason| reason.status() == status).collect();
    if reasons.is_empty() {
        let mut statuses = Reason::ALL.map(|reason| reason.status()).to_vec();
        statuses.sort_unstable();
        statuses.dedup();
        return Err(Failure(format!(
            "no reason has status {status}; the filter sends {statuses:?}"
        )));
    }
    Ok(reasons)
}

fn named(code: &str) -> Result<Reason, Failure> {
    let bare = code.strip_prefix("sa_authn.").unwrap_or(code);
    let known = Reason::ALL.into_iter().find(|reason| reason.code() == bare);
    known.ok_or_else(|| {
        let near = nearest(bare, Reason::ALL.into_iter().map(Reason::code));
        let near = near.map_or(String::new(), |near| format!(" did you mean {near:?}?"));
        Failure(format!("unknown reason {code:?};{near} `sa-authn reasons` lists all reasons"))
    })
}

fn block(reason: Reason) -> String {
    let (code, status, grpc) = (reason.code(), reason.status(), reason.grpc_status());
    format!(
        "{code} (HTTP {status}, gRPC {grpc})\n  means:  {}\n  remedy: {}\n",
        meaning(reason),
        remedy(reason)
    )
}

/// The meaning. A test compares it with the table in docs/troubleshooting.md.
fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::MissingToken => "no token in any of the configured headers",
        Reason::MalformedToken => "not a JWT, or claims of the wrong type",
        Reason::TokenTooLarge => "longer than `limits.maxTokenBytes`",
        Reason::UnsupportedAlgorithm => {
            "`alg` is not the algorithm of the key, for example `none` or HS256"
        }
        Reason::UnknownIssuer => "`iss` is not one of the configured issuers",
        Reason::LegacyToken => "token from a Secret, which never expires",
        Reason::UnknownKey => "the issuer does not publish a key with this `kid`",
        Reason::BadSignature => "the signature does not verify with the key",
        Reason::MissingClaim => "no `iss`, `sub`, `aud` or `exp`",
        Reason::Expired => "`exp` and the leeway have passed",
        Reason::NotYetValid => "`nbf` or `iat` is in the future",
        Reason::LifetimeTooLong => "the lifetime is longer than `maxLifetime`",
        Reason::WrongAudience => "`aud` contains none of the issuer's `audiences`",
        Reason::NotAServiceAccount => {
            "verified, but not a service account token, or with contradictory claims"
        }
        Reason::NotBound => "not bound to a pod, although `requireBound` is set",
        Reason::WrongPeer => {
            "the mTLS peer is another workload, or has no SPIFFE ID (for example behind a waypoint)"
        }
        Reason::Revoked => {
            "the API server rejects the token: its pod, service account or secret was deleted"
        }
        Reason::ReviewMismatch => {
            "the API server approves the token, but for another account, uid, pod or audience, or for none"
        }
        Reason::ConflictingTokens => "several different tokens",
        Reason::AmbiguousPath => {
            "no path, or a path that upstreams interpret differently (`//`, `..`, `%2f`, `;`, ...), or an \
             ambiguous host (several, a trailing dot, a malformed port); and a rule that depends on \
             it is evaluated"
        }
        Reason::UnknownMethod => {
            "a method that neither RFC 9110, RFC 5789 nor a rule names (`delete`, `FROB`); and a \
             rule that depends on methods is evaluated"
        }
        Reason::AmbiguousAttributes => {
            "a path segment or a query parameter that `kubernetesRBAC` uses is missing, empty, too long \
             or not a plain name, or servers read the query differently"
        }
        Reason::Forbidden => {
            "verified, but no rule allows this request for this account, or Kubernetes RBAC does not"
        }
        Reason::KeysUnavailable => {
            "the issuer's keys are unavailable; `Retry-After` has the time until the next fetch"
        }
        Reason::ReviewUnavailable => {
            "the API server cannot review the token; the log has the cause, and `Retry-After` the \
             time until the next attempt"
        }
        Reason::AuthorizationUnavailable => {
            "the API server cannot review the access (SubjectAccessReview); the log has the cause"
        }
        Reason::Overloaded => "too many paused requests, or too many concurrent reviews",
        Reason::Misconfigured => {
            "the filter's configuration is invalid, and its `root_id` is `sa-authn:deny-if-misconfigured`"
        }
        Reason::Internal => "internal error of the filter; the log has the cause",
    }
}

/// The remedy, at the caller or at the filter.
pub fn remedy(reason: Reason) -> &'static str {
    match reason {
        Reason::MissingToken => {
            "make the caller send its projected token in a header of `tokenFrom`, or allow the path \
             without a token by a rule with `allow: \"anyone\"`"
        }
        Reason::MalformedToken => {
            "inspect the token with `sa-authn inspect`; common causes are a file name, quotes or a \
             line end in the header"
        }
        Reason::TokenTooLarge => "raise `limits.maxTokenBytes` if tokens of this size are expected",
        Reason::UnsupportedAlgorithm => {
            "send the unchanged Kubernetes token; for ES512, use an Envoy with `verify_signature` \
             (1.30 or newer)"
        }
        Reason::UnknownIssuer => {
            "compare `iss` (`sa-authn inspect`) with `issuers[].issuer` and `aliases`, byte for \
             byte; `kubectl get --raw /.well-known/openid-configuration` prints the `iss` of the \
             cluster"
        }
        Reason::LegacyToken => {
            "mount a projected token (`serviceAccountToken` with an `audience`) instead of the Secret"
        }
        Reason::UnknownKey => {
            "compare its `kid` with `kubectl get --raw /openid/v1/jwks`; if they differ, the token \
             is from another cluster with the same `iss`"
        }
        Reason::BadSignature => {
            "check whether a proxy or application changes the token; with `pem` keys, check that \
             they are the keys of the token's cluster"
        }
        Reason::MissingClaim => {
            "use a token from TokenRequest or a projected volume, with an audience"
        }
        Reason::Expired => {
            "make the application reload its token file, which the kubelet replaces; check the clocks"
        }
        Reason::NotYetValid => {
            "check the clocks of the API server and of the proxy; raise `leeway` if necessary"
        }
        Reason::LifetimeTooLong => {
            "request the token with a shorter `expirationSeconds`, or raise `maxLifetime`"
        }
        Reason::WrongAudience => {
            "mount a token with `audience` set to one of `issuers[].audiences`, or add the audience there"
        }
        Reason::NotAServiceAccount => {
            "send a service account token, not a user's JWT of the same issuer"
        }
        Reason::NotBound => "use a projected token of the pod instead of `kubectl create token`",
        Reason::WrongPeer => {
            "make the caller connect with its own mTLS certificate; if callers have none, as behind \
             a waypoint, remove `matchPeer`"
        }
        Reason::Revoked => {
            "read the detail, which is the API server's reason; if the caller should exist, restart it: its new pod gets a new token"
        }
        Reason::ReviewMismatch => {
            "configure --api-audiences; otherwise the token belongs to another cluster"
        }
        Reason::ConflictingTokens => {
            "send one token in one header: remove the token of the proxy or of the application"
        }
        Reason::AmbiguousPath => {
            "send the path without `//`, `..`, `%2f`, `%5c`, `;` and backslashes, and the host without a \
             trailing dot; or make Envoy normalize paths (`normalize_path` and `merge_slashes`; in \
             Istio `pathNormalization`)"
        }
        Reason::UnknownMethod => {
            "send the method in capitals; if the service supports this method, add it to `methods` of a rule"
        }
        Reason::AmbiguousAttributes => {
            "send the segment or the query parameter once, with letters, digits and `-._:`; at most 8 \
             values of at most 253 characters"
        }
        Reason::Forbidden => {
            "add the account to `allow` of the rule that decided (the log names the rule), or add a \
             rule that covers the request; `sa-authn explain` shows why each rule does not cover it. If \
             Kubernetes RBAC decides, bind a role to the account (`kubectl auth can-i --as` shows it)"
        }
        Reason::KeysUnavailable => {
            "find the cause of the failed fetch in Envoy's log: the name of the cluster, its \
             `trusted_ca`, its credential, or the RBAC of discovery"
        }
        Reason::ReviewUnavailable => {
            "find the cause of the failed review in Envoy's log; 403 means that the \
             ClusterRoleBinding to system:auth-delegator is missing"
        }
        Reason::AuthorizationUnavailable => {
            "find the cause of the failed review in Envoy's log; 403 means that the \
             ClusterRoleBinding to system:auth-delegator is missing"
        }
        Reason::Overloaded => {
            "find out why the API server is slow, or which callers send many requests; then raise \
             `limits.maxWaiting` or `limits.maxReviews`"
        }
        Reason::Misconfigured => {
            "read the lines with \"configuration:\" in Envoy's log, or run `sa-authn check`; correct the \
             configuration"
        }
        Reason::Internal => "read Envoy's log; if the cause is not the clock, report a bug",
    }
}

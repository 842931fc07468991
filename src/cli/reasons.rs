//! `sa-authn reasons`: what each refusal means, and what to do about it.

use super::{Failure, Report};
use sa_authn::verdict::Reason;

/// Which reasons.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only this one, such as `expired` (also as `sa_authn.expired`); without it all of them
    reason: Option<String>,
}

/// Prints them.
pub fn print(options: &Options) -> Result<Report, Failure> {
    let chosen = match &options.reason {
        None => Reason::ALL.to_vec(),
        Some(code) => vec![named(code)?],
    };
    let blocks: Vec<_> = chosen.into_iter().map(block).collect();
    Ok(Report::plain(blocks.join("\n")))
}

fn named(code: &str) -> Result<Reason, Failure> {
    let bare = code.strip_prefix("sa_authn.").unwrap_or(code);
    let known = Reason::ALL.into_iter().find(|reason| reason.code() == bare);
    known.ok_or_else(|| {
        let likeness = |reason: &Reason| strsim::jaro_winkler(reason.code(), bare);
        let near = Reason::ALL.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let near = near.map_or("", Reason::code);
        Failure(format!(
            "{code:?} is no reason; did you mean {near:?}? `sa-authn reasons` prints all"
        ))
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

/// As the table of docs/troubleshooting.md has it.
fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::MissingToken => "no token in any of the configured headers",
        Reason::MalformedToken => "not a JWT, or claims of the wrong shape",
        Reason::TokenTooLarge => "longer than `limits.maxTokenBytes`",
        Reason::UnsupportedAlgorithm => "not the algorithm of the key: `none`, HS256, ...",
        Reason::UnknownIssuer => "`iss` is none of the configured ones",
        Reason::LegacyToken => "a token from a Secret, which never expires: use a projected one",
        Reason::UnknownKey => "the issuer does not publish a key with this `kid`",
        Reason::BadSignature => "not signed by the key",
        Reason::MissingClaim => "no `iss`, `sub`, `aud` or `exp`",
        Reason::Expired => "`exp` and the leeway have passed",
        Reason::NotYetValid => "`nbf` or `iat` lies in the future",
        Reason::LifetimeTooLong => "made for longer than `maxLifetime`",
        Reason::WrongAudience => "minted for another service",
        Reason::NotAServiceAccount => {
            "genuine, but no service account's, or one that contradicts itself"
        }
        Reason::NotBound => "not bound to a pod, where `requireBound` demands it",
        Reason::WrongPeer => "the connection is another workload's, or nobody's (a waypoint's)",
        Reason::Revoked => {
            "the API server does not accept it (any more): its pod, service account or secret is gone, \
             or it never was genuine"
        }
        Reason::ReviewMismatch => {
            "the API server says yes, but to another account, uid, pod or audience, or to nobody"
        }
        Reason::ConflictingTokens => "several tokens that differ",
        Reason::AmbiguousPath => {
            "no path; or a path that the upstream could read otherwise (`//`, `%2f`, `;`, ...), or such a host \
             (several, a dot at the end, a malformed port), where no rule decides before the first that looks at it"
        }
        Reason::UnknownMethod => {
            "a method that neither RFC 9110, RFC 5789 nor a rule names (`delete`, `FROB`), where no rule decides \
             before the first that looks at methods"
        }
        Reason::Forbidden => "genuine, but no rule lets this account do this",
        Reason::KeysUnavailable => {
            "the issuer's keys cannot be had; `Retry-After` says when to come back"
        }
        Reason::ReviewUnavailable => {
            "the API server cannot be asked; the log says why, `Retry-After` when to come back"
        }
        Reason::Overloaded => "too many requests wait already, or too many reviews are under way",
        Reason::Internal => "the filter could not do its work; the log says why",
    }
}

/// What to do about it, at the caller's or at the filter's.
pub fn remedy(reason: Reason) -> &'static str {
    match reason {
        Reason::MissingToken => {
            "have the caller send its projected token in a header of `tokenFrom`; or open the path by a \
             rule with `allow: \"anyone\"`"
        }
        Reason::MalformedToken => {
            "look at the token with `sa-authn inspect`; often a header holds a file's name, quotes or a line end"
        }
        Reason::TokenTooLarge => "raise `limits.maxTokenBytes`, if such tokens are right",
        Reason::UnsupportedAlgorithm => {
            "send the token that Kubernetes gave; ES512 needs an Envoy with `verify_signature` (1.30 or newer)"
        }
        Reason::UnknownIssuer => {
            "compare `iss` (`sa-authn inspect`) with `issuers[].issuer` and `aliases`, byte for byte; \
             `kubectl get --raw /.well-known/openid-configuration` says the cluster's"
        }
        Reason::LegacyToken => {
            "mount a projected token (`serviceAccountToken` with an `audience`) instead of the Secret"
        }
        Reason::UnknownKey => {
            "is the token of another cluster that has the same `iss`? Compare its `kid` with \
             `kubectl get --raw /openid/v1/jwks`"
        }
        Reason::BadSignature => {
            "the token was changed on its way, or made by somebody else; with `pem` keys also: another \
             cluster's key"
        }
        Reason::MissingClaim => {
            "have the token made by TokenRequest or a projected volume, with an audience"
        }
        Reason::Expired => {
            "have the application read its token file again for each request: the kubelet replaces it; \
             compare the clocks"
        }
        Reason::NotYetValid => {
            "compare the clocks of the API server and of the proxy; raise `leeway` if need be"
        }
        Reason::LifetimeTooLong => {
            "have it minted with a shorter `expirationSeconds`, or raise `maxLifetime`"
        }
        Reason::WrongAudience => {
            "mount a token with `audience` set to one of `issuers[].audiences`, or add the audience there"
        }
        Reason::NotAServiceAccount => {
            "send a service account's token; a user's JWT of the same issuer is none"
        }
        Reason::NotBound => {
            "mount a projected token in the pod, in place of `kubectl create token`"
        }
        Reason::WrongPeer => {
            "have the caller connect with its own mTLS certificate; where there is none, as behind a \
             waypoint, leave `matchPeer` out"
        }
        Reason::Revoked => {
            "restart the caller, if it should still exist: its new pod has a new token"
        }
        Reason::ReviewMismatch => {
            "have the API server take the audience (`--api-audiences`); otherwise somebody mixes tokens up"
        }
        Reason::ConflictingTokens => {
            "send one token, in one header; take the proxy's or the application's off"
        }
        Reason::AmbiguousPath => {
            "write the path without `//`, `%2f`, `%5c`, `;` and backslashes, and the host without a dot at its end; or \
             have Envoy normalize paths (`normalize_path` and `merge_slashes`; in Istio `pathNormalization`)"
        }
        Reason::UnknownMethod => {
            "write the method in capitals; if the service has such a method, name it in `methods` of a rule"
        }
        Reason::Forbidden => {
            "add the account to `allow` of the rule that decided (the log names it), or a rule that covers \
             the request; `sa-authn explain` says why each rule does not"
        }
        Reason::KeysUnavailable => {
            "look at Envoy's log for why the fetch failed: the cluster's name, its `trusted_ca`, its \
             credential, or the RBAC of discovery"
        }
        Reason::ReviewUnavailable => {
            "look at Envoy's log for why the review failed; 403 means that the ClusterRoleBinding to \
             system:auth-delegator is missing"
        }
        Reason::Overloaded => {
            "find out why the API server is slow, or who floods; then raise `limits.maxWaiting` or \
             `limits.maxReviews`"
        }
        Reason::Internal => "look at Envoy's log; report it, if it is not the clock",
    }
}

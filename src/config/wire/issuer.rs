//! The types of `issuers`.

use super::access::AccessReview;
use crate::config::duration::WireDuration;
use crate::config::reader::{Read, Reader, object, words};
use serde_json::Value;

object! {
    /// A cluster whose tokens the filter accepts.
    Issuer {
        /// The name of the issuer in rules, logs, stats and identity headers. Defaults to `issuer`.
        name: String = "name",
        /// The `iss` of the tokens, byte for byte. `kubectl get --raw /.well-known/openid-configuration` prints it.
        issuer: String = "issuer",
        /// Further `iss` values of the same cluster, such as the value before `--service-account-issuer` changed.
        aliases: Vec<String> = "aliases",
        /// The accepted audiences. A token must have one of them in `aud`.
        audiences: Vec<String> = "audiences",
        /// The source of the public keys: exactly one of `discovery`, `jwks`, `inline` and `pem`.
        keys: Keys = "keys",
        /// If set, the filter sends TokenReviews to the API server, so that tokens of deleted objects are rejected.
        token_review: TokenReview = "tokenReview",
        /// If set, rules can let Kubernetes RBAC decide (`kubernetesRBAC`): the filter sends SubjectAccessReviews for service
        /// accounts of this issuer to its API server.
        subject_access_review: AccessReview = "subjectAccessReview",
        /// The allowed clock difference between the issuer and this proxy.
        leeway: WireDuration = "leeway",
        /// The maximum lifetime of a token, from `iat` to its effective expiry.
        max_lifetime: WireDuration = "maxLifetime",
        /// Whether a token expires at `kubernetes.io.warnafter`. The API server extends the lifetime of pods' default
        /// tokens to a year; `true` reverts that extension.
        honor_warn_after: bool = "honorWarnAfter",
        /// The kind of object that tokens must be bound to.
        require_bound: Bound = "requireBound",
        /// Whether the SPIFFE ID of the mTLS peer must name the service account of the token.
        match_peer: MatchPeer = "matchPeer",
    }
}

words! {
    Bound {
        /// Tokens must be bound to a pod, as projected tokens are.
        Pod = "pod",
    }
}

/// `true`, `false`, or an object.
#[derive(Debug)]
pub(crate) enum MatchPeer {
    Whether(bool),
    Peer(PeerPattern),
}

object! {
    PeerPattern {
        /// The trust domain that the peer must belong to.
        trust_domain: String = "trustDomain",
    }
}

object! {
    /// The source of the public keys.
    Keys {
        /// Fetch the keys from the API server (OpenID Connect Discovery). The filter follows key rotation.
        discovery: Discovery = "discovery",
        /// Fetch the keys as a JWKS from a fixed path of any server.
        jwks: Jwks = "jwks",
        /// A JWKS (RFC 7517). `kubectl get --raw /openid/v1/jwks` prints the JWKS of a cluster.
        inline: Value = "inline",
        /// Public keys as PEM, such as the API server's `sa.pub`.
        pem: Vec<String> = "pem",
        /// The interval between fetches of the keys. A shorter `max-age` in the server's response takes precedence.
        refresh_interval: WireDuration = "refreshInterval",
        /// The rate limit of refetches for unknown key IDs: one per interval, after a burst of three.
        min_refetch_interval: WireDuration = "minRefetchInterval",
        /// How long cached keys remain valid while their server is unreachable.
        max_stale: WireDuration = "maxStale",
        /// The timeout of one call.
        timeout: WireDuration = "timeout",
    }
}

object! {
    /// An API server that publishes its keys through OpenID Connect Discovery.
    Discovery {
        /// The Envoy cluster of the API server.
        cluster: String = "cluster",
        /// The `:authority` of the calls to the API server, such as `kubernetes.default.svc`.
        authority: String = "authority",
        /// What precedes `/.well-known/openid-configuration`: the path of the issuer, or `/k8s/clusters/ID` of Rancher.
        path_prefix: String = "pathPrefix",
        /// The server of the JWKS, if the document's `jwks_uri` is on another server that must be asked.
        jwks_server: JwksServer = "jwksServer",
    }
}

object! {
    /// The server that `jwks_uri` names. The path comes from `jwks_uri`.
    JwksServer {
        /// The Envoy cluster of that server.
        cluster: String = "cluster",
        /// The `:authority` of the calls to that server.
        authority: String = "authority",
    }
}

object! {
    /// A server that publishes a JWKS.
    Jwks {
        /// The Envoy cluster of that server.
        cluster: String = "cluster",
        /// The `:authority` of the calls to that server.
        authority: String = "authority",
        /// The path of the JWKS, such as `/openid/v1/jwks`.
        path: String = "path",
    }
}

object! {
    /// The TokenReviews that the filter sends to the API server.
    TokenReview {
        /// The Envoy cluster of the API server.
        cluster: String = "cluster",
        /// The `:authority` of the calls to the API server, such as `kubernetes.default.svc`.
        authority: String = "authority",
        /// What precedes the path of TokenReviews, such as `/k8s/clusters/ID` of Rancher.
        path_prefix: String = "pathPrefix",
        /// Whether a review follows the local verification of a token, or replaces it.
        purpose: Purpose = "use",
        /// How long an approval stays valid, at most until the token's `exp` plus `leeway`. A rejection stays valid as long, but at most
        /// 5 s. `0s` reviews each request.
        cache_ttl: WireDuration = "cacheTtl",
        /// How long before its approval expires the filter reviews a token again, if the token is in use.
        refresh_ahead: WireDuration = "refreshAhead",
        /// The timeout of one call. With `onOutage: "acceptVerified"` it must be shorter than `limits.waitTimeout`.
        timeout: WireDuration = "timeout",
        /// How the filter handles verified tokens during an outage of the API server. A shortage (such as 429) is not an
        /// outage.
        on_outage: OnOutage = "onOutage",
    }
}

words! {
    Purpose {
        /// The filter verifies a token first, then reviews it, so that forged tokens never reach the API server.
        AfterVerification = "afterVerification",
        /// The review authenticates the caller, and the filter needs no keys.
        Instead = "instead",
    }
}

words! {
    OnOutage {
        /// The filter denies requests whose token has no valid review.
        Deny = "deny",
        /// The filter accepts a verified signature. Only with `afterVerification`.
        AcceptVerified = "acceptVerified",
    }
}

// === impl MatchPeer ===

impl Read for MatchPeer {
    fn read(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        match value {
            Value::Bool(whether) => Some(Self::Whether(*whether)),
            Value::Object(_) => PeerPattern::read(value, reader).map(Self::Peer),
            _ => reader.mismatch(value, r#"true, false or {"trustDomain": ...}"#),
        }
    }
}

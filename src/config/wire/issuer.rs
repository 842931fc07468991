//! The serde types of `issuers`.

#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
use super::access::AccessReview;
use super::object::Object;
use crate::config::duration::WireDuration;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// A cluster whose tokens the filter accepts.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Issuer {
    /// The name of the issuer in rules, logs, stats and identity headers. Defaults to `issuer`.
    pub(crate) name: Option<String>,
    /// The `iss` of the tokens, byte for byte. `kubectl get --raw /.well-known/openid-configuration` prints it.
    pub(crate) issuer: Option<String>,
    /// Further `iss` values of the same cluster, such as the value before `--service-account-issuer` changed.
    pub(crate) aliases: Option<Vec<String>>,
    /// The accepted audiences. A token must have one of them in `aud`.
    pub(crate) audiences: Option<Vec<String>>,
    /// The source of the public keys: exactly one of `discovery`, `jwks`, `inline` and `pem`.
    pub(crate) keys: Option<Object<Keys>>,
    /// If set, the filter sends TokenReviews to the API server, so that tokens of deleted objects are rejected.
    pub(crate) token_review: Option<Object<TokenReview>>,
    /// If set, rules can let Kubernetes RBAC decide (`kubernetesRBAC`): the filter sends SubjectAccessReviews for service
    /// accounts of this issuer to its API server.
    #[cfg_attr(
        all(feature = "cli", not(target_arch = "wasm32")),
        schemars(with = "Option<AccessReview>")
    )]
    pub(crate) subject_access_review: Option<Value>,
    /// The allowed clock difference between the issuer and this proxy.
    pub(crate) leeway: Option<WireDuration>,
    /// The maximum lifetime of a token, from `iat` to its effective expiry.
    pub(crate) max_lifetime: Option<WireDuration>,
    /// Whether a token expires at `kubernetes.io.warnafter`. The API server extends the lifetime of pods' default
    /// tokens to a year; `true` reverts that extension.
    pub(crate) honor_warn_after: Option<bool>,
    /// The kind of object that tokens must be bound to.
    pub(crate) require_bound: Option<Bound>,
    /// Whether the SPIFFE ID of the mTLS peer must name the service account of the token.
    pub(crate) match_peer: Option<MatchPeer>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Bound {
    /// Tokens must be bound to a pod, as projected tokens are.
    Pod,
}

/// `true`, `false`, or an object.
#[derive(Debug)]
pub(crate) enum MatchPeer {
    Whether(bool),
    Peer(PeerPattern),
}

#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PeerPattern {
    /// The trust domain that the peer must belong to.
    pub(crate) trust_domain: Option<String>,
}

/// The source of the public keys.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Keys {
    /// Fetch the keys from the API server (OpenID Connect Discovery). The filter follows key rotation.
    pub(crate) discovery: Option<Object<Discovery>>,
    /// Fetch the keys as a JWKS from a fixed path of any server.
    pub(crate) jwks: Option<Object<Jwks>>,
    /// A JWKS (RFC 7517). `kubectl get --raw /openid/v1/jwks` prints the JWKS of a cluster.
    pub(crate) inline: Option<Value>,
    /// Public keys as PEM, such as the API server's `sa.pub`.
    pub(crate) pem: Option<Vec<String>>,
    /// The interval between fetches of the keys. A shorter `max-age` in the server's response takes precedence.
    pub(crate) refresh_interval: Option<WireDuration>,
    /// The rate limit of refetches for unknown key IDs: one per interval, after a burst of three.
    pub(crate) min_refetch_interval: Option<WireDuration>,
    /// How long cached keys remain valid while their server is unreachable.
    pub(crate) max_stale: Option<WireDuration>,
    /// The timeout of one call.
    pub(crate) timeout: Option<WireDuration>,
}

/// An API server that publishes its keys through OpenID Connect Discovery.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Discovery {
    /// The Envoy cluster of the API server.
    pub(crate) cluster: Option<String>,
    /// The `:authority` of the calls to the API server, such as `kubernetes.default.svc`.
    pub(crate) authority: Option<String>,
    /// What precedes `/.well-known/openid-configuration`: the path of the issuer, or `/k8s/clusters/ID` of Rancher.
    pub(crate) path_prefix: Option<String>,
    /// The server of the JWKS, if the document's `jwks_uri` is on another server that must be asked.
    pub(crate) jwks_server: Option<Object<JwksServer>>,
}

/// The server that `jwks_uri` names. The path comes from `jwks_uri`.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JwksServer {
    /// The Envoy cluster of that server.
    pub(crate) cluster: Option<String>,
    /// The `:authority` of the calls to that server.
    pub(crate) authority: Option<String>,
}

/// A server that publishes a JWKS.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Jwks {
    /// The Envoy cluster of that server.
    pub(crate) cluster: Option<String>,
    /// The `:authority` of the calls to that server.
    pub(crate) authority: Option<String>,
    /// The path of the JWKS, such as `/openid/v1/jwks`.
    pub(crate) path: Option<String>,
}

/// The TokenReviews that the filter sends to the API server.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TokenReview {
    /// The Envoy cluster of the API server.
    pub(crate) cluster: Option<String>,
    /// The `:authority` of the calls to the API server, such as `kubernetes.default.svc`.
    pub(crate) authority: Option<String>,
    /// What precedes the path of TokenReviews, such as `/k8s/clusters/ID` of Rancher.
    pub(crate) path_prefix: Option<String>,
    /// Whether a review follows the local verification of a token, or replaces it.
    #[serde(rename = "use")]
    pub(crate) purpose: Option<Purpose>,
    /// How long an approval stays valid, at most until the token's `exp`. A rejection stays valid as long, but at most
    /// 5 s. `0s` reviews each request.
    pub(crate) cache_ttl: Option<WireDuration>,
    /// How long before its approval expires the filter reviews a token again, if the token is in use.
    pub(crate) refresh_ahead: Option<WireDuration>,
    /// The timeout of one call. With `onOutage: "acceptVerified"` it must be shorter than `limits.waitTimeout`.
    pub(crate) timeout: Option<WireDuration>,
    /// How the filter handles verified tokens during an outage of the API server. A shortage (such as 429) is not an
    /// outage.
    pub(crate) on_outage: Option<OnOutage>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Purpose {
    /// The filter verifies a token first, then reviews it, so that forged tokens never reach the API server.
    AfterVerification,
    /// The review authenticates the caller, and the filter needs no keys.
    Instead,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum OnOutage {
    /// The filter denies requests whose token has no valid review.
    Deny,
    /// The filter accepts a verified signature. Only with `afterVerification`.
    AcceptVerified,
}

// === impl MatchPeer ===

impl<'de> Deserialize<'de> for MatchPeer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PeerVisitor;
        impl<'de> Visitor<'de> for PeerVisitor {
            type Value = MatchPeer;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"true, false or {"trustDomain": ...}"#)
            }
            fn visit_bool<E>(self, whether: bool) -> Result<MatchPeer, E> {
                Ok(MatchPeer::Whether(whether))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MatchPeer, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(MatchPeer::Peer)
            }
        }
        deserializer.deserialize_any(PeerVisitor)
    }
}

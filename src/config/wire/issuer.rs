//! `issuers`: whose tokens are taken, and where their keys come from.

use super::object::Object;
use crate::config::duration::WireDuration;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// A cluster whose service accounts may call.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Issuer {
    /// How rules, logs, stats and identity headers call it.
    pub(crate) name: Option<String>,
    /// The tokens' `iss`, byte for byte: `kubectl get --raw /.well-known/openid-configuration` says it.
    pub(crate) issuer: Option<String>,
    /// Further `iss` that mean the same cluster, such as one that its API server had before.
    pub(crate) aliases: Option<Vec<String>>,
    /// What callers' tokens are minted for: a token must name one of these in `aud`.
    pub(crate) audiences: Option<Vec<String>>,
    /// Where the public keys come from: exactly one of `discovery`, `jwks`, `inline` and `pem`.
    pub(crate) keys: Option<Object<Keys>>,
    /// Has the API server asked whether what a token is bound to still exists.
    pub(crate) token_review: Option<Object<TokenReview>>,
    /// How far the clocks of the issuer and of this proxy may differ.
    pub(crate) leeway: Option<WireDuration>,
    /// How long a token may live, from `iat` to its effective expiry.
    pub(crate) max_lifetime: Option<WireDuration>,
    /// Whether a token ends at `kubernetes.io.warnafter`: takes back the year that the API server gives
    /// the default tokens of pods.
    pub(crate) honor_warn_after: Option<bool>,
    /// What tokens must be bound to.
    pub(crate) require_bound: Option<Bound>,
    /// Whether the mTLS peer's SPIFFE id must be the token's service account.
    pub(crate) match_peer: Option<MatchPeer>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Bound {
    /// A pod, as projected tokens are.
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

/// Where the public keys come from.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Keys {
    /// They are discovered at the API server (OpenID Connect Discovery) and follow its rotation.
    pub(crate) discovery: Option<Object<Discovery>>,
    /// They are fetched as a JWKS from any server.
    pub(crate) jwks: Option<Object<Jwks>>,
    /// They stand here, as a JWKS (RFC 7517): `kubectl get --raw /openid/v1/jwks` prints it.
    pub(crate) inline: Option<Value>,
    /// They stand here, as PEM public keys, such as the API server's `sa.pub`.
    pub(crate) pem: Option<Vec<String>>,
    /// How often fetched keys are fetched again; sooner if the server's `max-age` says so.
    pub(crate) refresh_interval: Option<WireDuration>,
    /// How often unknown kids may cause a fetch. A burst of three is free.
    pub(crate) min_refetch_interval: Option<WireDuration>,
    /// How long fetched keys count while their server cannot be reached.
    pub(crate) max_stale: Option<WireDuration>,
    /// How long one call may take.
    pub(crate) timeout: Option<WireDuration>,
}

/// An API server that publishes its keys by discovery.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Discovery {
    /// The Envoy cluster that is the API server.
    pub(crate) cluster: Option<String>,
    /// What the server is called (`:authority`), such as `kubernetes.default.svc`.
    pub(crate) authority: Option<String>,
}

/// A server that has a JWKS.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Jwks {
    /// The Envoy cluster of the server.
    pub(crate) cluster: Option<String>,
    /// What the server is called (`:authority`).
    pub(crate) authority: Option<String>,
    /// The JWKS's path, such as `/openid/v1/jwks`.
    pub(crate) path: Option<String>,
}

/// Has the API server asked about tokens.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TokenReview {
    /// The Envoy cluster that is the API server.
    pub(crate) cluster: Option<String>,
    /// What the server is called (`:authority`), such as `kubernetes.default.svc`.
    pub(crate) authority: Option<String>,
    /// What a review is for.
    #[serde(rename = "use")]
    pub(crate) purpose: Option<Purpose>,
    /// How long the API server's yes counts, never beyond the token's `exp` (a no: as long, 5 s at most).
    /// `0s` asks for each request.
    pub(crate) cache_ttl: Option<WireDuration>,
    /// How long before the end of `cacheTtl` a token in use is asked about again.
    pub(crate) refresh_ahead: Option<WireDuration>,
    /// How long one call may take; with `onOutage: "acceptVerified"` it must be shorter than `limits.waitTimeout`.
    pub(crate) timeout: Option<WireDuration>,
    /// What happens to verified tokens during an outage of the API server. A shortage is not an outage.
    pub(crate) on_outage: Option<OnOutage>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Purpose {
    /// What verified here is asked about, so that junk never reaches the API server.
    AfterVerification,
    /// The API server's answer is the proof: no keys are needed.
    Instead,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum OnOutage {
    /// Nobody passes who has not been reviewed.
    Deny,
    /// The signature is enough; with `afterVerification` alone.
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

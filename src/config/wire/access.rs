//! The serde types of `issuers[].subjectAccessReview` and of `kubernetesRBAC` in a rule.

use super::super::duration::WireDuration;
use super::Object;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use std::fmt;

/// The SubjectAccessReviews that the filter sends to the API server, for rules with `kubernetesRBAC`.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccessReview {
    /// The Envoy cluster of the API server.
    pub(crate) cluster: Option<String>,
    /// The `:authority` of the calls to the API server, such as `kubernetes.default.svc`.
    pub(crate) authority: Option<String>,
    /// What precedes the path of SubjectAccessReviews, such as `/k8s/clusters/ID` of Rancher.
    pub(crate) path_prefix: Option<String>,
    /// How long an allowed access stays valid, at most until the token's `exp`. `0s` reviews each request.
    pub(crate) allowed_ttl: Option<WireDuration>,
    /// How long a denied access stays valid, at most until the token's `exp`.
    pub(crate) denied_ttl: Option<WireDuration>,
    /// The timeout of one call.
    pub(crate) timeout: Option<WireDuration>,
}

/// Every service account that Kubernetes RBAC allows what the rule asks. Only in `allow`.
#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ByKubernetes {
    /// What the filter asks the API server.
    #[serde(rename = "kubernetesRBAC")]
    pub(crate) rbac: Option<Object<Rbac>>,
}

/// What the filter asks the API server: exactly one of `nonResource` and `resource`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rbac {
    /// Whether the caller may access the request's path (`nonResourceURLs` of a role).
    pub(crate) non_resource: Option<Object<NonResource>>,
    /// Whether the caller may access a resource (`resources` of a role).
    pub(crate) resource: Option<Object<Resource>>,
    /// How methods are mapped to verbs.
    pub(crate) verbs: Option<Verbs>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NonResource {
    /// The verb. If unset, the verb of the method.
    pub(crate) verb: Option<Attribute>,
}

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Resource {
    /// The API group of the resource. If unset, the core group.
    pub(crate) api_group: Option<Attribute>,
    /// The API version, which RBAC ignores.
    pub(crate) api_version: Option<Attribute>,
    /// The resource, in the plural, such as `services`.
    pub(crate) resource: Option<Attribute>,
    /// The subresource, such as `proxy`.
    pub(crate) subresource: Option<Attribute>,
    /// The namespace. If unset, all namespaces: only a ClusterRoleBinding allows that.
    pub(crate) namespace: Option<Attribute>,
    /// The name of the object. If unset, all objects: a rule of a role with `resourceNames` does not allow that.
    pub(crate) name: Option<Attribute>,
    /// The verb. If unset, the verb of the method.
    pub(crate) verb: Option<Attribute>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verbs {
    /// As the API server does for its own requests.
    Kubernetes,
    /// As kube-rbac-proxy does.
    KubeRbacProxy,
}

/// A fixed value, or an object.
#[derive(Debug)]
pub(crate) enum Attribute {
    Fixed(String),
    From(Source),
}

#[derive(Debug, Deserialize)]
#[cfg_attr(all(feature = "cli", not(target_arch = "wasm32")), derive(JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Source {
    /// A segment of the path in normal form; the first is 1.
    pub(crate) segment: Option<usize>,
    /// A query parameter. Each of its values must be allowed.
    pub(crate) query: Option<String>,
}

// === impl Attribute ===

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AttributeVisitor;
        impl<'de> Visitor<'de> for AttributeVisitor {
            type Value = Attribute;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a string, {"segment": ...} or {"query": ...}"#)
            }
            fn visit_str<E>(self, text: &str) -> Result<Attribute, E> {
                Ok(Attribute::Fixed(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Attribute, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Attribute::From)
            }
        }
        deserializer.deserialize_any(AttributeVisitor)
    }
}

//! The form of `issuers[].subjectAccessReview` and of `kubernetesRBAC` in a rule, for the JSON Schema. `config::access` reads
//! them field by field, because the deserializers of these types would take 20 KB of the module.
#![allow(dead_code, reason = "only their schema is used")]

use super::super::duration::WireDuration;
use super::Object;
use schemars::JsonSchema;

/// The SubjectAccessReviews that the filter sends to the API server, for rules with `kubernetesRBAC`.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
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
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct ByKubernetes {
    /// What the filter asks the API server.
    #[schemars(rename = "kubernetesRBAC")]
    pub(crate) rbac: Option<Object<Rbac>>,
}

/// What the filter asks the API server: exactly one of `nonResource` and `resource`.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rbac {
    /// Whether the caller may access the request's path (`nonResourceURLs` of a role).
    pub(crate) non_resource: Option<Object<NonResource>>,
    /// Whether the caller may access a resource (`resources` of a role).
    pub(crate) resource: Option<Object<Resource>>,
    /// How methods are mapped to verbs.
    pub(crate) verbs: Option<Verbs>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NonResource {
    /// The verb. If unset, the verb of the method.
    pub(crate) verb: Option<Attribute>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
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

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) enum Verbs {
    /// As the API server does for its own requests.
    Kubernetes,
    /// As kube-rbac-proxy does.
    KubeRbacProxy,
}

/// A fixed value, or an object.
pub(crate) enum Attribute {
    Fixed(String),
    From(Source),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Source {
    /// A segment of the path in normal form; the first is 1.
    pub(crate) segment: Option<usize>,
    /// A query parameter. Each of its values must be allowed.
    pub(crate) query: Option<String>,
}

//! The types of `issuers[].subjectAccessReview` and of `kubernetesRBAC` in a rule.

use crate::config::duration::WireDuration;
use crate::config::reader::{Read, Reader, object, words};
use serde_json::Value;

object! {
    /// The SubjectAccessReviews that the filter sends to the API server, for rules with `kubernetesRBAC`.
    AccessReview {
        /// The Envoy cluster of the API server.
        cluster: String = "cluster",
        /// The `:authority` of the calls to the API server, such as `kubernetes.default.svc`.
        authority: String = "authority",
        /// What precedes the path of SubjectAccessReviews, such as `/k8s/clusters/ID` of Rancher.
        path_prefix: String = "pathPrefix",
        /// How long an allowed access stays valid, at most until the token's `exp` plus `leeway`. `0s` reviews each request.
        allowed_ttl: WireDuration = "allowedTtl",
        /// How long a denied access stays valid, at most until the token's `exp` plus `leeway`.
        denied_ttl: WireDuration = "deniedTtl",
        /// The timeout of one call.
        timeout: WireDuration = "timeout",
    }
}

object! {
    /// Every service account that Kubernetes RBAC allows what the rule asks. Only in `allow`.
    ByKubernetes {
        /// What the filter asks the API server.
        rbac: Rbac = "kubernetesRBAC",
    }
}

object! {
    /// What the filter asks the API server: exactly one of `nonResource` and `resource`.
    Rbac {
        /// Whether the caller may access the request's path (`nonResourceURLs` of a role).
        non_resource: NonResource = "nonResource",
        /// Whether the caller may access a resource (`resources` of a role).
        resource: Resource = "resource",
        /// How methods are mapped to verbs.
        verbs: Verbs = "verbs",
    }
}

object! {
    NonResource {
        /// The verb. If unset, the verb of the method.
        verb: Attribute = "verb",
    }
}

object! {
    Resource {
        /// The API group of the resource. If unset, the core group.
        api_group: Attribute = "apiGroup",
        /// The API version, which RBAC ignores.
        api_version: Attribute = "apiVersion",
        /// The resource, in the plural, such as `services`.
        resource: Attribute = "resource",
        /// The subresource, such as `proxy`.
        subresource: Attribute = "subresource",
        /// The namespace. If unset, all namespaces: only a ClusterRoleBinding allows that.
        namespace: Attribute = "namespace",
        /// The name of the object. If unset, all objects: a rule of a role with `resourceNames` does not allow that.
        name: Attribute = "name",
        /// The verb. If unset, the verb of the method.
        verb: Attribute = "verb",
    }
}

words! {
    Verbs {
        /// As the API server does for its own requests.
        Kubernetes = "kubernetes",
        /// As kube-rbac-proxy does.
        KubeRbacProxy = "kubeRbacProxy",
    }
}

/// A fixed value, or an object.
#[derive(Debug)]
pub(crate) enum Attribute {
    Fixed(String),
    From(Source),
}

object! {
    Source {
        /// A segment of the path in normal form; the first is 1.
        segment: usize = "segment",
        /// A query parameter. Each of its values must be allowed.
        query: String = "query",
    }
}

// === impl Attribute ===

impl Read for Attribute {
    fn read(value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Fixed(text.clone())),
            Value::Object(_) => Source::read(value, reader).map(Self::From),
            _ => reader.mismatch(value, r#"a string, {"segment": ...} or {"query": ...}"#),
        }
    }
}

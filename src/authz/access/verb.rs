//! The verb of a request.

use super::AccessTarget;
use std::borrow::Cow;

/// How methods are mapped to verbs (`verbs`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbs {
    /// As the API server does for its own requests (kubernetes/apiserver:pkg/endpoints/request/requestinfo.go).
    #[default]
    Kubernetes,
    /// As kube-rbac-proxy does (pkg/proxy/proxy.go): `HEAD`, `OPTIONS` and others have an empty verb.
    KubeRbacProxy,
}

// === impl Verbs ===

impl Verbs {
    /// The verb; empty if the method has none. Only a role with the verb `*` allows an empty verb.
    pub fn of<'m>(self, method: &'m [u8], target: &AccessTarget) -> Cow<'m, str> {
        let has_name = match target {
            AccessTarget::NonResource if self == Self::Kubernetes => {
                return String::from_utf8_lossy(method).to_ascii_lowercase().into();
            }
            AccessTarget::NonResource => true,
            AccessTarget::Resource(attributes) => {
                attributes.iter().any(|(name, _)| *name == "name")
            }
        };
        // Without a name, the API server lists a collection, or deletes it.
        let of_object = has_name || self == Self::KubeRbacProxy;
        let verb = match method {
            b"GET" | b"HEAD" if !of_object => "list",
            b"GET" => "get",
            b"HEAD" if self == Self::Kubernetes => "get",
            b"POST" => "create",
            b"PUT" => "update",
            b"PATCH" => "patch",
            b"DELETE" if of_object => "delete",
            b"DELETE" => "deletecollection",
            _ => "",
        };
        verb.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::access::Attribute;

    const METHODS: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"];

    fn verbs(verbs: Verbs, target: &AccessTarget) -> [String; 9] {
        METHODS.map(|method| verbs.of(method.as_bytes(), target).into_owned())
    }

    fn resource(name: &'static str) -> AccessTarget {
        AccessTarget::Resource(vec![(name, Attribute::Fixed("x".to_owned()))])
    }

    #[test]
    fn kubernetes_verbs_are_those_of_the_api_server() {
        let path = ["get", "head", "post", "put", "patch", "delete", "options", "trace", "purge"];
        assert_eq!(verbs(Verbs::Kubernetes, &AccessTarget::NonResource), path);
        let object = ["get", "get", "create", "update", "patch", "delete", "", "", ""];
        assert_eq!(verbs(Verbs::Kubernetes, &resource("name")), object);
        let all = ["list", "list", "create", "update", "patch", "deletecollection", "", "", ""];
        assert_eq!(verbs(Verbs::Kubernetes, &resource("resource")), all);
    }

    #[test]
    fn kube_rbac_proxy_verbs_are_the_same_for_paths_and_resources() {
        let expected = ["get", "", "create", "update", "patch", "delete", "", "", ""];
        for target in [AccessTarget::NonResource, resource("name"), resource("resource")] {
            assert_eq!(verbs(Verbs::KubeRbacProxy, &target), expected, "{target:?}");
        }
    }
}

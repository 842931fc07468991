//! RBAC objects, and what they allow, as kubernetes:pkg/registry/rbac/validation/rule.go resolves them and
//! pkg/apis/rbac/v1/evaluation_helpers.go matches them.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::authenticate::User;

/// The roles and bindings of a cluster.
#[derive(Debug, Default)]
pub(super) struct Rbac {
    objects: Vec<Object>,
}

/// A Role, ClusterRole, RoleBinding or ClusterRoleBinding.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    rules: Vec<PolicyRule>,
    role_ref: Option<RoleRef>,
    #[serde(default)]
    subjects: Vec<Subject>,
}

#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PolicyRule {
    verbs: Vec<String>,
    api_groups: Vec<String>,
    resources: Vec<String>,
    resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    non_resource_urls: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct RoleRef {
    kind: String,
    name: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Subject {
    kind: String,
    name: String,
    #[serde(default)]
    namespace: String,
}

/// What a user wants to do: attributes of a SubjectAccessReview.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Access {
    pub(super) verb: String,
    pub(super) path: Option<String>,
    pub(super) namespace: String,
    pub(super) group: String,
    pub(super) resource: String,
    pub(super) subresource: String,
    pub(super) name: String,
}

/// Whether something is allowed, and why.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) allowed: bool,
    pub(super) reason: String,
}

// === impl Rbac ===

impl Rbac {
    /// With the roles that every cluster has for authenticated users.
    pub(super) fn new() -> Self {
        let mut rbac = Self::default();
        rbac.apply(DEFAULT_ROLES).expect("the default roles");
        rbac
    }

    /// Creates or replaces the RBAC objects of a manifest. Other objects are ignored.
    pub(super) fn apply(&mut self, manifest: &str) -> Result<usize> {
        let mut applied = 0;
        for document in serde_norway::Deserializer::from_str(manifest) {
            let value = Value::deserialize(document).context("a manifest")?;
            if value["apiVersion"] != "rbac.authorization.k8s.io/v1" {
                continue;
            }
            let object: Object = serde_json::from_value(value)?;
            let binds = object.kind.ends_with("Binding");
            ensure!(binds == object.role_ref.is_some(), "{}: roleRef", object.metadata.name);
            self.delete(&object.kind, &object.metadata.namespace, &object.metadata.name);
            self.objects.push(object);
            applied += 1;
        }
        Ok(applied)
    }

    /// Deletes an object; whether it existed.
    pub(super) fn delete(&mut self, kind: &str, namespace: &str, name: &str) -> bool {
        let before = self.objects.len();
        self.objects.retain(|object| !object.is(kind, namespace, name));
        self.objects.len() < before
    }

    /// Whether a user may do this.
    pub(super) fn judge(&self, user: &User, access: &Access) -> Judgement {
        let mut errors = Vec::new();
        let of_cluster = self.objects.iter().filter(|object| object.kind == "ClusterRoleBinding");
        let of_namespace = self.objects.iter().filter(|object| {
            let local =
                !access.namespace.is_empty() && object.metadata.namespace == access.namespace;
            object.kind == "RoleBinding" && local
        });
        for binding in of_cluster.chain(of_namespace) {
            let namespace = &binding.metadata.namespace;
            let subject = binding.subjects.iter().find(|subject| subject.is(user, namespace));
            let (Some(subject), Some(role)) = (subject, &binding.role_ref) else { continue };
            let role_namespace = if role.kind == "Role" { namespace.as_str() } else { "" };
            match self
                .objects
                .iter()
                .find(|object| object.is(&role.kind, role_namespace, &role.name))
            {
                None => {
                    errors.push(format!("{} {:?} not found", role_resource(&role.kind), role.name))
                }
                Some(found) if found.rules.iter().any(|rule| rule.allows(access)) => {
                    let reason = format!(
                        "RBAC: allowed by {} {:?} of {} {:?} to {}",
                        binding.kind,
                        binding.full_name(),
                        role.kind,
                        role.name,
                        subject.text(namespace)
                    );
                    return Judgement { allowed: true, reason };
                }
                Some(_) => {}
            }
        }
        let reason = match errors.as_slice() {
            [] => String::new(),
            [one] => format!("RBAC: {one}"),
            many => format!("RBAC: [{}]", many.join(", ")),
        };
        Judgement { allowed: false, reason }
    }
}

fn role_resource(kind: &str) -> String {
    format!("{}.rbac.authorization.k8s.io", kind.to_lowercase())
}

// === impl Object ===

impl Object {
    fn is(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let Metadata { name: own, namespace: of } = &self.metadata;
        self.kind == kind && own == name && of == namespace
    }

    fn full_name(&self) -> String {
        let Metadata { name, namespace } = &self.metadata;
        if namespace.is_empty() { name.clone() } else { format!("{name}/{namespace}") }
    }
}

// === impl Subject ===

impl Subject {
    fn is(&self, user: &User, binding_namespace: &str) -> bool {
        match self.kind.as_str() {
            "User" => user.username == self.name,
            "Group" => user.groups.contains(&self.name),
            "ServiceAccount" => {
                let namespace =
                    if self.namespace.is_empty() { binding_namespace } else { &self.namespace };
                let username = format!("system:serviceaccount:{namespace}:{}", self.name);
                !namespace.is_empty() && user.username == username
            }
            _ => false,
        }
    }

    fn text(&self, binding_namespace: &str) -> String {
        if self.kind != "ServiceAccount" {
            return format!("{} {:?}", self.kind, self.name);
        }
        let namespace = if self.namespace.is_empty() { binding_namespace } else { &self.namespace };
        format!("ServiceAccount {:?}", format!("{}/{namespace}", self.name))
    }
}

// === impl PolicyRule ===

impl PolicyRule {
    fn allows(&self, access: &Access) -> bool {
        let has =
            |list: &[String], wanted: &str| list.iter().any(|item| item == "*" || item == wanted);
        if !has(&self.verbs, &access.verb) {
            return false;
        }
        if let Some(path) = &access.path {
            return self.non_resource_urls.iter().any(|url| {
                let prefix = url.trim_end_matches('*');
                url == path || (url.ends_with('*') && path.starts_with(prefix))
            });
        }
        let Access { resource, subresource, .. } = access;
        let combined = match subresource.is_empty() {
            true => resource.clone(),
            false => format!("{resource}/{subresource}"),
        };
        let any_of = format!("*/{subresource}");
        let names = &self.resource_names;
        has(&self.api_groups, &access.group)
            && (has(&self.resources, &combined)
                || (!subresource.is_empty() && self.resources.contains(&any_of)))
            && (names.is_empty() || names.contains(&access.name))
    }
}

/// `system:discovery` and `system:public-info-viewer` (kubernetes:plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go).
const DEFAULT_ROLES: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: "system:discovery" }
rules:
- nonResourceURLs: [/api, /api/*, /apis, /apis/*, /healthz, /livez, /openapi, /openapi/*, /readyz, /version, /version/]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: "system:discovery" }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:discovery" }
subjects:
- { kind: Group, name: "system:authenticated" }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: "system:public-info-viewer" }
rules:
- nonResourceURLs: [/healthz, /livez, /readyz, /version, /version/]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: "system:public-info-viewer" }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:public-info-viewer" }
subjects:
- { kind: Group, name: "system:authenticated" }
- { kind: Group, name: "system:unauthenticated" }
"#;

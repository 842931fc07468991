//! Reads and checks `issuers[].subjectAccessReview` and `kubernetesRBAC` of rules.

use super::bounds::{ACCESS_TIMEOUT, ALLOWED_TTL, Bounds, DENIED_TTL};
use super::duration::{self, WireDuration};
use super::problems::Problems;
use super::server::{is_visible, path_prefix, server};
use crate::authn::AccessPlan;
use crate::authn::issuer::{IssuerIdentity, KeySource};
use crate::authz::access::{AccessRule, AccessTarget, Attribute, Verbs};
use crate::authz::rule::Rule;
use serde_json::{Map, Value};
use std::time::Duration;

/// A JSON object that is read field by field.
struct Fields<'p> {
    path: String,
    rest: Map<String, Value>,
    problems: &'p mut Problems,
}

/// Checks `subjectAccessReview` of the issuer at `path`.
pub(super) fn plan(path: &str, wire: Value, problems: &mut Problems) -> AccessPlan {
    let mut fields = Fields::of(format!("{path}.subjectAccessReview"), wire, problems);
    let [cluster, authority, prefix] =
        ["cluster", "authority", "pathPrefix"].map(|name| fields.text(name));
    let timeout = fields.duration(&ACCESS_TIMEOUT);
    let (allowed_ttl, denied_ttl) = (fields.duration(&ALLOWED_TTL), fields.duration(&DENIED_TTL));
    let (cluster, authority) = server(&fields.path, cluster, authority, fields.problems);
    let path_prefix = path_prefix(&fields.path, prefix, fields.problems);
    fields.end("`cluster`, `authority`, `pathPrefix`, `allowedTtl`, `deniedTtl`, `timeout`");
    AccessPlan { cluster, authority, path_prefix, timeout, allowed_ttl, denied_ttl }
}

/// Checks an `allow` at `path` that is an object.
pub(super) fn rule(path: &str, wire: Value, problems: &mut Problems) -> AccessRule {
    let mut fields = Fields::of(path.to_owned(), wire, problems);
    let rbac = fields.rest.remove(RBAC).unwrap_or_else(|| Value::Object(Map::new()));
    fields.end("`kubernetesRBAC`");
    let mut fields = Fields::of(format!("{path}.{RBAC}"), rbac, problems);
    let (non_resource, resource) = (fields.object("nonResource"), fields.object("resource"));
    let verbs = fields.text("verbs");
    let (kind, mut target, found) = match (non_resource, resource) {
        (Some(found), None) => ("nonResource", AccessTarget::NonResource, found),
        (None, Some(found)) => ("resource", AccessTarget::Resource(Vec::new()), found),
        (first, second) => {
            let found = if first.is_some() || second.is_some() { "both" } else { "none" };
            let fault = format!("expected exactly one of nonResource, resource, found {found}");
            fields.problems.add(&fields.path, fault);
            ("nonResource", AccessTarget::NonResource, Value::Object(Map::new()))
        }
    };
    if let Some(other) = verbs.as_deref().filter(|verbs| !["kubernetes", PROXY].contains(verbs)) {
        let fault = format!("unknown variant `{other}`, expected `kubernetes` or `{PROXY}`");
        fields.problem("verbs", fault);
    }
    fields.end("`nonResource`, `resource`, `verbs`");
    let mut inner = Fields::of(format!("{path}.{RBAC}.{kind}"), found, problems);
    let verb = inner.attribute("verb");
    if let AccessTarget::Resource(attributes) = &mut target {
        for (field, name) in FIELDS {
            attributes.extend(inner.attribute(field).map(|attribute| (name, attribute)));
        }
        if !attributes.iter().any(|(name, _)| *name == "resource") {
            let fault = "required; set the resource in the plural, for example \"services\"";
            inner.problem("resource", fault.to_owned());
        }
        inner.end(
            "`apiGroup`, `apiVersion`, `resource`, `subresource`, `namespace`, `name`, `verb`",
        );
    } else {
        inner.end("`verb`");
    }
    let path = format!("{path}.{RBAC}");
    if verbs.is_some() && verb.is_some() {
        problems.add(format!("{path}.verbs"), "not used if `verb` is set; remove one of them");
    }
    let by_proxy = verbs.as_deref() == Some(PROXY);
    let verbs = if by_proxy { Verbs::KubeRbacProxy } else { Verbs::Kubernetes };
    let rule = AccessRule { target, verbs, verb };
    if rule.parameters().any(|name| Some(name) != rule.parameter()) {
        let fault = "only one query parameter is supported; use the same one, or segments";
        problems.add(path, fault);
    }
    rule
}

/// Reports rules that no issuer's callers can pass, and reviews that no rule asks for.
pub(super) fn check_both(
    rules: Option<&[Rule]>,
    issuers: &[(IssuerIdentity, KeySource)],
    problems: &mut Problems,
) {
    let rules = rules.unwrap_or_default();
    let asks = rules.iter().position(|rule| rule.access().is_some());
    let reviewed = issuers.iter().position(|(issuer, _)| issuer.access.is_some());
    match (asks, reviewed) {
        (Some(at), None) => problems.add(
            format!("rules[{at}].allow.kubernetesRBAC"),
            "requires `subjectAccessReview` in an issuer, because otherwise it allows no caller",
        ),
        (None, Some(at)) => problems.add(
            format!("issuers[{at}].subjectAccessReview"),
            "not used, because no rule has `kubernetesRBAC`; remove it, or add such a rule",
        ),
        (Some(_), Some(_)) | (None, None) => {}
    }
}

// === impl Fields ===

impl<'p> Fields<'p> {
    fn of(path: String, value: Value, problems: &'p mut Problems) -> Self {
        let rest = match value {
            Value::Object(rest) => rest,
            _ => {
                problems.add(&path, "expected an object");
                Map::new()
            }
        };
        Self { path, rest, problems }
    }

    fn problem(&mut self, field: &str, fault: String) {
        self.problems.add(format!("{}.{field}", self.path), fault);
    }

    fn object(&mut self, field: &str) -> Option<Value> {
        self.rest.remove(field)
    }

    fn text(&mut self, field: &str) -> Option<String> {
        match self.rest.remove(field)? {
            Value::String(text) => Some(text),
            _ => {
                self.problem(field, "expected a string".to_owned());
                None
            }
        }
    }

    fn duration(&mut self, bounds: &Bounds) -> Duration {
        let text = self.text(bounds.name);
        let duration = text.as_deref().and_then(duration::parse);
        if let (Some(text), None) = (text, duration) {
            self.problem(bounds.name, format!("{text:?}: expected {}", duration::EXPECTED));
        }
        bounds.duration(&self.path, duration.map(WireDuration), self.problems)
    }

    /// A fixed value, a segment or a query parameter.
    fn attribute(&mut self, field: &str) -> Option<Attribute> {
        let (text, attribute) = match self.rest.remove(field)? {
            Value::String(text) => (text.clone(), Attribute::Fixed(text)),
            Value::Object(mut source) => match (source.remove("segment"), source.remove("query")) {
                (Some(at), None) if source.is_empty() => {
                    let at = at.as_u64().and_then(|at| usize::try_from(at).ok());
                    let at = at.filter(|at| SEGMENTS.contains(at));
                    if at.is_none() {
                        self.problem(
                            &format!("{field}.segment"),
                            "must be from 1 to 64".to_owned(),
                        );
                    }
                    return at.map(Attribute::Segment);
                }
                (None, Some(Value::String(name))) if source.is_empty() => {
                    (name.clone(), Attribute::Query(name))
                }
                _ => {
                    self.problem(field, SOURCE.to_owned());
                    return None;
                }
            },
            _ => {
                self.problem(field, SOURCE.to_owned());
                return None;
            }
        };
        if !is_visible(&text) || text.len() > MAX_BYTES {
            let fault = "must be 1 to 253 characters of visible ASCII; or remove the field";
            self.problem(field, fault.to_owned());
        }
        Some(attribute)
    }

    /// Reports the fields that were not read.
    fn end(mut self, expected: &str) {
        for name in std::mem::take(&mut self.rest).keys() {
            let several = if expected.contains(',') { "one of " } else { "" };
            let fault = format!("unknown field `{name}`, expected {several}{expected}");
            self.problem(name, fault);
        }
    }
}

const RBAC: &str = "kubernetesRBAC";
const PROXY: &str = "kubeRbacProxy";
const SOURCE: &str = r#"expected a string, {"segment": N} or {"query": "name"}"#;

/// The fields of `resource`, and their names in `resourceAttributes`.
const FIELDS: [(&str, &str); 6] = [
    ("apiGroup", "group"),
    ("apiVersion", "version"),
    ("resource", "resource"),
    ("subresource", "subresource"),
    ("namespace", "namespace"),
    ("name", "name"),
];

const SEGMENTS: std::ops::RangeInclusive<usize> = 1..=64;
const MAX_BYTES: usize = 253;

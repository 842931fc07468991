//! Validation of `issuers[].subjectAccessReview` and of `kubernetesRBAC` in rules.

use super::bounds::{ACCESS_TIMEOUT, ALLOWED_TTL, DENIED_TTL};
use super::problems::Problems;
use super::server::{is_visible, path_prefix, server};
use super::wire;
use crate::authn::AccessPlan;
use crate::authn::issuer::{IssuerIdentity, KeySource};
use crate::authz::access::{AccessRule, AccessTarget, Attribute, Verbs};
use crate::authz::rule::Rule;

/// Checks `subjectAccessReview` of the issuer at `path`.
pub(super) fn plan(path: &str, wire: wire::AccessReview, problems: &mut Problems) -> AccessPlan {
    let path = format!("{path}.subjectAccessReview");
    let (cluster, authority) = server(&path, wire.cluster, wire.authority, problems);
    let path_prefix = path_prefix(&path, wire.path_prefix, problems);
    AccessPlan {
        cluster,
        authority,
        path_prefix,
        timeout: ACCESS_TIMEOUT.duration(&path, wire.timeout, problems),
        allowed_ttl: ALLOWED_TTL.duration(&path, wire.allowed_ttl, problems),
        denied_ttl: DENIED_TTL.duration(&path, wire.denied_ttl, problems),
    }
}

/// Checks `kubernetesRBAC` in `allow` at `path`.
pub(super) fn rule(path: &str, wire: wire::ByKubernetes, problems: &mut Problems) -> AccessRule {
    let path = format!("{path}.kubernetesRBAC");
    let wire = wire.rbac.unwrap_or_default();
    let one = "expected exactly one of nonResource, resource";
    let (target, verb) = match (wire.non_resource, wire.resource) {
        (Some(wire), None) => (AccessTarget::NonResource, wire.verb),
        (None, Some(mut wire)) => {
            let verb = wire.verb.take();
            (AccessTarget::Resource(resource(&path, wire, problems)), verb)
        }
        (None, None) => {
            problems.add(&path, format!("{one}, found none"));
            (AccessTarget::NonResource, None)
        }
        (Some(_), Some(_)) => {
            problems.add(&path, format!("{one}, found both; remove one of them"));
            (AccessTarget::NonResource, None)
        }
    };
    let verbs = match wire.verbs {
        Some(wire::Verbs::KubeRbacProxy) => Verbs::KubeRbacProxy,
        Some(wire::Verbs::Kubernetes) | None => Verbs::Kubernetes,
    };
    if wire.verbs.is_some() && verb.is_some() {
        problems.add(format!("{path}.verbs"), "not used if `verb` is set; remove one of them");
    }
    let kind = match target {
        AccessTarget::NonResource => "nonResource",
        AccessTarget::Resource(_) => "resource",
    };
    let verb = verb.map(|verb| attribute(&format!("{path}.{kind}.verb"), verb, problems));
    let rule = AccessRule { target, verbs, verb };
    if rule.parameters().any(|name| Some(name) != rule.parameter()) {
        let fault = "only one query parameter is supported; use the same one, or segments";
        problems.add(path, fault);
    }
    rule
}

fn resource(
    path: &str,
    wire: wire::Resource,
    problems: &mut Problems,
) -> Vec<(&'static str, Attribute)> {
    if wire.resource.is_none() {
        let fault = "required; set the resource in the plural, for example \"services\"";
        problems.add(format!("{path}.resource.resource"), fault);
    }
    // The field here, and its name in `resourceAttributes`.
    let fields = [
        ("apiGroup", "group", wire.api_group),
        ("apiVersion", "version", wire.api_version),
        ("resource", "resource", wire.resource),
        ("subresource", "subresource", wire.subresource),
        ("namespace", "namespace", wire.namespace),
        ("name", "name", wire.name),
    ];
    let fields = fields.into_iter().filter_map(|(field, name, wire)| {
        Some((name, attribute(&format!("{path}.resource.{field}"), wire?, problems)))
    });
    fields.collect()
}

fn attribute(path: &str, wire: wire::Attribute, problems: &mut Problems) -> Attribute {
    let (text, attribute) = match wire {
        wire::Attribute::Fixed(text) => (text.clone(), Attribute::Fixed(text)),
        wire::Attribute::From(wire::Source { segment: Some(at), query: None }) => {
            if !SEGMENTS.contains(&at) {
                problems
                    .add(format!("{path}.segment"), format!("must be from 1 to 64, found {at}"));
            }
            return Attribute::Segment(at);
        }
        wire::Attribute::From(wire::Source { segment: None, query: Some(name) }) => {
            (name.clone(), Attribute::Query(name))
        }
        wire::Attribute::From(_) => {
            // A field that does not fit is reported already.
            if !problems.any_under(&format!("{path}.")) {
                problems.add(path, "expected exactly one of segment, query");
            }
            return Attribute::Segment(1);
        }
    };
    if !is_visible(&text) || text.len() > MAX_BYTES {
        problems.add(path, "must be 1 to 253 characters of visible ASCII; or remove the field");
    }
    attribute
}

/// Reports rules that no issuer's callers can pass, and reviews that no rule asks for.
pub(super) fn check_both(
    rules: Option<&[Rule]>,
    issuers: &[(IssuerIdentity, KeySource)],
    problems: &mut Problems,
) {
    let reviewed = issuers.iter().any(|(issuer, _)| issuer.access.is_some());
    let asks = |rule: &Rule| rule.access().is_some();
    let rules = rules.unwrap_or_default();
    if let (Some(at), false) = (rules.iter().position(asks), reviewed) {
        let fault =
            "requires `subjectAccessReview` in an issuer, because otherwise it allows no caller";
        problems.add(format!("rules[{at}].allow.kubernetesRBAC"), fault);
    }
    if reviewed && !rules.iter().any(asks) {
        let at = issuers.iter().position(|(issuer, _)| issuer.access.is_some()).unwrap_or_default();
        let fault = "not used, because no rule has `kubernetesRBAC`; remove it, or add such a rule";
        problems.add(format!("issuers[{at}].subjectAccessReview"), fault);
    }
}

const SEGMENTS: std::ops::RangeInclusive<usize> = 1..=64;
const MAX_BYTES: usize = 253;

//! Remedies for common mistakes, for Envoy's log and for the command line.

use super::problems::{Problem, Problems};
use super::reader::{Read, Reader};
use super::wire;
use crate::account_name::{is_dns_label, is_dns_subdomain};
use serde_json::{Map, Value};

// === impl Problem ===

impl Problem {
    /// The remedy, if the message does not contain it.
    pub fn hint(&self) -> Option<String> {
        if let Some(names) = self.message.strip_prefix("unknown ") {
            // The unknown name and the expected ones are in backquotes.
            let mut parts = names.split('`');
            let (kind, wrong) = (parts.next(), parts.next()?);
            let mut near = None;
            while let (Some(_), Some(name)) = (parts.next(), parts.next()) {
                choose(wrong, name, &mut near);
            }
            return match near {
                Some((_, name)) => Some(["did you mean `", name, "`?"].concat()),
                None => kind.filter(|kind| *kind == "field ").and_then(|_| place(wrong)),
            };
        }
        let (_, expected) = self.message.rsplit_once(' ')?;
        let hint = match expected {
            "string" => "write the value in quotes",
            "boolean" => "write true or false, without quotes",
            "list" => "write a list: [ ... ]",
            "object" => "write an object: { ... }",
            "number" | "65535" => "write a number without quotes",
            _ => return None,
        };
        self.message.starts_with("invalid type").then(|| hint.to_owned())
    }
}

/// Where a field with this name belongs: in each object that accepts it.
fn place(name: &str) -> Option<String> {
    let mut said = String::new();
    for object in OBJECTS {
        let path = [object, name].concat();
        let mut document = Value::Null;
        for member in path.rsplit('.') {
            let field = member.strip_suffix("[]");
            if field.is_some() {
                document = Value::Array(vec![document]);
            }
            let mut members = Map::new();
            members.insert(field.unwrap_or(member).to_owned(), document);
            document = Value::Object(members);
        }
        let mut problems = Problems::default();
        wire::Plugin::read(&document, &mut Reader::new(&mut problems));
        let is_unknown = |problem: &Problem| problem.message.starts_with("unknown field ");
        if !problems.into_list().iter().any(is_unknown) {
            said += if said.is_empty() { "this field belongs in `" } else { "` or `" };
            said += &path;
        }
    }
    (!said.is_empty()).then(|| said + "`")
}

/// The objects of the configuration, but for the attributes of `kubernetesRBAC`, all of which have the same fields
/// (tests/configuration/form.rs compares them with the schema).
const OBJECTS: &[&str] = &[
    "",
    "tokenFrom[].",
    "issuers[].",
    "issuers[].keys.",
    "issuers[].keys.discovery.",
    "issuers[].keys.discovery.jwksServer.",
    "issuers[].keys.jwks.",
    "issuers[].tokenReview.",
    "issuers[].subjectAccessReview.",
    "issuers[].matchPeer.",
    "rules[].",
    "rules[].allow[].",
    "rules[].allow.",
    "rules[].allow.kubernetesRBAC.",
    "rules[].allow.kubernetesRBAC.nonResource.",
    "rules[].allow.kubernetesRBAC.resource.",
    "answers.",
    "limits.",
];

/// The name that is most like `wrong`; `None` if more than a third of it differs.
#[cfg(not(target_arch = "wasm32"))]
pub fn nearest<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut near = None;
    names.for_each(|name| choose(wrong, name, &mut near));
    near.map(|(_, name)| name)
}

/// Sets `near` if `name` is more like `wrong`, and at least two thirds of them are the same beginning and end.
fn choose<'n>(wrong: &str, name: &'n str, near: &mut Option<(usize, &'n str)>) {
    let (one, other) = (folded(wrong), folded(name));
    let (longest, shortest) = (one.len().max(other.len()), one.len().min(other.len()));
    let same = |pair: &(&u8, &u8)| pair.0 == pair.1;
    let begin = one.iter().zip(&other).take_while(same).count();
    let end = one.iter().rev().zip(other.iter().rev()).take_while(same).count();
    // `istio.io/dry-run` is Istio's name of shadow mode.
    let is_synonym = one == b"dryrun" && name == "shadow";
    let alike = if is_synonym { longest } else { shortest.min(begin + end) };
    if alike > 0 && alike * 3 >= longest * 2 && near.is_none_or(|(best, _)| alike > best) {
        *near = Some((alike, name));
    }
}

/// Without case, `_` and `-`. ASCII only, because the tables of Unicode are large.
fn folded(name: &str) -> Vec<u8> {
    let bytes = name.bytes().filter(|byte| !matches!(byte, b'_' | b'-'));
    bytes.map(|byte| byte.to_ascii_lowercase()).collect()
}

/// `namespace/name` for a service account in the form of another system: a Kubernetes username or group, an Istio
/// principal, a SPIFFE ID, or `namespace:name`.
pub(super) fn account(text: &str) -> Option<String> {
    let mut parts = text.rsplit('/');
    let last = parts.next()?;
    let (namespace, name) = match (parts.next(), parts.next(), parts.next()) {
        (Some("sa"), Some(namespace), Some("ns")) => (namespace, last),
        // Istio's request principals are ISSUER/SUBJECT.
        _ => match (last.strip_prefix("system:serviceaccount"), text.len() == last.len()) {
            (Some("s"), _) => return Some("*/*".to_owned()),
            (Some(rest), _) => match rest.strip_prefix("s:") {
                Some(namespace) => (namespace, "*"),
                None => rest.strip_prefix(':')?.split_once(':')?,
            },
            (None, true) => text.split_once(':')?,
            (None, false) => return None,
        },
    };
    let fits = is_dns_label(namespace) && (name == "*" || is_dns_subdomain(name));
    fits.then(|| [namespace, "/", name].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_other_systems_are_recognized() {
        for (text, expected) in [
            ("system:serviceaccount:a:b", Some("a/b")),
            ("https://k.svc/system:serviceaccount:a:b", Some("a/b")),
            ("system:serviceaccounts:a", Some("a/*")),
            ("system:serviceaccounts", Some("*/*")),
            ("spiffe://cluster.local/ns/a/sa/b.c", Some("a/b.c")),
            ("cluster.local/ns/a/sa/b", Some("a/b")),
            ("a:b", Some("a/b")),
            // A name alone says nothing about its namespace, and "a/*" would match every account of a namespace.
            ("a", None),
            ("https://a", None),
            ("system:node:a", None),
            ("A:b", None),
            ("", None),
        ] {
            assert_eq!(account(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn only_near_names_are_suggested() {
        for (wrong, expected) in [
            ("shdaow", Some("shadow")),
            ("Enforce", Some("enforce")),
            ("token_from", Some("tokenFrom")),
            ("noon", None),
            ("dry-run", Some("shadow")),
            ("audit", None),
            ("", None),
            ("shadow-mode-of-the-filter", None),
        ] {
            let names = ["enforce", "shadow", "tokenFrom"].into_iter();
            assert_eq!(nearest(wrong, names), expected, "{wrong}");
        }
    }
}

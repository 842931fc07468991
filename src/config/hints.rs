//! Remedies for common mistakes, for Envoy's log and for the command line.

use super::problems::Problem;
use crate::account_name::{is_dns_label, is_dns_subdomain};

// === impl Problem ===

impl Problem {
    /// The remedy, if the message does not contain it.
    pub fn hint(&self) -> Option<String> {
        if let Some(names) = self.message.strip_prefix("unknown ") {
            let mut quoted = names.split('`').skip(1).step_by(2);
            let wrong = quoted.next()?;
            let near = match is_dry_run(wrong) && names.ends_with("`shadow`") {
                true => "shadow",
                false => nearest(wrong, quoted)?,
            };
            return Some(format!("did you mean `{near}`?"));
        }
        let (_, expected) = self.message.split_once(", expected ")?;
        let hint = match expected {
            "a string" => "write the value in quotes",
            "a boolean" => "write true or false, without quotes",
            "a list" => "write a list: [ ... ]",
            "an object" => "write an object: { ... }",
            "a whole number" | "a whole number up to 65535" => "write a number without quotes",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Names of shadow mode in other systems, such as `istio.io/dry-run`.
fn is_dry_run(name: &str) -> bool {
    ["dryrun", "audit", "permissive"].contains(&&*folded(name))
}

/// The name that is most like `wrong`; `None` if more than a third of it differs.
pub fn nearest<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let wrong = folded(wrong);
    let distances = names.map(|name| (distance(&wrong, &folded(name)), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= name.len().min(wrong.len()).max(3)).then_some(name)
}

fn folded(name: &str) -> String {
    name.chars()
        .take(LONGEST)
        .filter(|c| !"_-".contains(*c))
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// The Levenshtein distance.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, a) in one.bytes().enumerate() {
        let (mut diagonal, mut left) = (at, at + 1);
        for (cell, b) in row.iter_mut().skip(1).zip(other.bytes()) {
            let cost = (diagonal + usize::from(a != b)).min(left + 1).min(*cell + 1);
            (diagonal, left, *cell) = (*cell, cost, cost);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// `namespace/name` for a service account in the form of another system: a Kubernetes username or group, an Istio
/// principal, a SPIFFE ID, or `namespace:name`.
pub(super) fn account(text: &str) -> Option<String> {
    let (namespace, name) = match text.split_once("system:serviceaccount") {
        Some((_, "s")) => return Some("*/*".to_owned()),
        Some((_, rest)) => match rest.strip_prefix("s:") {
            Some(namespace) => (namespace, "*"),
            None => rest.strip_prefix(':')?.split_once(':')?,
        },
        None => match text.split_once("/ns/").or_else(|| text.split_once("ns/")) {
            Some((_, rest)) => rest.split_once("/sa/")?,
            None => text.split_once(':').unwrap_or((text, "*")),
        },
    };
    let fits = is_dns_label(namespace) && (name == "*" || is_dns_subdomain(name));
    fits.then(|| format!("{namespace}/{name}"))
}

/// Longer names are not names of fields.
const LONGEST: usize = 40;

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
            ("a", Some("a/*")),
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
            ("", None),
            ("shadow-mode-of-the-filter", None),
        ] {
            let names = ["enforce", "shadow", "tokenFrom"].into_iter();
            assert_eq!(nearest(wrong, names), expected, "{wrong}");
        }
    }
}

//! The requests that a rule covers, the callers that it allows, and their intersections and unions.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The requests that match all of these conditions. `None` matches every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cover {
    /// Host patterns.
    pub hosts: Option<Vec<String>>,
    /// Methods.
    pub methods: Option<Vec<String>>,
    /// Path patterns.
    pub paths: Option<Vec<String>>,
    /// Ports of the listener.
    pub ports: Option<Vec<String>>,
}

/// The callers that a rule allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Every caller, with or without a token.
    Anyone,
    /// Callers that match one of these entries.
    Listed(Vec<Entry>),
}

/// Conditions on a caller: `serviceAccount`, `issuerName` and `audience`. Without conditions, every service account.
pub type Entry = BTreeMap<&'static str, String>;

/// A rule of a set in which any matching rule allows a request.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// The name.
    pub name: String,
    /// The requests.
    pub cover: Cover,
    /// The callers.
    pub callers: Callers,
}

// === impl Cover ===

impl Cover {
    /// The requests that both cover; `None` if there are none.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let equal = |one: &str, other: &str| (one == other).then(|| one.to_owned());
        Some(Self {
            hosts: both(self.hosts.as_ref(), other.hosts.as_ref(), host)?,
            methods: both(self.methods.as_ref(), other.methods.as_ref(), equal)?,
            paths: both(self.paths.as_ref(), other.paths.as_ref(), path)?,
            ports: both(self.ports.as_ref(), other.ports.as_ref(), equal)?,
        })
    }

    /// The members of a rule.
    fn members(&self) -> Vec<(&'static str, Value)> {
        let ports = self.ports.as_ref().map(|ports| {
            ports.iter().filter_map(|port| port.parse::<u16>().ok()).collect::<Vec<_>>()
        });
        let lists = [("hosts", &self.hosts), ("methods", &self.methods), ("paths", &self.paths)];
        let lists =
            lists.into_iter().filter_map(|(name, list)| Some((name, json!(list.as_ref()?))));
        lists.chain(ports.map(|ports| ("ports", json!(ports)))).collect()
    }
}

/// The intersection of two lists of patterns. The outer `None`: no value matches.
#[allow(clippy::option_option, reason = "no list matches everything, and an empty one nothing")]
fn both(
    one: Option<&Vec<String>>,
    other: Option<&Vec<String>>,
    intersect: impl Fn(&str, &str) -> Option<String>,
) -> Option<Option<Vec<String>>> {
    let (one, other) = match (one, other) {
        (None, list) | (list, None) => return Some(list.cloned()),
        (Some(one), Some(other)) => (one, other),
    };
    let mut patterns = Vec::new();
    for pattern in one.iter().flat_map(|one| other.iter().filter_map(|other| intersect(one, other)))
    {
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    (!patterns.is_empty()).then_some(Some(patterns))
}

/// The path pattern that matches what both match.
fn path(one: &str, other: &str) -> Option<String> {
    let split = |pattern: &str| -> (Vec<String>, bool) {
        let mut segments: Vec<_> = pattern.split('/').skip(1).map(str::to_owned).collect();
        let below = segments.last().is_some_and(|last| last == "*");
        if below {
            segments.pop();
        }
        (segments, below)
    };
    let ((one, one_below), (other, other_below)) = (split(one), split(other));
    let (shorter, longer, shorter_below, longer_below) = match one.len() <= other.len() {
        true => (&one, &other, one_below, other_below),
        false => (&other, &one, other_below, one_below),
    };
    // `/a/*` needs at least one more segment.
    let is_longer = shorter.len() < longer.len();
    let fits = match (shorter_below, longer_below) {
        (true, true) => true,
        (true, false) => is_longer,
        (false, true) => false,
        (false, false) => !is_longer,
    };
    let mut segments = Vec::new();
    for (at, segment) in longer.iter().enumerate() {
        match (shorter.get(at), segment.as_str()) {
            (Some(other), "*") => segments.push(other.clone()),
            (Some(other), segment) if other != "*" && other != segment => return None,
            _ => segments.push(segment.clone()),
        }
    }
    if longer_below {
        segments.push("*".to_owned());
    }
    fits.then(|| format!("/{}", segments.join("/")))
}

/// The narrower of two host patterns; `None` if no host matches both.
fn host(one: &str, other: &str) -> Option<String> {
    let covers = |wide: &str, narrow: &str| {
        wide == narrow || wide.strip_prefix('*').is_some_and(|suffix| narrow.ends_with(suffix))
    };
    if covers(one, other) {
        return Some(other.to_owned());
    }
    covers(other, one).then(|| one.to_owned())
}

// === impl Callers ===

impl Callers {
    /// Every service account of the configured issuers.
    pub fn authenticated() -> Self {
        Self::Listed(vec![Entry::new()])
    }

    /// The callers that both allow.
    pub fn intersect(&self, other: &Self) -> Self {
        let (one, other) = match (self, other) {
            (Self::Anyone, callers) | (callers, Self::Anyone) => return callers.clone(),
            (Self::Listed(one), Self::Listed(other)) => (one, other),
        };
        let merge = |one: &Entry, other: &Entry| {
            let agrees = |(key, value)| one.get(key).is_none_or(|known: &String| known == value);
            let merged = || other.iter().chain(one).map(|(key, value)| (*key, value.clone()));
            other.iter().all(agrees).then(|| merged().collect::<Entry>())
        };
        let pairs = one.iter().flat_map(|one| other.iter().filter_map(move |two| merge(one, two)));
        Self::Listed(pairs.collect())
    }

    /// The callers that at least one allows.
    pub fn unite(&self, other: &Self) -> Self {
        let (Self::Listed(one), Self::Listed(other)) = (self, other) else { return Self::Anyone };
        let mut entries = one.clone();
        entries.extend(other.iter().filter(|entry| !one.contains(entry)).cloned());
        Self::Listed(entries)
    }

    /// Whether no caller is allowed.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Listed(entries) if entries.is_empty())
    }

    fn to_json(&self) -> Value {
        let Self::Listed(entries) = self else { return json!("anyone") };
        if entries.iter().any(Entry::is_empty) {
            return json!("authenticated");
        }
        let entry = |entry: &Entry| match (entry.len(), entry.get("serviceAccount")) {
            (1, Some(account)) => json!(account),
            _ => json!(entry),
        };
        entries.iter().map(entry).collect()
    }
}

// === impl Allowed ===

impl Allowed {
    /// The rule of the plugin.
    pub fn to_json(&self) -> Value {
        let mut rule = json!({ "name": self.name });
        if let Some(rule) = rule.as_object_mut() {
            rule.extend(
                self.cover.members().into_iter().map(|(name, value)| (name.to_owned(), value)),
            );
            rule.insert("allow".to_owned(), self.callers.to_json());
        }
        rule.sort_all_objects();
        rule
    }
}

/// Adds a rule to a list in which the first rule that covers a request decides, so that the list allows what it allowed
/// before and what the rule allows.
pub fn add(rules: &mut Vec<Allowed>, new: Allowed) {
    let mut result: Vec<Allowed> = Vec::new();
    for known in rules.drain(..) {
        match known.cover.intersect(&new.cover) {
            Some(cover) if cover == known.cover => {
                let callers = known.callers.unite(&new.callers);
                result.push(Allowed { callers, ..known });
            }
            Some(cover) if known.callers != new.callers && !covers(&result, &cover) => {
                let name = format!("{} and {}", known.name, new.name);
                let callers = known.callers.unite(&new.callers);
                result.extend([Allowed { name, cover, callers }, known]);
            }
            _ => result.push(known),
        }
    }
    // A rule whose requests another one covers completely has no effect.
    if !covers(&result, &new.cover) {
        result.push(new);
    }
    *rules = result;
}

/// Whether one of the rules covers all of these requests.
pub fn covers(rules: &[Allowed], cover: &Cover) -> bool {
    rules.iter().any(|rule| rule.cover.intersect(cover).as_ref() == Some(cover))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[&str]) -> Cover {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        Cover { paths: Some(paths), ..Cover::default() }
    }

    #[test]
    fn paths_intersect_by_segments() {
        for (one, other, expected) in [
            ("/a", "/a", Some("/a")),
            ("/a", "/b", None),
            ("/a", "/*", Some("/a")),
            ("/a/*", "/a", None),
            ("/a/*", "/a/b/*", Some("/a/b/*")),
            ("/*/b", "/a/*", Some("/a/b")),
            ("/*/b/*", "/a/*", Some("/a/b/*")),
            ("/*/b", "/a/*/c", None),
            ("/a/*/c", "/a/b/*", Some("/a/b/c")),
        ] {
            assert_eq!(path(one, other).as_deref(), expected, "{one} {other}");
            assert_eq!(path(other, one).as_deref(), expected, "{other} {one}");
        }
    }

    #[test]
    fn union_of_overlapping_rules_allows_the_callers_of_both() {
        let rule = |name: &str, cover, account: &str| Allowed {
            name: name.to_owned(),
            cover,
            callers: Callers::Listed(vec![Entry::from([("serviceAccount", account.to_owned())])]),
        };
        let mut rules = Vec::new();
        add(&mut rules, rule("x", paths(&["/a/*"]), "a/a"));
        add(&mut rules, rule("y", paths(&["/*/b"]), "b/b"));
        add(&mut rules, rule("z", paths(&["/a/*"]), "c/c"));
        let rules: Vec<_> = rules.iter().map(Allowed::to_json).collect();
        let expected = json!([
            { "name": "x and y", "paths": ["/a/b"], "allow": ["a/a", "b/b", "c/c"] },
            { "name": "x", "paths": ["/a/*"], "allow": ["a/a", "c/c"] },
            { "name": "y", "paths": ["/*/b"], "allow": ["b/b"] },
        ]);
        assert_eq!(json!(rules), expected);
    }
}

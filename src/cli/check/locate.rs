//! The location and remedy of a problem.

use super::pasted;
use super::yaml::{Kind, Node};
use sa_authn::config::Problem;

/// The index of the character where a problem is: at the name of an unknown field, at a value, or at the nearest
/// existing parent of a missing field.
pub fn locate(tree: &Node, problem: &Problem) -> usize {
    let (mut node, mut rest) = (tree, problem.path.as_str());
    while !rest.is_empty() {
        let Some((at, next, behind)) = step(node, rest) else { break };
        if behind.is_empty() && problem.message.starts_with("unknown field") {
            return at;
        }
        (node, rest) = (next, behind);
    }
    node.at
}

/// The first member or item of a path: the index of its name, its value, and the rest of the path.
fn step<'n, 'p>(node: &'n Node, path: &'p str) -> Option<(usize, &'n Node, &'p str)> {
    if let Some(rest) = path.strip_prefix('[') {
        let (number, rest) = rest.split_once(']')?;
        let item = node.items().get(number.parse::<usize>().ok()?)?;
        return Some((item.at, item, rest.strip_prefix('.').unwrap_or(rest)));
    }
    // The name of a header may contain dots, so the longest matching name wins.
    let fits = |name: &str| {
        let rest = path.strip_prefix(name)?;
        (rest.is_empty() || rest.starts_with(['.', '[']))
            .then(|| rest.strip_prefix('.').unwrap_or(rest))
    };
    let fitting =
        node.members().iter().filter_map(|(key, value)| Some((key, value, fits(&key.name)?)));
    let (key, value, rest) = fitting.max_by_key(|(key, ..)| key.name.len())?;
    Some((key.at, value, rest))
}

/// Duplicate names in an object, each with its path and the index of the duplicate.
pub fn repeated(path: &str, node: &Node, found: &mut Vec<(String, usize)>) {
    for (at, item) in node.items().iter().enumerate() {
        repeated(&format!("{path}[{at}]"), item, found);
    }
    let Kind::Mapping(members) = &node.kind else { return };
    for (at, (key, value)) in members.iter().enumerate() {
        let path = if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
        if members.iter().take(at).any(|(earlier, _)| earlier.name == key.name) {
            found.push((path.clone(), key.at));
        }
        repeated(&path, value, found);
    }
}

/// The remedy, if the message does not contain it. Except for fields of other systems, it is the one in Envoy's log.
pub fn remedy(problem: &Problem) -> Option<String> {
    let unknown = problem.message.strip_prefix("unknown field `");
    let unknown = unknown.and_then(|rest| rest.split('`').next());
    if unknown == Some("<<") {
        return Some("Envoy does not merge YAML keys; write the fields at this place".to_owned());
    }
    unknown.and_then(pasted::field).or_else(|| problem.hint())
}

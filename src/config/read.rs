//! JSON text -> the wire types. Finds every fault of form, not just the first.
//!
//! serde stops at the first fault; so a faulty value is noted, taken out, and the rest read again.

use super::problems::Problems;
use super::wire;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// `None` when the text is no JSON object at all.
pub(super) fn read(json: &[u8], problems: &mut Problems) -> Option<wire::Plugin> {
    if json.trim_ascii().is_empty() {
        problems.add("", "the configuration is empty: at least `issuers` is needed");
        return None;
    }
    if let Err(error) = crate::authn::check_members(json) {
        problems.add("", error.to_string());
    }
    // What is wrong has been said above; the last of two members stands for both here.
    let mut document: Value = serde_json::from_slice(json).ok()?;
    if !document.is_object() {
        problems.add("", "must be an object");
        return None;
    }
    without_nulls("", &mut document, problems);
    loop {
        let error = match serde_path_to_error::deserialize(&document) {
            Ok(plugin) => return Some(plugin),
            Err(error) => error,
        };
        let path = path_text(error.path());
        problems.add_and_take_out(path.clone(), error.inner().to_string());
        if let Some((list, _)) = path.strip_suffix(']').and_then(|path| path.rsplit_once('[')) {
            problems.taken_out(list);
        }
        if !take_out(&mut document, error.path()) {
            return None;
        }
    }
}

/// `rules:` with nothing behind it, in YAML, is null. Taken for absent, it would let everyone in.
fn without_nulls(path: &str, value: &mut Value, problems: &mut Problems) {
    match value {
        Value::Object(members) => members.retain(|name, member| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if member.is_null() {
                problems.add_and_take_out(path, "has no value: give one, or leave it out");
                return false;
            }
            without_nulls(&path, member, problems);
            true
        }),
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                without_nulls(&format!("{path}[{at}]"), item, problems);
            }
        }
        _ => {}
    }
}

/// Removes the value at `path`. In a list the whole list goes, so that the places of later problems
/// stay true. `false` when nothing is left to remove.
fn take_out(document: &mut Value, path: &Path) -> bool {
    let segments: Vec<_> = path.iter().collect();
    // An enum's variant is no place of its own.
    let keys: Vec<_> = segments
        .iter()
        .filter(|s| matches!(s, Segment::Map { .. } | Segment::Seq { .. }))
        .collect();
    let Some(last) = keys.iter().rposition(|s| matches!(s, Segment::Map { .. })) else {
        return false;
    };
    let mut parent = Some(document);
    for segment in keys.iter().take(last) {
        parent = match segment {
            Segment::Map { key } => parent.and_then(|value| value.get_mut(key.as_str())),
            Segment::Seq { index } => parent.and_then(|value| value.get_mut(*index)),
            _ => None,
        };
    }
    match (parent.and_then(Value::as_object_mut), keys.get(last)) {
        (Some(members), Some(Segment::Map { key })) => members.remove(key).is_some(),
        _ => false,
    }
}

fn path_text(path: &Path) -> String {
    match path.to_string() {
        root if root == "." => String::new(),
        path => path,
    }
}

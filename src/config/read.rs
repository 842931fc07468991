//! Deserialization of the JSON text, with all errors of syntax and type.
//!
//! serde stops at the first error. So each invalid value is reported and removed, and the rest is deserialized again.

use super::problems::Problems;
use super::wire;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// `None` if the text is not a JSON object.
pub(super) fn read(json: &[u8], problems: &mut Problems) -> Option<wire::Plugin> {
    if json.trim_ascii().is_empty() {
        problems.add("", "the configuration is empty; `issuers` is required");
        return None;
    }
    if let Err(error) = crate::authn::check_members(json) {
        let what = if is_comment(json, &error) { "JSON has no comments: " } else { "" };
        problems.add("", format!("{what}{error}"));
    }
    // Duplicate members were reported above; of two duplicates, serde_json takes the last.
    let mut document: Value = serde_json::from_slice(json).ok()?;
    if !document.is_object() {
        problems.add("", "must be a JSON object");
        return None;
    }
    check_values("", &mut document, problems);
    loop {
        let error = match serde_path_to_error::deserialize(&document) {
            Ok(plugin) => return Some(plugin),
            Err(error) => error,
        };
        let path = path_text(error.path());
        problems.add_and_remove(path.clone(), in_json_terms(&error.inner().to_string()));
        if let Some((list, _)) = path.strip_suffix(']').and_then(|path| path.rsplit_once('[')) {
            problems.mark_removed(list);
        }
        if !remove(&mut document, error.path()) {
            return None;
        }
    }
}

/// Replaces the words for Rust types in an error message of serde by the words for JSON types.
fn in_json_terms(message: &str) -> String {
    let Some((found, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let found = match found {
        "invalid type: map" => "invalid type: object",
        "invalid type: sequence" => "invalid type: list",
        other => other,
    };
    let expected = match expected {
        "a map" => "an object",
        "a sequence" => "a list",
        "usize" => "a whole number",
        "u16" => "a whole number up to 65535",
        other => other,
    };
    format!("{found}, expected {expected}")
}

/// Whether a comment is at the location of a syntax error.
fn is_comment(json: &[u8], error: &serde_json::Error) -> bool {
    let line = json.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1));
    let near = line.and_then(|line| line.get(error.column().saturating_sub(1)..));
    near.is_some_and(|near| matches!(near, [b'#', ..] | [b'/', b'/' | b'*', ..]))
}

/// Rejects nulls and placeholders. In YAML, `rules:` without a value is null; treated as absent, it would allow every
/// caller.
fn check_values(path: &str, value: &mut Value, problems: &mut Problems) {
    match value {
        Value::Object(members) => members.retain(|name, member| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if member.is_null() {
                problems.add_and_remove(path, "must not be null; set a value, or remove the field");
                return false;
            }
            check_values(&path, member, problems);
            true
        }),
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                check_values(&format!("{path}[{at}]"), item, problems);
            }
        }
        Value::String(text) if has_placeholder(text.as_bytes()) => {
            problems.add(path, format!("{text:?}: a placeholder was not replaced"));
        }
        _ => {}
    }
}

fn has_placeholder(text: &[u8]) -> bool {
    text.windows(2).any(|two| two == b"${" || two == b"{{")
}

/// Removes the value at `path`, or the list that contains it, so that the indices of later problems stay correct.
/// `false` if nothing is left to remove.
fn remove(document: &mut Value, path: &Path) -> bool {
    let segments: Vec<_> = path.iter().collect();
    // The variant of an enum is not part of the path.
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

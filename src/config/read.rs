//! Reads the JSON text, and reports all errors of syntax and type.

use super::problems::Problems;
use super::reader::{Read, Reader};
use super::wire;
use serde_json::Value;

/// `None` if the text is not a JSON object.
pub(super) fn read(json: &[u8], problems: &mut Problems) -> Option<wire::Plugin> {
    if json.trim_ascii().is_empty() {
        problems.add("", "the configuration is empty; `issuers` is required");
        return None;
    }
    if let Err(error) = crate::authn::check_members(json) {
        let what = match json {
            [0xef, ..] => "begins with a byte order mark, remove it: ",
            _ if is_comment(json, &error) => "JSON has no comments: ",
            _ => "",
        };
        problems.add("", format!("{what}{error}"));
    }
    // Duplicate members were reported above; of two duplicates, serde_json takes the last.
    let mut document: Value = serde_json::from_slice(json).ok()?;
    if !document.is_object() {
        problems.add("", "must be a JSON object");
        return None;
    }
    check_values("", &mut document, problems);
    wire::Plugin::read(&document, &mut Reader::new(problems))
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

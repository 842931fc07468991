//! SARIF 2.1.0 (OASIS), the format of code scanning.

use super::kind::Kind;
use super::report::{Checked, Fault};
use serde_json::{Value, json};

/// The log of one run.
pub fn log(checked: &[Checked]) -> Value {
    let results = checked.iter().flat_map(|checked| {
        checked.faults.iter().map(|fault| result(&checked.file, fault)).collect::<Vec<_>>()
    });
    let rules = Kind::ALL.map(|kind| {
        json!({
            "id": kind.code(),
            "helpUri": kind.docs(),
            "defaultConfiguration": { "level": kind.severity().name() },
        })
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "sa-authn check",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

fn result(file: &str, fault: &Fault) -> Value {
    json!({
        "ruleId": fault.kind.code(),
        "level": fault.kind.severity().name(),
        "message": { "text": fault.with_remedy() },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(file) },
            "region": { "startLine": fault.place.line, "startColumn": fault.place.column },
        } }],
    })
}

/// A file name as a URI reference (RFC 3986).
fn uri(file: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    file.bytes()
        .map(|byte| match is_plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

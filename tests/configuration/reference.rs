//! The reference in filter-config/README.md lists every field with the type, bounds and default of the code.

use super::schema::{collect, fields};
use sa_authn::config::schema;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The rows of the reference: field, type, default and description.
fn rows() -> BTreeMap<String, Vec<String>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("filter-config/README.md");
    let text = std::fs::read_to_string(file).unwrap();
    let (_, reference) = text.split_once("# Reference").expect("the reference");
    let mut rows = BTreeMap::new();
    for line in reference.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let name = cells[1].trim_matches('`').to_owned();
        assert!(rows.insert(name, cells[2..cells.len() - 1].to_vec()).is_none(), "twice: {line}");
    }
    rows
}

#[test]
fn reference_lists_every_field_with_type_and_default() {
    let mut rows = rows();
    let schema = schema();
    let mut fields = fields();
    // What `allow` asks Kubernetes RBAC.
    let allow = &schema["properties"]["rules"]["items"]["properties"]["allow"]["anyOf"];
    collect("", &allow[3], &mut fields);
    collect(
        "",
        &allow[3]["properties"]["kubernetesRBAC"]["properties"]["resource"]["properties"]["name"]["anyOf"]
            [1],
        &mut fields,
    );
    for (path, field) in &fields {
        let row = rows.remove(path).unwrap_or_else(|| panic!("{path} is not in the reference"));
        let [kind, default, why] = &row[..] else { panic!("{path}: {row:?}") };
        assert_eq!(*kind, type_text(field), "{path}");
        let of_rbac = path.starts_with("kubernetesRBAC").then_some(&allow[3]);
        match (field.get("default"), is_required(of_rbac.unwrap_or(&schema), path)) {
            (Some(value), _) => assert_eq!(*default, format!("`{}`", spaced(value)), "{path}"),
            (None, true) => assert_eq!(default, "required", "{path}"),
            (None, false) => assert_ne!(default, "required", "{path}"),
        }
        assert!(why.len() > 20, "{path}: {why:?}");
        if let Some(most) = longest_list(field) {
            assert!(why.contains(&format!("1 to {most} ")), "{path}: {why:?}");
        }
    }
    // The conditions of an entry have no defaults.
    let entry = &schema["properties"]["rules"]["items"]["properties"]["allow"]["anyOf"][2];
    let conditions = entry["items"]["anyOf"][1]["properties"].as_object().expect("conditions");
    for name in conditions.keys() {
        assert!(rows.remove(name).is_some(), "{name} is not in the reference");
    }
    // This field is inside an `anyOf` of the schema.
    assert!(rows.remove("issuers[].matchPeer.trustDomain").is_some());
    assert_eq!(rows.keys().collect::<Vec<_>>(), Vec::<&String>::new());
}

/// The maximum number of keys in a list or in a JWKS.
fn longest_list(field: &Value) -> Option<&Value> {
    field.get("maxItems").or_else(|| field.pointer("/properties/keys/maxItems"))
}

/// As JSON, with spaces between the members.
fn spaced(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{name:?}: {}", spaced(value)))
                .collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn is_required(schema: &Value, path: &str) -> bool {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut place = schema;
    for step in parent.split('.').filter(|step| !step.is_empty()) {
        place = &place["properties"][step.trim_end_matches("[]")];
        if step.ends_with("[]") {
            place = &place["items"];
        }
    }
    let lists = |list: &Value| list.as_array().is_some_and(|names| names.contains(&name.into()));
    lists(&place["required"]) || lists(&place["else"]["required"])
}

fn type_text(field: &Value) -> String {
    let words = field["oneOf"].as_array().into_iter().flatten();
    let words: Vec<_> = words.filter_map(|word| word["const"].as_str()).collect();
    if !words.is_empty() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
    }
    let text = match field["type"].as_str() {
        Some("string") if field["pattern"].as_str().is_some_and(|p| p.ends_with("(ms|s|m|h)$")) => {
            return duration_text(field["x-shortest"].as_str(), field["x-longest"].as_str());
        }
        Some("integer") => return format!("{} to {}", field["minimum"], field["maximum"]),
        Some("array") => match field["items"]["type"].as_str() {
            Some("object") => "list of objects",
            Some("integer") => "list of ports",
            _ => "list of strings",
        },
        Some(plain) => plain,
        None if field["anyOf"][3].is_object() => "`anyone`, `authenticated`, a list or an object",
        None if field["anyOf"][0]["const"] == "anyone" => "`anyone`, `authenticated` or a list",
        None if field["anyOf"][1]["properties"]["segment"].is_object() => "string or object",
        None => "boolean or object",
    };
    text.to_owned()
}

fn duration_text(shortest: Option<&str>, longest: Option<&str>) -> String {
    match (shortest, longest) {
        (Some(shortest), Some(longest)) => format!("duration, {shortest} to {longest}"),
        (Some(shortest), None) => format!("duration, at least {shortest}"),
        (None, Some(longest)) => format!("duration, at most {longest}"),
        (None, None) => "duration".to_owned(),
    }
}

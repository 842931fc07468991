//! The JSON Schema of the configuration agrees with filter-config/schema.json and with the checks.

use super::{good, put};
use jsonschema::Validator;
use sa_authn::config::{Config, schema};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::LazyLock;

static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&schema()).expect("a schema"));

/// Fails unless the schema accepts this configuration.
pub fn check_valid(config: &Value) {
    let errors: Vec<_> = VALIDATOR.iter_errors(config).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new(), "the schema refuses {config}");
}

/// Fails unless the schema rejects this configuration.
pub fn check_invalid(config: &Value) {
    assert!(!VALIDATOR.is_valid(config), "the schema takes {config}");
}

#[test]
fn schema_json_matches_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("filter-config/schema.json");
    let text = std::fs::read_to_string(file).unwrap();
    let shipped: Value = serde_json::from_str(&text).unwrap();
    assert!(shipped == schema(), "cargo run -- schema > filter-config/schema.json");
}

/// Every field of the schema with its path, such as `issuers[].keys.timeout`.
pub fn fields() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    collect("", &schema(), &mut found);
    assert!(found.len() > 50, "only {} fields", found.len());
    found
}

pub fn collect(path: &str, schema: &Value, found: &mut Vec<(String, Value)>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        found.push((path.clone(), field.clone()));
        // RFC 7517 defines the members of a JWKS.
        if name != "inline" {
            collect(&path, field, found);
            collect(&format!("{path}[]"), &field["items"], found);
        }
    }
}

/// A configuration that may contain this field, and the pointer of the field.
fn place_of(path: &str) -> (Value, String) {
    let mut config = good();
    for object in ["answers", "limits"] {
        config = put(config, &format!("/{object}"), json!({}));
    }
    let review = json!({ "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" });
    config = put(config, "/issuers/0/tokenReview", review.clone());
    config = put(config, "/issuers/0/subjectAccessReview", review);
    config = put(config, "/rules/1/allow", json!({ "kubernetesRBAC": { "nonResource": {} } }));
    (config, format!("/{}", path.replace("[]", "/0").replace('.', "/")))
}

#[test]
fn schema_defaults_match_the_code() {
    let mut defaults = 0;
    for (path, field) in fields() {
        let Some(default) = field.get("default") else { continue };
        let (mut config, pointer) = place_of(&path);
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        config.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(member);
        let stated = put(config.clone(), &pointer, default.clone());
        assert_eq!(meaning(&stated), meaning(&config), "{path}");
        defaults += 1;
    }
    assert_eq!(defaults, 33);
}

/// The parsed configuration, as text.
fn meaning(config: &Value) -> String {
    match Config::parse(config.to_string().as_bytes()) {
        Ok(config) => format!("{:?}{:?}", config.issuers, facts(&config)),
        Err(problems) => panic!("{problems:#?}\nin {config}"),
    }
}

/// The settings without the indexes, whose order of iteration varies.
fn facts(config: &Config) -> String {
    let settings = &config.settings;
    let policy = &settings.policy;
    let rules = policy.rules().map(|rules| format!("{rules:?}"));
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {rules:?}",
        settings.token_sources,
        settings.ignore_foreign,
        settings.identity.headers,
        settings.identity.filter_state,
        settings.forward_token,
        settings.mode,
        settings.answers,
        settings.limits,
    )
}

#[test]
fn schema_bounds_match_the_code() {
    let mut bounds = 0;
    for (path, field) in fields() {
        for (bound, outward) in
            [("minimum", -1), ("x-shortest", -1), ("maximum", 1), ("x-longest", 1)]
        {
            let Some(limit) = field.get(bound) else { continue };
            // A negative number has another type.
            if *limit == json!(0) {
                continue;
            }
            let (config, pointer) = place_of(&path);
            let at_bound = put(config.clone(), &pointer, limit.clone());
            assert_eq!(problem_paths(&at_bound), Vec::<String>::new(), "{path}");
            let beyond = put(config, &pointer, beyond(limit, outward));
            let place = path.replace("[]", "[0]");
            assert_eq!(problem_paths(&beyond), [place], "{path} beyond {limit}");
            bounds += 1;
        }
    }
    assert_eq!(bounds, 21);
}

#[test]
fn every_number_and_duration_has_bounds_or_a_default() {
    let mut fields = fields();
    fields.retain(|(_, field)| {
        let duration = field["pattern"].as_str().is_some_and(|text| text.ends_with("(ms|s|m|h)$"));
        duration || field["type"] == "integer"
    });
    let stated = ["default", "minimum", "maximum", "x-shortest", "x-longest"];
    fields.retain(|(_, field)| stated.iter().all(|word| field.get(word).is_none()));
    let without: Vec<_> = fields.into_iter().map(|(path, _)| path).collect();
    // It is shorter than `cacheTtl`, by default a fifth of it.
    assert_eq!(without, ["issuers[].tokenReview.refreshAhead"]);
}

fn problem_paths(config: &Value) -> Vec<String> {
    let problems = Config::parse(config.to_string().as_bytes()).err().unwrap_or_default();
    problems.into_iter().map(|problem| problem.path).collect()
}

/// One more, or one millisecond.
fn beyond(limit: &Value, outward: i64) -> Value {
    let Some(duration) = limit.as_str() else {
        return json!(limit.as_i64().unwrap() + outward);
    };
    let unit_at = duration.find(|c: char| !c.is_ascii_digit()).unwrap();
    let (number, unit) = duration.split_at(unit_at);
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        other => panic!("{other}"),
    };
    json!(format!("{}ms", number.parse::<i64>().unwrap() * millis + outward))
}

//! Valid and invalid configurations, with the problems of each.

mod access;
mod form;
mod good;
mod headers;
mod issuers;
mod keys;
mod reference;
mod rules;
mod schema;
mod together;

use sa_authn::config::{Config, Problem};
use serde_json::{Value, json};

/// A configuration, and each of its problems: the path, and a piece of the message.
type Row = (Value, Vec<(&'static str, &'static str)>);

/// A valid configuration with all top-level fields.
fn good() -> Value {
    json!({
        "issuers": [{
            "name": "local",
            "issuer": "https://kubernetes.default.svc.cluster.local",
            "aliases": ["https://kubernetes.default.svc"],
            "audiences": ["secret-store"],
            "keys": {
                "discovery": { "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" },
                "refreshInterval": "10m",
            },
            "leeway": "60s",
        }],
        "tokenFrom": [
            { "header": "authorization", "prefix": "Bearer " },
            { "header": "x-client-id" },
        ],
        "rules": [
            { "name": "health", "paths": ["/healthz"], "allow": "anyone" },
            { "name": "secrets", "methods": ["GET"], "paths": ["/secrets/*"], "allow": ["api/api"] },
        ],
        "identityHeaders": { "x-sa-namespace": "namespace", "x-sa-name": "name" },
        "forwardToken": false,
        "mode": "enforce",
        "limits": { "maxTokenBytes": 16384, "maxWaiting": 1000, "waitTimeout": "5s" },
    })
}

/// The valid configuration with another value at this JSON pointer.
fn set(pointer: &str, value: Value) -> Value {
    put(good(), pointer, value)
}

fn put(mut config: Value, pointer: &str, value: Value) -> Value {
    let (parent, member) = pointer.rsplit_once('/').expect("a pointer");
    match config.pointer_mut(parent).expect("a place") {
        Value::Object(members) => drop(members.insert(member.to_owned(), value)),
        Value::Array(items) => match member.parse::<usize>().expect("an index") {
            at if at < items.len() => items[at] = value,
            _ => items.push(value),
        },
        other => panic!("{other} has no members"),
    }
    config
}

/// The valid configuration without the member at this JSON pointer.
fn without(pointer: &str) -> Value {
    let mut config = good();
    let (parent, member) = pointer.rsplit_once('/').expect("a pointer");
    let members = config.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
    members.remove(member).expect("a member");
    config
}

fn problems(json: &str) -> Vec<Problem> {
    match Config::parse(json.as_bytes()) {
        Ok(_) => {
            schema::check_valid(&serde_json::from_str(json).expect("JSON"));
            Vec::new()
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a word: {json}");
            problems
        }
    }
}

/// Checks that exactly these problems are found, in any order.
fn check(rows: Vec<Row>) {
    for (config, expected) in rows {
        check_text(&config.to_string(), &expected);
    }
}

/// The same for errors of syntax and type, which the JSON Schema must reject, too.
fn check_form(rows: Vec<Row>) {
    rows.iter().for_each(|(config, _)| schema::check_invalid(config));
    check(rows);
}

fn check_text(json: &str, expected: &[(&str, &str)]) {
    let mut found = problems(json);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let paths: Vec<_> = found.iter().map(|problem| problem.path.as_str()).collect();
    let places: Vec<_> = expected.iter().map(|(path, _)| *path).collect();
    assert_eq!(paths, places, "{found:#?}\nin {json}");
    for (problem, (_, piece)) in found.iter().zip(expected) {
        assert!(problem.message.contains(piece), "{problem} does not say {piece:?}\nin {json}");
    }
}

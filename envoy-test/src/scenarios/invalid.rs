//! Invalid configurations: each is valid except for one mistake.

use serde_json::{Value, json};

/// A configuration that the filter does not accept.
#[derive(Debug)]
pub struct InvalidConfig {
    /// The mistake.
    pub name: &'static str,
    /// The configuration, which need not be JSON.
    pub text: String,
    /// The beginning of the problem.
    pub problem: &'static str,
}

/// Changes of `good`, which opens some paths to anyone: those must be closed, too.
pub fn invalid_configs(good: &Value) -> Vec<InvalidConfig> {
    let text = good.to_string();
    let changed = |pointer: &str, member: &str, value: Value| {
        let mut config = good.clone();
        config.pointer_mut(pointer).expect("an object")[member] = value;
        config.to_string()
    };
    let row = |name, text, problem| InvalidConfig { name, text, problem };
    vec![
        row("syntax error", text.replacen(':', " ", 1), "expected `:` at line 1 column "),
        row("truncated", text[..text.len() / 2].to_owned(), "EOF while parsing "),
        row("empty", String::new(), "the configuration is empty; `issuers` is required"),
        row("white space", " \n".to_owned(), "the configuration is empty; `issuers` is required"),
        row("empty object", "{}".to_owned(), "issuers: must not be empty"),
        row("not an object", "[]".to_owned(), "must be a JSON object"),
        row(
            "unknown field",
            changed("/issuers/0", "audience", json!("secret-store")),
            "issuers[0].audience: unknown field `audience`, expected one of ",
        ),
        row(
            "wrong type",
            changed("", "mode", json!(["shadow"])),
            "mode: invalid type: list, expected ",
        ),
        row(
            "duplicate member",
            text.replacen('{', r#"{"mode":"shadow","mode":"shadow","#, 1),
            "duplicate member `mode` at line 1 column ",
        ),
        row(
            "field of a newer module",
            changed("", "sessions", json!({ "cookie": "id" })),
            "sessions: unknown field `sessions`, expected one of `issuers`, ",
        ),
        row("null", changed("", "rules", Value::Null), "rules: must not be null"),
        row(
            "a mistake in shadow mode",
            {
                let mut config = good.clone();
                config["mode"] = json!("shadow");
                config["limits"] = json!({ "maxWaiting": 0 });
                config.to_string()
            },
            "limits.maxWaiting: must be from 1 to ",
        ),
    ]
}

//! `sa-authn explain`: what it says about rules.

use super::explain::{Cluster, NOW, api, explain, file};
use envoy_test::token::DEFAULT_ISSUER;
use serde_json::{Value, json};

#[test]
fn a_host_that_differs_by_its_port_alone_is_told_with_the_pattern_that_would_match() {
    let config = json!({
        "issuers": [{
            "issuer": DEFAULT_ISSUER, "audiences": ["x"],
            "keys": { "discovery": { "cluster": "c", "authority": "a" } },
        }],
        "rules": [
            { "name": "exact", "hosts": ["b.test", "api.example"], "allow": "anyone" },
            { "name": "below", "hosts": ["*.example:8080"], "allow": "anyone" },
            { "name": "other", "hosts": ["other.example:*"], "allow": "anyone" },
        ],
    });
    let config = file("ports.json", &config.to_string());
    for (host, lines) in [
        (
            "API.example:9999",
            [
                r#"    host      "api.example:9999", as rules compare it"#,
                r#"--  rule      "exact" does not cover it: host "api.example:9999" differs from "api.example" by its port (this port: "api.example:9999", any port: "api.example:*")"#,
                r#"--  rule      "below" does not cover it: host "api.example:9999" differs from "*.example:8080" by its port (this port: "*.example:9999", any port: "*.example:*")"#,
                r#"--  rule      "other" does not cover it: another host"#,
            ],
        ),
        (
            "x.example",
            [
                r#"    host      "x.example", as rules compare it"#,
                r#"--  rule      "exact" does not cover it: another host"#,
                r#"--  rule      "below" does not cover it: host "x.example" differs from "*.example:8080" by its port (this port: "*.example", any port: "*.example:*")"#,
                r#"--  rule      "other" does not cover it: another host"#,
            ],
        ),
    ] {
        let ran = explain(&config, &["--host", host]);
        for line in lines {
            assert!(ran.stdout.lines().any(|found| found == line), "{line}\nin\n{}", ran.stdout);
        }
        assert_eq!(ran.code, 1);
    }
}

#[test]
fn shadow_rules_say_what_they_would_deny_and_decide_only_alone() {
    let cluster = Cluster::new("shadow-keys");
    let token = cluster.token("shadow-token", api());
    let enforced = json!({ "name": "enforced", "paths": ["/admin/*"], "allow": ["api/api"] });
    let config = |name: &str, rules: Value| {
        let issuer = json!({ "name": "local", "issuer": DEFAULT_ISSUER, "audiences": ["secret-store"],
            "keys": { "inline": serde_json::from_str::<Value>(&cluster.jwks_text()).unwrap() } });
        file(name, &json!({ "issuers": [issuer], "rules": rules }).to_string())
    };
    let trial =
        json!({ "name": "trial", "paths": ["/admin/*"], "mode": "shadow", "allow": ["b/c"] });
    let last = json!({ "name": "last", "mode": "shadow", "allow": "authenticated" });
    let both = config("shadow-both.json", json!([trial, enforced]));
    let alone = config("shadow-alone.json", json!([trial, last]));
    for (config, path, lines) in [
        (
            &both,
            "/admin/x",
            [
                "--  rule      \"trial\" covers it in shadow mode; allow does not list api/api, or more must hold: would deny",
                "ok  rule      \"enforced\" covers it; allow lists api/api",
                "    VERDICT   ALLOWED by rule \"enforced\"",
                "    shadow    rule \"trial\" would deny it",
            ],
        ),
        (
            &alone,
            "/admin%2fx",
            [
                "NO  rule      \"trial\" may cover it in shadow mode; ambiguous_path: would deny",
                "--  rule      \"last\" covers it in shadow mode; allow says authenticated, as api/api is",
                "    VERDICT   PASSES IN SHADOW MODE; it would be refused by rule \"trial\"",
                "    upstream  x-sa-name: api",
            ],
        ),
    ] {
        let request = format!("GET {path}");
        let at = NOW.to_string();
        let ran = explain(config, &["--token", &token, "--at", &at, "--request", &request]);
        for line in lines {
            assert!(ran.stdout.lines().any(|found| found == line), "{line:?} in\n{}", ran.stdout);
        }
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
}

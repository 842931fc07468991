//! Invalid configurations that the admission policy can judge.

use serde_json::{Value, json};

pub fn good() -> Value {
    json!({
        "issuers": [{
            "issuer": "https://kubernetes.default.svc.cluster.local", "audiences": ["secret-store"],
            "keys": { "discovery": { "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" } },
        }],
        "rules": [{ "allow": ["api/api"] }],
    })
}

/// The good configuration with another value at the pointer; null removes the member.
pub fn with(pointer: &str, value: Value) -> Value {
    let mut config = good();
    let (parent, member) = pointer.rsplit_once('/').unwrap_or_default();
    let parent = config.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match parent {
        Value::Array(items) => items[member.parse::<usize>().expect("an index")] = value,
        parent if value == json!("REMOVED") => {
            parent.as_object_mut().expect("an object").remove(member);
        }
        parent => parent[member] = value,
    }
    config
}

/// Invalid configurations, with the beginning of the message.
pub fn invalid() -> Vec<(Value, &'static str)> {
    let at = |pointer: &str, value: Value, message: &'static str| (with(pointer, value), message);
    let rule = |field: &str, value: Value, message: &'static str| {
        (with(&format!("/rules/0/{field}"), value), message)
    };
    let issuer = |field: &str, value: Value, message: &'static str| {
        (with(&format!("/issuers/0/{field}"), value), message)
    };
    let keys = |value: Value, message: &'static str| issuer("keys", value, message);
    let review = |value: Value, message: &'static str| issuer("tokenReview", value, message);
    let access =
        |value: Value, message: &'static str| issuer("subjectAccessReview", value, message);
    let rbac = |value: Value, message: &'static str| {
        rule("allow", json!({ "kubernetesRBAC": value }), message)
    };
    vec![
        (json!({}), "issuers: required"),
        (json!("text"), "must be an object"),
        (json!({ "issuers": [] }), "issuers: must not be empty"),
        at("/issuers", json!({}), "issuers: must be a list"),
        at("/issuers", Value::Null, "issuers: must be a list"),
        at("/issuer", json!([]), "issuer: unknown field, expected one of answers, "),
        issuer("audience", json!(["x"]), "issuers[0].audience: unknown field"),
        issuer("audiences", json!("REMOVED"), "issuers[0].audiences: required"),
        issuer("audiences", json!([]), "issuers[0].audiences: must not be empty"),
        issuer("audiences", json!(["a", ""]), "issuers[0].audiences[1]: must be a text"),
        issuer("issuer", json!("REMOVED"), "issuers[0].issuer: required"),
        issuer("issuer", json!(5), "issuers[0].issuer: must be a text"),
        issuer("name", json!("two words"), "issuers[0].name: must be visible ASCII"),
        issuer("leeway", json!("11m"), "issuers[0].leeway: must be a duration"),
        issuer("leeway", json!("5"), "issuers[0].leeway: must be a duration"),
        issuer("leeway", json!(5), "issuers[0].leeway: must be a duration"),
        issuer("leeway", json!("99999999999999999999h"), "issuers[0].leeway: must be a duration"),
        issuer("maxLifetime", json!("0s"), "issuers[0].maxLifetime: must be a duration"),
        issuer("maxLifetime", json!("8785h"), "issuers[0].maxLifetime: must be a duration"),
        issuer("requireBound", json!("node"), "issuers[0].requireBound: must be \"pod\""),
        issuer(
            "matchPeer",
            json!("yes"),
            "issuers[0].matchPeer: must be true or false, or an object",
        ),
        issuer("matchPeer", json!({}), "issuers[0].matchPeer.trustDomain: required"),
        issuer(
            "matchPeer",
            json!({ "trustDomain": "A" }),
            "issuers[0].matchPeer.trustDomain: must be a trust domain",
        ),
        issuer("honorWarnAfter", json!("true"), "issuers[0].honorWarnAfter: must be true or false"),
        keys(json!("REMOVED"), "issuers[0].keys: required"),
        keys(json!({}), "issuers[0].keys: expected exactly one of discovery, jwks, inline, pem"),
        keys(
            json!({ "pem": ["x"], "inline": { "keys": [{}] } }),
            "issuers[0].keys: expected exactly one of",
        ),
        keys(json!({ "pem": [] }), "issuers[0].keys.pem: must not be empty"),
        keys(json!({ "pem": [1] }), "issuers[0].keys.pem[0]: must be a text"),
        keys(json!({ "inline": {} }), "issuers[0].keys.inline.keys: required"),
        keys(
            json!({ "discovery": { "cluster": "a" } }),
            "issuers[0].keys.discovery.authority: required",
        ),
        keys(
            json!({ "discovery": { "cluster": "a b", "authority": "c" } }),
            "issuers[0].keys.discovery.cluster: must be visible",
        ),
        keys(
            json!({ "jwks": { "cluster": "a", "authority": "b", "path": "x" } }),
            "issuers[0].keys.jwks.path: must be the path",
        ),
        keys(
            json!({ "pem": ["x"], "timeout": "61s" }),
            "issuers[0].keys.timeout: must be a duration",
        ),
        keys(
            json!({ "pem": ["x"], "minRefetchInterval": "99ms" }),
            "issuers[0].keys.minRefetchInterval: must be a duration",
        ),
        review(json!({ "cluster": "a" }), "issuers[0].tokenReview.authority: required"),
        review(
            json!({ "cluster": "a", "authority": "b", "use": "only" }),
            "issuers[0].tokenReview.use: expected one of",
        ),
        review(
            json!({ "cluster": "a", "authority": "b", "use": "instead" }),
            "issuers[0].keys: not used if tokenReview.use",
        ),
        review(
            json!({ "cluster": "a", "authority": "b", "cacheTtl": "2h" }),
            "issuers[0].tokenReview.cacheTtl: must be",
        ),
        review(
            json!({ "cluster": "a", "authority": "b", "onOutage": "allow" }),
            "issuers[0].tokenReview.onOutage: expected",
        ),
        at("/rules", json!([]), "rules: must not be empty"),
        at("/rules", json!(["x"]), "rules[0]: must be an object"),
        rule("allow", json!("REMOVED"), "rules[0].allow: required unless `deny` is set"),
        rule(
            "allow",
            json!("everyone"),
            "rules[0].allow: must be \"anyone\", or must be \"authenticated\", or a list",
        ),
        rule("allow", json!([]), "rules[0].allow: must not be empty"),
        rule("allow", json!(["api/api", "api"]), "rules[0].allow[1]: must be \"namespace/name\""),
        rule("allow", json!(["a/b", "c/d", 5]), "rules[0].allow[2]: must be \"namespace/name\""),
        rule("allow", json!([{}]), "rules[0].allow[0]: must not be empty"),
        rule("allow", json!([{ "pod": true }]), "rules[0].allow[0].pod: unknown field"),
        rule("allow", json!([{ "podBound": false }]), "rules[0].allow[0].podBound: must be true"),
        rule(
            "allow",
            json!([{ "namespace": "a", "serviceAccount": "a/b" }]),
            "rules[0].allow[0].namespace: not allowed",
        ),
        rbac(json!({}), "rules[0].allow.kubernetesRBAC: "),
        rbac(
            json!({ "nonResource": {}, "resource": { "resource": "x" } }),
            "rules[0].allow.kubernetesRBAC: ",
        ),
        rbac(
            json!({ "nonresource": {} }),
            "rules[0].allow.kubernetesRBAC.nonresource: unknown field",
        ),
        rbac(
            json!({ "resource": {} }),
            "rules[0].allow.kubernetesRBAC.resource.resource: required",
        ),
        rbac(
            json!({ "nonResource": {}, "verbs": "http" }),
            "rules[0].allow.kubernetesRBAC.verbs: expected one of",
        ),
        rbac(
            json!({ "nonResource": { "verb": 5 } }),
            "rules[0].allow.kubernetesRBAC.nonResource.verb: ",
        ),
        rbac(
            json!({ "resource": { "resource": "x", "name": { "segment": 0 } } }),
            "rules[0].allow.kubernetesRBAC.resource.name.segment: must be a whole number from 1 to 64",
        ),
        rule(
            "allow",
            json!({ "serviceAccount": "a/b" }),
            "rules[0].allow.serviceAccount: unknown field",
        ),
        rule("deny", json!({ "kubernetesRBAC": { "nonResource": {} } }), "rules[0].deny: "),
        access(json!({ "authority": "h" }), "issuers[0].subjectAccessReview.cluster: required"),
        access(
            json!({ "cluster": "c", "authority": "h", "allowedTtl": "61m" }),
            "issuers[0].subjectAccessReview.allowedTtl: must be a duration",
        ),
        access(
            json!({ "cluster": "c", "authority": "h", "cacheTtl": "1m" }),
            "issuers[0].subjectAccessReview.cacheTtl: unknown field",
        ),
        rule("deny", json!(["a"]), "rules[0].deny[0]: must be \"namespace/name\""),
        rule("methods", json!(["GET", "get"]), "rules[0].methods[1]: must be an upper-case method"),
        rule("methods", json!([]), "rules[0].methods: must not be empty"),
        rule("paths", json!(["a"]), "rules[0].paths[0]: must be a path"),
        rule("paths", json!(["/(a)"]), "rules[0].paths[0]: must be a path"),
        rule("ports", json!([0]), "rules[0].ports[0]: must be a whole number from 1 to 65535"),
        rule("ports", json!(["80"]), "rules[0].ports[0]: must be a whole number from 1 to 65535"),
        rule("ports", json!([80.5]), "rules[0].ports[0]: must be a whole number from 1 to 65535"),
        rule("hosts", json!([]), "rules[0].hosts: must not be empty"),
        rule("direction", json!("in"), "rules[0].direction: expected one of"),
        rule("mode", json!("dry-run"), "rules[0].mode: expected one of"),
        rule("corsPreflight", json!(1), "rules[0].corsPreflight: must be true or false"),
        at("/tokenFrom", json!([]), "tokenFrom: must not be empty"),
        at("/tokenFrom", json!([{ "prefix": "Bearer " }]), "tokenFrom[0].header: required"),
        at(
            "/tokenFrom",
            json!([{ "header": "x_y" }]),
            "tokenFrom[0].header: must be a header name",
        ),
        at(
            "/tokenFrom",
            json!([{ "header": "x", "prefix": "Bearer" }]),
            "tokenFrom[0].prefix: must be a scheme",
        ),
        at(
            "/foreignTokens",
            json!("allow"),
            "foreignTokens: expected one of \"refuse\", \"ignore\"",
        ),
        at(
            "/identityHeaders",
            json!({ "x_y": "name" }),
            "identityHeaders.x_y: must be a header name",
        ),
        at(
            "/identityHeaders",
            json!({ "x-y": "nam" }),
            "identityHeaders.x-y: expected one of \"subject\"",
        ),
        at("/filterState", json!(["nam"]), "filterState[0]: expected one of"),
        at("/filterState", json!(["name", "name"]), "filterState[1]: duplicate; remove it"),
        at("/forwardToken", json!("no"), "forwardToken: must be true or false"),
        at("/mode", json!("audit"), "mode: expected one of \"enforce\", \"shadow\""),
        at("/answers", json!({ "realm": "a\"b" }), "answers.realm: must be printable ASCII"),
        at("/answers", json!({ "hideReasons": true }), "answers.hideReasons: unknown field"),
        at(
            "/limits",
            json!({ "maxWaiting": 0 }),
            "limits.maxWaiting: must be a whole number from 1 to 100000",
        ),
        at(
            "/limits",
            json!({ "maxTokenBytes": 1_048_577 }),
            "limits.maxTokenBytes: must be a whole number",
        ),
        at("/limits", json!({ "waitTimeout": "1d" }), "limits.waitTimeout: must be a duration"),
        at("/limits", json!([]), "limits: must be an object"),
    ]
}

//! Configurations of the filters that are measured.

use envoy_test::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER};
use serde_json::{Value, json};

/// `jwt_authn` as it is deployed for tokens of Kubernetes, with two claims for the upstream.
///
/// It cannot reach into `kubernetes.io`, whose name has a dot, so it tells `sub` and `jti`.
pub fn jwt_authn() -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": { "kubernetes": {
            "issuer": DEFAULT_ISSUER,
            "audiences": [DEFAULT_AUDIENCE],
            "forward": false,
            "remote_jwks": { "http_uri": {
                "uri": "https://kubernetes.default.svc/openid/v1/jwks",
                "cluster": "kube-apiserver",
                "timeout": "5s",
            } },
            "claim_to_headers": [
                { "header_name": "x-sa-namespace", "claim_name": "sub" },
                { "header_name": "x-sa-name", "claim_name": "jti" },
            ],
        } },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "kubernetes" } }],
    })
}

/// The same with its cache of verified tokens.
pub fn jwt_authn_with_cache() -> Value {
    let mut config = jwt_authn();
    config["providers"]["kubernetes"]["jwt_cache_config"] = json!({ "jwt_cache_size": 100 });
    config
}

/// sa-authn with keys from the API server and two rules. It tells by headers, as the others do, and not by
/// filter state too; everything else is as it is by default.
pub fn ours() -> Value {
    json!({
        "issuers": [{
            "name": "local",
            "issuer": DEFAULT_ISSUER,
            "audiences": [DEFAULT_AUDIENCE],
            "keys": {
                "discovery": { "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" },
            },
        }],
        "rules": [
            { "name": "health", "paths": ["/healthz"], "allow": "anyone" },
            { "name": "secrets", "paths": ["/secrets/*"], "allow": ["api/api", "batch/*"] },
        ],
        "identityHeaders": { "x-sa-namespace": "namespace", "x-sa-name": "name" },
        "filterState": [],
    })
}

/// The same, asking the API server too.
pub fn reviewing(token_review: &Value) -> Value {
    let mut config = ours();
    let mut review = json!({
        "cluster": "kube-apiserver",
        "authority": "kubernetes.default.svc",
        "onOutage": "deny",
    });
    if let (Some(review), Some(more)) = (review.as_object_mut(), token_review.as_object()) {
        review.extend(more.clone());
    }
    // Who is asked about each token needs no keys.
    if review["use"] == "instead" {
        config["issuers"][0].as_object_mut().map(|issuer| issuer.remove("keys"));
    }
    config["issuers"][0]["tokenReview"] = review;
    config
}

/// The same with so many rules, of which the last covers the request.
pub fn ours_with_rules(count: usize) -> Value {
    let rule = |n: usize| json!({ "name": format!("tenant-{n}"), "paths": [format!("/tenants/{n}/*")], "allow": ["api/api"] });
    let mut config = ours();
    config["rules"] = (1..=count).map(rule).collect();
    config
}

/// The same with rules that look at the host, the method and the path, of which the last covers the request.
pub fn ours_with_every_kind_of_rule(count: usize) -> Value {
    let rule = |n: usize| {
        let last = n == count;
        let host =
            if last { HOST.to_owned() } else { format!("tenant-{n}.prod.svc.cluster.local") };
        json!({
            "name": format!("tenant-{n}"),
            "hosts": [host],
            "methods": if n.is_multiple_of(2) { ["GET", "HEAD"] } else { ["POST", "DELETE"] },
            "paths": ["/secrets/*", format!("/tenants/{n}/*")],
            "allow": [{ "serviceAccount": "api/api", "podBound": true }],
        })
    };
    let mut config = ours();
    config["rules"] = (1..=count).map(rule).collect();
    config
}

/// What the last of so many rules covers.
pub fn path_of_rule(count: usize) -> String {
    format!("/tenants/{count}/1")
}

/// The same with room for so many verified tokens.
pub fn ours_with_token_cache(entries: usize) -> Value {
    let mut config = ours();
    config["limits"] = json!({ "tokenCacheEntries": entries });
    config
}

/// What the floor does: read the headers, say who called, take the token off.
pub const FLOOR: &str = "map\nset x-sa-namespace api\nset x-sa-name api\nremove authorization\n";

/// The host that every request asks for.
const HOST: &str = "secret-store.prod.svc.cluster.local";

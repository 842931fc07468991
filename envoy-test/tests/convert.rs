//! Conversions of `sa-authn convert`, side by side with their originals: two listeners of one Envoy, the same requests.
//!
//! tests/testdata/convert has the originals and their conversions; a native test keeps the conversions current. Both get
//! the keys of the test here. No istiod runs: for Istio's objects, the original is what istiod generates from them
//! (istio/istio, `pilot/pkg/security`). kube-rbac-proxy is not an Envoy filter, so its conversions are not here.

use std::fs;
use std::path::Path;

use crate::support::http_options_of;
use anyhow::{Context, Result, ensure};
use envoy_test::envoy::oldest_and_newest;
use envoy_test::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER, unix_now};
use envoy_test::{Envoy, EnvoySetup, KeyKind, Request, SigningKey, Token, Upstream, jwks};
use serde_json::{Value, json};

const JWT_AUTHN: &str =
    "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

/// Two listeners with one upstream.
struct Pair {
    envoy: Envoy,
    _upstream: Upstream,
    original: u16,
}

fn read(name: &str) -> Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/testdata/convert");
    fs::read_to_string(folder.join(name)).with_context(|| name.to_owned())
}

/// The conversion, with the keys of the test.
fn conversion(name: &str, key: &SigningKey) -> Result<Value> {
    let mut config: Value = serde_json::from_str(&read(&format!("{name}.json"))?)?;
    for issuer in config["issuers"].as_array_mut().context("issuers")? {
        issuer["keys"] = json!({ "inline": jwks(&[key]) });
    }
    Ok(config)
}

/// The original filters, with the keys of the test.
fn original(name: &str, key: &SigningKey) -> Result<Vec<Value>> {
    let tree: Value = serde_norway::from_str(&read(&format!("{name}.yaml"))?)?;
    let mut filters = match tree["http_filters"].as_array() {
        Some(filters) => filters.clone(),
        None => vec![json!({ "name": "jwt_authn", "typed_config": tree })],
    };
    let jwt = &mut filters[0]["typed_config"];
    jwt["@type"] = json!(JWT_AUTHN);
    for provider in jwt["providers"].as_object_mut().context("providers")?.values_mut() {
        let provider = provider.as_object_mut().context("a provider")?;
        provider.remove("remote_jwks");
        provider
            .insert("local_jwks".to_owned(), json!({ "inline_string": jwks(&[key]).to_string() }));
    }
    Ok(filters)
}

/// What istiod generates from a RequestAuthentication with these sources of the token.
fn request_authentication(key: &SigningKey, headers: Value) -> Value {
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": JWT_AUTHN,
            "providers": { "origins-0": {
                "issuer": DEFAULT_ISSUER,
                "audiences": [DEFAULT_AUDIENCE],
                "local_jwks": { "inline_string": jwks(&[key]).to_string() },
                "from_headers": headers,
                "payload_in_metadata": DEFAULT_ISSUER,
            } },
            "rules": [{ "match": { "prefix": "/" }, "requires": { "requires_any": { "requirements": [
                { "provider_name": "origins-0" }, { "allow_missing": {} },
            ] } } }],
        },
    })
}

/// What istiod generates from an AuthorizationPolicy.
fn authorization_policy(action: &str, policies: Value) -> Value {
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": { "@type": RBAC, "rules": { "action": action, "policies": policies } },
    })
}

/// The principal of a request with a token, whose subject matches.
fn principal(matcher: Value) -> Value {
    json!({ "metadata": {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{ "key": DEFAULT_ISSUER }, { "key": "sub" }],
        "value": { "string_match": matcher },
    } })
}

fn path(matcher: Value) -> Value {
    json!({ "url_path": { "path": matcher } })
}

async fn start(version: &str, config: Value, filters: Vec<Value>) -> Result<Pair> {
    let upstream = Upstream::start().await?;
    let setup = EnvoySetup::new().version(version).plugin_config(config).upstream(&upstream);
    let setup = setup.patch(|tree| {
        let mut listener = tree["static_resources"]["listeners"][0].clone();
        listener["name"] = json!("original");
        let http = http_options_of(&mut listener);
        http["stat_prefix"] = json!("original");
        let own = http["http_filters"].as_array_mut().expect("filters");
        own.remove(0);
        for (at, filter) in filters.into_iter().enumerate() {
            own.insert(at, filter);
        }
        tree["static_resources"]["listeners"].as_array_mut().expect("listeners").push(listener);
    });
    let envoy = setup.start().await?;
    let original = envoy.port_of("original").await?;
    Ok(Pair { envoy, _upstream: upstream, original })
}

/// Tokens by name; the empty one is no token.
fn tokens(key: &SigningKey) -> Vec<(&'static str, String)> {
    let account = |namespace, name| Token::for_service_account(namespace, name);
    let now = unix_now();
    vec![
        ("none", String::new()),
        ("api", account("api", "api").sign(key)),
        ("batch", account("batch", "x").sign(key)),
        ("admin", account("admin", "admin").sign(key)),
        ("for api", account("api", "api").audience("api").sign(key)),
        ("for admin", account("api", "api").audience("admin").sign(key)),
        ("for other", account("api", "api").audience("other").sign(key)),
        ("of east", account("api", "api").issuer("https://east.example").sign(key)),
        ("expired", account("api", "api").issued_at(now - 7200).expires_at(now - 3600).sign(key)),
        ("forged", account("api", "api").sign(&SigningKey::generate(KeyKind::P256))),
        ("garbage", "a.b.c".to_owned()),
    ]
}

const PATHS: [&str; 17] = [
    "/",
    "/health",
    "/healthz",
    "/api",
    "/api/x",
    "/apix",
    "/admin",
    "/admin/x",
    "/any/x",
    "/open/x",
    "/secrets/1",
    "/secrets/",
    "/secrets/admin/x",
    "/headers",
    "/post/x",
    "/post/y",
    "/public/x",
];

/// Sends each request to both listeners. Returns the requests that only the original allows; fails if the conversion
/// allows a request that the original denies. An invalid token where none is required does not count: Istio rejects it,
/// and the conversion treats it as no token.
async fn differences(pair: &Pair, key: &SigningKey, header: &str) -> Result<Vec<String>> {
    let mut stricter = Vec::new();
    let mut counts = [0, 0];
    let mut open = Vec::new();
    for (name, token) in tokens(key) {
        for path in PATHS {
            for method in ["GET", "POST"] {
                let request = Request::method(method, path);
                let request = match (name, header) {
                    ("none", _) => request,
                    (_, "authorization") => request.bearer(&token),
                    (_, header) => request.header(header, &token),
                };
                let [original, ours] = [
                    request.send(pair.original).await?.status,
                    request.send(pair.envoy.port()).await?.status,
                ];
                let what = format!("{method} {path} with token {name:?}");
                ensure!([200, 400, 401, 403].contains(&ours), "{what}: {ours}");
                let allowed = [original == 200, ours == 200];
                if name == "none" && original == 200 {
                    open.push((method, path));
                }
                if allowed == [false, true] && open.contains(&(method, path)) {
                    continue;
                }
                ensure!(allowed != [false, true], "{what}: original {original}, conversion {ours}");
                if allowed == [true, false] {
                    stricter.push(what);
                }
                counts[usize::from(ours == 200)] += 1;
            }
        }
    }
    ensure!(
        counts.iter().all(|count| *count > 0),
        "the requests do not tell the two apart: {counts:?}"
    );
    Ok(stricter)
}

/// Checks that the conversion denies no other requests than those for which `lost` holds.
async fn check(
    name: &str,
    header: &str,
    filters: impl Fn(&SigningKey) -> Result<Vec<Value>>,
    lost: impl Fn(&str) -> bool,
) -> Result<()> {
    for version in oldest_and_newest() {
        let key = SigningKey::generate(KeyKind::P256);
        let pair = start(&version, conversion(name, &key)?, filters(&key)?).await?;
        let stricter = differences(&pair, &key, header).await?;
        let unexpected: Vec<_> = stricter.iter().filter(|request| !lost(request)).collect();
        ensure!(unexpected.is_empty(), "Envoy {version}: only the original allows {unexpected:#?}");
        let is_lossless = !PATHS.iter().any(|path| lost(&format!("GET {path} ")));
        ensure!(
            is_lossless || !stricter.is_empty(),
            "Envoy {version}: no expected difference occurred"
        );
    }
    Ok(())
}

#[tokio::test]
async fn guides_example_of_jwt_authn_has_the_same_verdicts() -> Result<()> {
    let name = "jwt-authn-guide";
    check(name, "authorization", |key| original(name, key), |_| false).await
}

#[tokio::test]
async fn requirements_of_jwt_authn_have_the_same_verdicts() -> Result<()> {
    let name = "jwt-authn-requirements";
    check(name, "authorization", |key| original(name, key), |_| false).await?;
    check(name, "x-client-id", |key| original(name, key), |_| false).await
}

#[tokio::test]
async fn jwt_authn_with_rbac_has_the_same_verdicts() -> Result<()> {
    let name = "jwt-authn-rbac";
    check(name, "authorization", |key| original(name, key), |_| false).await
}

/// The conversion lists these rules as left out.
#[tokio::test]
async fn prefixes_of_jwt_authn_differ_only_as_listed() -> Result<()> {
    let name = "jwt-authn-prefixes";
    let kept = ["/health ", "/api ", "/api/x "];
    let lost = |request: &str| !kept.iter().any(|path| request.contains(path));
    check(name, "authorization", |key| original(name, key), lost).await
}

#[tokio::test]
async fn rules_after_an_unsupported_one_are_denied() -> Result<()> {
    let name = "jwt-authn-unsupported";
    let lost = |request: &str| !request.contains(" /health ");
    check(name, "authorization", |key| original(name, key), lost).await
}

/// `source.namespaces` has no equivalent. The mesh's certificates, which it needs, are not here either: the generated
/// policy would match no request.
#[tokio::test]
async fn istio_allow_policy_has_the_same_verdicts() -> Result<()> {
    let filters = |key: &SigningKey| {
        let any_subject = principal(json!({ "safe_regex": { "regex": ".+" } }));
        let account = principal(json!({ "exact": "system:serviceaccount:api:api" }));
        let method =
            json!({ "header": { "name": ":method", "string_match": { "exact": "POST" } } });
        let post =
            json!({ "and_rules": { "rules": [method, path(json!({ "prefix": "/post/" }))] } });
        let policies = json!({
            "0": { "permissions": [path(json!({ "exact": "/headers" })), post], "principals": [any_subject] },
            "1": { "permissions": [path(json!({ "exact": "/post/x" }))], "principals": [account] },
            "2": { "permissions": [path(json!({ "exact": "/healthz" }))], "principals": [{ "any": true }] },
        });
        let headers = json!([{ "name": "Authorization", "value_prefix": "Bearer " }]);
        Ok(vec![request_authentication(key, headers), authorization_policy("ALLOW", policies)])
    };
    check("istio-require-token", "authorization", filters, |_| false).await
}

#[tokio::test]
async fn istio_guides_example_has_the_same_verdicts() -> Result<()> {
    let filters = |key: &SigningKey| {
        let account = principal(json!({ "exact": "system:serviceaccount:api:api" }));
        let method = json!({ "header": { "name": ":method", "string_match": { "exact": "GET" } } });
        let both =
            json!({ "and_rules": { "rules": [method, path(json!({ "prefix": "/secrets/" }))] } });
        let policies = json!({ "0": { "permissions": [both], "principals": [account] } });
        let headers = json!([{ "name": "Authorization", "value_prefix": "Bearer " }]);
        Ok(vec![request_authentication(key, headers), authorization_policy("ALLOW", policies)])
    };
    check("istio-guide", "authorization", filters, |_| false).await
}

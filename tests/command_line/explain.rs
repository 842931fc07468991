//! `sa-authn explain` has the expected verdict for each scenario, and prints every step.

use super::{Ran, root, run_in};
use envoy_test::scenarios::{Expect, Scenario, World};
use envoy_test::token::DEFAULT_ISSUER;
use envoy_test::{KeyKind, SigningKey, Token, jwks};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// Creates a temporary file.
pub(crate) fn file(name: &str, content: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).unwrap();
    path.into_os_string().into_string().unwrap()
}

#[test]
fn explain_has_the_expected_verdict_for_every_scenario() {
    let world = World::around(SigningKey::generate(KeyKind::Rsa2048));
    let keys = file("scenario-keys.json", &jwks(&world.published().each_ref()).to_string());
    let (mut failures, mut ran) = (Vec::new(), 0);
    for (at, group) in world.groups().iter().enumerate() {
        let config = file(&format!("scenario-{at}.json"), &group.config.to_string());
        for scenario in &group.scenarios {
            let Some(arguments) = arguments(scenario, &config, &keys) else { continue };
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            if let Err(error) = check(scenario, &run_in("", &arguments)) {
                failures.push(format!("{}: {}: {error}", group.name, scenario.name));
            }
            ran += 1;
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(ran > 200, "only {ran} scenarios fit into arguments");
}

/// `None` if Envoy answers the request itself, or an argument cannot contain the bytes.
fn arguments(scenario: &Scenario, config: &str, keys: &str) -> Option<Vec<String>> {
    if matches!(scenario.expect, Expect::EnvoyRefuses(_)) {
        return None;
    }
    let headers = scenario.request.header_map();
    let text = |value: &[u8]| {
        let text = String::from_utf8(value.to_vec()).ok()?;
        (!text.contains('\0') && text.len() < 100_000).then_some(text)
    };
    let value =
        |name: &str| headers.iter().find(|(known, _)| known == name).and_then(|(_, v)| text(v));
    let line = format!("{} {}", value(":method")?, value(":path")?);
    let mut arguments: Vec<String> =
        ["explain", "--config", config, "--jwks", keys].map(str::to_owned).into();
    arguments.extend(["--request".to_owned(), line, format!("--host={}", value(":authority")?)]);
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(':')) {
        arguments.push(format!("--header={name}: {}", text(value)?));
    }
    Some(arguments)
}

fn check(scenario: &Scenario, ran: &Ran) -> Result<(), String> {
    let verdict = ran.stdout.lines().find_map(|line| line.strip_prefix("    VERDICT   "));
    let verdict = verdict.ok_or_else(|| format!("no verdict: {}{}", ran.stdout, ran.stderr))?;
    let said = |line: &str| ran.stdout.lines().any(|found| found == format!("    {line}"));
    let expected = match &scenario.expect {
        Expect::Passes(seen) => {
            let told =
                seen.iter().filter(|(name, value)| name.starts_with("x-sa-") && value.is_some());
            for (name, value) in told {
                let line = format!("upstream  {name}: {}", value.as_deref().unwrap_or_default());
                if !said(&line) {
                    return Err(format!("no {line:?} in\n{}", ran.stdout));
                }
            }
            ran.code == 0
                && (verdict.starts_with("ALLOWED") || verdict.starts_with("ALLOWED IN SHADOW MODE"))
        }
        Expect::Refused(reason) => {
            let refused = format!("DENIED: {reason}");
            ran.code == 1
                && (verdict == refused || verdict.starts_with(&format!("{refused} by rule ")))
        }
        Expect::EnvoyRefuses(_) => true,
    };
    // The output must contain the rule that decided.
    let decided =
        !ran.stdout.contains("not evaluated") || ran.stdout.contains("covers the request");
    if expected && decided { Ok(()) } else { Err(ran.stdout.clone()) }
}

/// A cluster with its signing key.
pub(crate) struct Cluster {
    key: SigningKey,
    jwks: String,
}

impl Cluster {
    pub(crate) fn new(name: &str) -> Self {
        let key = SigningKey::generate(KeyKind::P256);
        let jwks = file(&format!("{name}.json"), &jwks(&[&key]).to_string());
        Self { key, jwks }
    }

    pub(crate) fn jwks_text(&self) -> String {
        fs::read_to_string(&self.jwks).unwrap()
    }

    pub(crate) fn token(&self, name: &str, token: Token) -> String {
        file(name, &format!("{}\n", token.sign(&self.key)))
    }
}

pub(crate) fn explain(config: &str, more: &[&str]) -> Ran {
    run_in("", &[&["explain", "--config", config], more].concat())
}

pub(crate) const NOW: u64 = 1_795_330_800;

pub(crate) fn api() -> Token {
    Token::for_service_account("api", "api")
        .pod("api-1")
        .node("node-1")
        .issued_at(NOW - 600)
        .lifetime(3600)
}

#[test]
fn explain_prints_each_step_with_the_compared_values() {
    let cluster = Cluster::new("told-keys");
    let kid = cluster.key.kid();
    let token = cluster.token("told-token", api());
    let config = "filter-config/secret-store.json";
    let at = NOW.to_string();
    let ran = explain(
        config,
        &[
            "--token",
            &token,
            "--jwks",
            &cluster.jwks,
            "--at",
            &at,
            "--request",
            "GET /secrets/1?a=b",
        ],
    );
    let length = fs::read_to_string(&token).unwrap().len() - 1;
    let expected = format!(
        "    request   GET /secrets/1?a=b, host localhost, at 2026-11-22T07:00:00Z\n\
         ok  token     {length} bytes, from x-client-id\n\
         ok  form      a JWT of at most 16384 bytes; alg \"ES256\", kid \"{kid}\"\n\
         ok  issuer    iss \"{DEFAULT_ISSUER}\" is issuer \"local\"\n\
         ok  key       issuer \"local\" has key \"{kid}\" for ES256\n\
         ok  signature verified with key \"{kid}\" of issuer \"local\"\n\
         ok  times     exp 2026-11-22T07:50:00Z (in 50m)\n\
         \x20             nbf 2026-11-22T06:50:00Z (10m ago)\n\
         \x20             iat 2026-11-22T06:50:00Z (10m ago)\n\
         \x20             leeway 1m\n\
         ok  audience  aud [\"secret-store\"], expected one of [\"secret-store\"]\n\
         ok  account   sub \"system:serviceaccount:api:api\", kubernetes.io names api/api, pod api-1, node node-1\n\
         --  peer      not configured (matchPeer)\n\
         --  review    not configured (tokenReview)\n\
         \x20   path      \"/secrets/1\" in normal form\n\
         ok  rule      \"secrets\" covers the request; allow lists api/api\n\
         \x20   VERDICT   ALLOWED by rule \"secrets\"\n\
         \x20   caller    system:serviceaccount:api:api, of issuer \"local\"\n\
         \x20   upstream  x-client-id removed\n\
         \x20   upstream  x-sa-name: api\n\
         \x20   upstream  x-sa-namespace: api\n"
    );
    assert_eq!((ran.stdout, ran.code), (expected, 0), "{}", ran.stderr);
}

#[test]
fn denial_prints_reason_answer_and_remedy() {
    let cluster = Cluster::new("refused-keys");
    let token = cluster.token("refused-token", api().audience("orders"));
    let config = "filter-config/secret-store.json";
    let at = (NOW + 7200).to_string();
    let ran = explain(config, &["--token", &token, "--jwks", &cluster.jwks, "--at", &at]);
    for line in [
        "NO  times     exp 2026-11-22T07:50:00Z (1h 10m ago)",
        "              expired: exp 1795333800, now 1795338000, leeway 60 s",
        "--  audience  aud [\"orders\"], expected one of [\"secret-store\"]",
        "NO  rule      \"secrets\" covers the request; allow requires an authenticated caller, and this request has none",
        "    VERDICT   DENIED: expired by rule \"secrets\"",
        "    answer    HTTP 401 or gRPC 16: {\"reason\":\"expired\",\"message\":\"the token has expired\"}",
    ] {
        assert!(ran.stdout.lines().any(|found| found == line), "{line:?} in\n{}", ran.stdout);
    }
    assert_eq!(ran.code, 1);
    let token = fs::read_to_string(token).unwrap();
    let signature = token.trim_end().rsplit('.').next().unwrap();
    assert!(!ran.stdout.contains(signature));
}

#[test]
fn foreign_token_with_an_unusual_header_is_of_an_unknown_issuer() {
    let cluster = Cluster::new("foreign-keys");
    let foreign = api().issuer("https://sts.example.com/tenant/").header("x5t", json!("abc"));
    let token = cluster.token("foreign-token", foreign);
    let ran = explain("filter-config/secret-store.json", &["--token", &token]);
    let issuer = "unknown_issuer: iss \"https://sts.example.com/tenant/\"";
    for line in [
        "ok  form      a JWT, but not of Kubernetes: JOSE header: member `x5t` is not allowed",
        &format!("NO  issuer    {issuer}"),
        "    VERDICT   DENIED: unknown_issuer",
        &format!("    reason    {issuer}"),
    ] {
        assert!(
            ran.stdout.lines().any(|found| found.starts_with(line)),
            "{line:?} in\n{}",
            ran.stdout
        );
    }
    assert!(!ran.stdout.contains("malformed_token"), "{}", ran.stdout);
}

/// A key that is published and skipped is named with its reason, in the step and in the detail.
#[test]
fn missing_key_is_explained_in_words() {
    let cluster = Cluster::new("skipped-keys");
    let config = "filter-config/secret-store.json";
    let mut skipped = cluster.key.jwk();
    skipped["use"] = json!("enc");
    let other = SigningKey::generate(KeyKind::P256);
    let jwks = file("skipped-jwks", &json!({ "keys": [skipped, other.jwk()] }).to_string());
    let kid = cluster.key.kid();
    let why = format!("kid {kid:?} is published, but not usable: use \"enc\", expected \"sig\"");
    let token = cluster.token("skipped-token", api());
    let at = NOW.to_string();
    let ran = explain(config, &["--token", &token, "--jwks", &jwks, "--at", &at]);
    for line in [format!("NO  key       {why}"), format!("    reason    unknown_key: {why}")] {
        assert!(
            ran.stdout.lines().any(|found| found.starts_with(&line)),
            "{line:?} in\n{}",
            ran.stdout
        );
    }
    let jwks = file("other-jwks", &json!({ "keys": [other.jwk()] }).to_string());
    let without = cluster.token("kidless-token", api().without_header("kid"));
    for (token, key) in [
        (&token, format!("kid {kid:?}: expected")),
        (&without, "kid \"(none)\": expected".to_owned()),
    ] {
        let ran = explain(config, &["--token", token, "--jwks", &jwks, "--at", &at]);
        assert!(ran.stdout.contains(&format!("NO  key       {key} one of key ")), "{}", ran.stdout);
        assert!(!ran.stdout.contains("Some(") && !ran.stdout.contains("None"), "{}", ran.stdout);
    }
}

#[test]
fn missing_keys_and_reviews_are_requested() {
    let cluster = Cluster::new("lacking-keys");
    let token = cluster.token("lacking-token", api());
    let discovered = "filter-config/secret-store.json";
    let ran = explain(discovered, &["--token", &token, "--at", &NOW.to_string()]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(
        ran.stderr.starts_with("error: the result depends on keys that the filter fetches"),
        "{}",
        ran.stderr
    );

    let token = cluster.token("review-token", api().audience("server").issued_at(NOW));
    let reviewed = "filter-config/token-review.json";
    let ran = explain(reviewed, &["--token", &token, "--at", &NOW.to_string()]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.starts_with("error: the result depends on a TokenReview"), "{}", ran.stderr);
}

/// Without keys and without a review, but with a token or rules that lead to a denial in any case.
#[test]
fn outcome_that_no_missing_input_can_change_is_reported() {
    let cluster = Cluster::new("decided-keys");
    let (keys, review) =
        ("; the missing keys cannot change it", "; the missing review cannot change it");
    let rule = " by rule \"secrets\"";
    let of_keys = "filter-config/secret-store.json";
    let of_review = file(
        "decided-review.json",
        &json!({
            "issuers": [{
                "issuer": DEFAULT_ISSUER,
                "audiences": ["secret-store"],
                "keys": { "inline": jwks(&[&cluster.key]) },
                "tokenReview": { "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" },
            }],
            "rules": [{ "name": "secrets", "allow": ["api/api"] }],
        })
        .to_string(),
    );
    let other = Token::for_service_account("web", "web").issued_at(NOW - 600).lifetime(3600);
    for (at, config, token, now, code, verdict) in [
        (0, of_keys, api(), NOW, 2, "indeterminate".to_owned()),
        (1, of_keys, api(), NOW + 7200, 1, format!("DENIED: expired{rule}{keys}")),
        (
            2,
            of_keys,
            api().audience("orders"),
            NOW,
            1,
            format!("DENIED: wrong_audience{rule}{keys}"),
        ),
        (3, of_keys, other.clone(), NOW, 1, format!("DENIED: forbidden{rule}{keys}")),
        (4, &of_review, api(), NOW, 2, "indeterminate".to_owned()),
        (5, &of_review, other, NOW, 1, format!("DENIED: forbidden{rule}{review}")),
    ] {
        let token = cluster.token(&format!("decided-{at}"), token);
        let request = ["--request", "GET /secrets/1", "--token", &token, "--at", &now.to_string()];
        let ran = explain(config, &request);
        let line = format!("    VERDICT   {verdict}");
        assert!(
            ran.stdout.lines().any(|found| found == line),
            "{at}: {line:?} in\n{}{}",
            ran.stdout,
            ran.stderr
        );
        assert_eq!(ran.code, code, "{at}: {}", ran.stdout);
        // The log would have the reason of the missing input.
        assert!(!ran.stdout.contains("\n    log  "), "{}", ran.stdout);
    }
}

#[test]
fn review_file_is_used_as_the_api_servers_response() {
    let cluster = Cluster::new("review-keys");
    let pod = json!({ "name": "api-1", "uid": "0a" });
    let claims = api().audience("server").claim("/kubernetes.io/pod", pod);
    let uid = claims.claims()["kubernetes.io"]["serviceaccount"]["uid"].clone();
    let token = cluster.token("reviewed-token", claims);
    let review = |authenticated: bool| -> Value {
        json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": {
            "authenticated": authenticated,
            "audiences": ["server"],
            "user": {
                "username": "system:serviceaccount:api:api",
                "uid": uid,
                "groups": ["system:serviceaccounts", "system:serviceaccounts:api", "system:authenticated"],
                "extra": {
                    "authentication.kubernetes.io/pod-name": ["api-1"],
                    "authentication.kubernetes.io/pod-uid": ["0a"],
                },
            },
        } })
    };
    for (name, authenticated, code, verdict) in
        [("yes", true, 0, "ALLOWED"), ("no", false, 1, "DENIED: revoked")]
    {
        let answer = file(&format!("review-{name}.json"), &review(authenticated).to_string());
        let at = NOW.to_string();
        let more = ["--token", &token, "--review", &answer, "--at", &at];
        let ran = explain("filter-config/token-review.json", &more);
        let line = format!("    VERDICT   {verdict}");
        assert!(ran.stdout.lines().any(|found| found == line), "{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, code, "{name}");
    }
}

#[test]
fn invalid_configuration_or_argument_exits_with_2_and_the_cause() {
    let missing = root().join("tests/testdata/broken/no-audience.json");
    let ran = explain(missing.to_str().unwrap(), &[]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains(
            "has problems (`sa-authn check` prints their locations):\n  issuers[0].audiences: must not be empty"
        ),
        "{}",
        ran.stderr
    );
    let good = "filter-config/minimal.json";
    for (arguments, said) in [
        (
            ["--request", "GET"],
            "error: --request \"GET\": expected method and path, for example 'GET /', a URL or a curl command line\n",
        ),
        (["--header", "x"], "error: --header: expected 'name: value'\n"),
        (
            ["--jwks", good],
            "error: filter-config/minimal.json: not a JWKS: expected an object with a list `keys`\n",
        ),
        (
            ["--at", "noon"],
            "error: --at noon: expected Unix seconds or an RFC 3339 date, for example 2026-01-31T12:00:00Z\n",
        ),
    ] {
        let ran = explain(good, &arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (2, said));
    }
}

#[test]
fn explain_finds_the_configuration_as_check_does() {
    let inside = "envoy-test/envoy.yaml";
    let ran = explain(inside, &["--request", "GET /healthz"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert!(ran.stdout.contains("VERDICT   ALLOWED by rule \"health\""), "{}", ran.stdout);
    let nothing = "tests/testdata/broken/nothing-of-ours.yaml".to_owned();
    let minimal = fs::read_to_string(root().join("filter-config/minimal.json")).unwrap();
    let two = file("two.yaml", &format!("---\n{minimal}\n---\n{minimal}"));
    let rules = "rules: [{ deny: anyone }]\nissuers: []\nrules: [{ allow: anyone }]\n";
    let twice = file("twice.yaml", rules);
    for (file, said) in [
        (&nothing, "nothing-of-ours.yaml: found no sa-authn configuration."),
        (&two, "two.yaml contains 2 configurations, expected one:\n"),
        (&twice, "twice.yaml:1:1: plugin configuration: duplicate field rules\n"),
    ] {
        let ran = explain(file, &[]);
        assert_eq!(ran.code, 2, "{file}");
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
}

#[test]
fn request_can_be_a_url_or_a_curl_command_line() {
    let config = "envoy-test/envoy.yaml";
    for (request, line) in [
        (
            "https://api.example:8443/healthz?x#y",
            "GET /healthz?x, host api.example:8443 (GET, host and path from the URL)",
        ),
        (
            "curl -s -XDELETE -H 'x-a: 1' -H \"Authorization: Bearer $(cat token)\" http://api.example/healthz",
            "DELETE /healthz, host api.example (DELETE, host and path from the curl command line; headers x-a; not \
             Authorization, which the shell has not expanded: pass a token with --token)",
        ),
    ] {
        let ran = explain(config, &["--request", request]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
        let begin = format!("    request   {line}, at ");
        assert!(ran.stdout.starts_with(&begin), "{}", ran.stdout);
        assert!(ran.stdout.contains("VERDICT   ALLOWED by rule \"health\""), "{}", ran.stdout);
    }
    let ran = explain(config, &["--request", "https://api.example/healthz", "--host", "b.example"]);
    assert!(
        ran.stdout.contains("host b.example (GET, host and path from the URL)"),
        "{}",
        ran.stdout
    );
}

//! Failed reviews: API server down, missing permissions, and invalid responses.

use std::time::Duration;

use crate::support::reviews::{
    Place, USES, check_passes, gate, outcome, places, reviewed, reviewer,
};
use crate::support::{Gate, api, check_refused, get, p256_api_server};
use anyhow::{Context, Result, ensure};
use envoy_test::envoy::{oldest_and_newest, versions};
use envoy_test::load::Steady;
use envoy_test::{ApiServer, Endpoint, EnvoySetup, Fault, Token, poll};
use serde_json::{Value, json};

const FORBIDDEN: &str = "issuer \"local\": TokenReview unavailable: the API server answered 403: this \
    proxy's service account is not allowed to create TokenReviews; bind it to ClusterRole \
    system:auth-delegator with a ClusterRoleBinding";
const UNAUTHORIZED: &str = "issuer \"local\": TokenReview unavailable: the API server answered 401: the \
    credential that Envoy injects is missing, expired or not for the API server's audience; check the \
    cluster's credential_injector and its token file";
const NOT_SENT: &str =
    "issuer \"local\": TokenReview unavailable: Envoy did not send the call: the cluster has";
const NO_ANSWER: &str = "issuer \"local\": TokenReview unavailable: no answer (503 ";
const REVIEWED: &str = "issuer \"local\": TokenReview available";

/// Sends requests until the outcome is `to`; any outcome other than these two is a failure.
async fn becomes(gate: &Gate, token: &str, from: &str, to: &str) -> Result<()> {
    poll::until(&format!("{from} to become {to}"), async || {
        let now = outcome(&get(token).send(gate.envoy.port()).await?);
        ensure!(now == from || now == to, "{now}");
        Ok((now == to).then_some(()))
    })
    .await
}

async fn check_unavailable(gate: &Gate, token: &str) -> Result<()> {
    let response = get(token).send(gate.envoy.port()).await?;
    check_refused(&response, 503, "review_unavailable")?;
    ensure!(response.header("retry-after").as_deref() == Some("1"), "{:?}", response.headers);
    ensure!(response.header("www-authenticate").is_none(), "{:?}", response.headers);
    let call = get(token).grpc().send(gate.envoy.port()).await?;
    ensure!((call.status, call.grpc_status()) == (200, Some(14)), "{:?}", call.headers);
    Ok(())
}

#[tokio::test]
async fn deny_on_outage_rejects_as_unavailable_until_the_outage_ends() -> Result<()> {
    for version in oldest_and_newest() {
        for purpose in USES {
            let which = || format!("Envoy {version}, {purpose}");
            let api_server = reviewer().await?;
            let config = reviewed(purpose, json!({ "cacheTtl": "2s" }));
            let gate = gate(&version, &api_server, config).await?;
            let token = api_server.mint(api());
            check_passes(gate.envoy.port(), &token).await?;
            api_server.stop().await;
            check_passes(gate.envoy.port(), &token).await.with_context(which)?;
            becomes(&gate, &token, "200", "503 review_unavailable").await.with_context(which)?;
            check_unavailable(&gate, &token).await.with_context(which)?;
            gate.envoy.wait_log(NO_ANSWER).await.with_context(which)?;
            api_server.restart().await?;
            becomes(&gate, &token, "503 review_unavailable", "200").await.with_context(which)?;
            gate.check_alive(&token).await.with_context(which)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn accept_verified_passes_callers_in_an_outage_and_keeps_rejected_tokens_rejected()
-> Result<()> {
    for version in versions() {
        let which = || format!("Envoy {version}");
        let api_server = reviewer().await?;
        api_server.set_success_cache(false);
        let review = json!({ "cacheTtl": "2s", "onOutage": "acceptVerified" });
        let gate = gate(&version, &api_server, reviewed("afterVerification", review)).await?;
        let gone = api_server.mint(Token::for_service_account("web", "web"));
        api_server.delete_service_account("web", "web");
        let steady = get(&api_server.mint(api()));
        let steady = Steady::paced(gate.envoy.port(), steady, Duration::from_millis(20));
        poll::until("a steady caller", async || Ok((steady.sent() > 0).then_some(()))).await?;

        check_refused(&get(&gone).send(gate.envoy.port()).await?, 401, "revoked")?;
        api_server.stop().await;
        // The API server has not reviewed these two tokens; it has rejected the third.
        for name in ["first", "second"] {
            let new = api_server.mint(Token::for_service_account("api", name));
            check_passes(gate.envoy.port(), &new).await.with_context(which)?;
            let seen = gate.upstream.received();
            let reached = seen.iter().any(|seen| seen.header("x-sa-name").as_deref() == Some(name));
            ensure!(reached, "the upstream received no request of {name}");
        }
        gate.envoy.wait_log(NO_ANSWER).await?;
        let line = allowed(&gate, "system:serviceaccount:api:second").await.with_context(which)?;
        let why = line["unreviewed"].as_str().context("a text")?;
        ensure!(why.starts_with("outage of the API server: no answer (503 "), "{line}");
        // Long after `cacheTtl` the steady caller passes without a review, and the rejected token does not.
        gate.envoy.wait_stat(UNREVIEWED, |count| count >= 50).await.with_context(which)?;
        check_refused(&get(&gone).send(gate.envoy.port()).await?, 401, "revoked")
            .with_context(which)?;

        api_server.restart().await?;
        gate.envoy.wait_log(REVIEWED).await.with_context(which)?;
        check_refused(&get(&gone).send(gate.envoy.port()).await?, 401, "revoked")
            .with_context(which)?;
        let report = steady.stop().await?;
        ensure!(report.refused.is_empty(), "{:?}", report.refused);
        let counted = gate.envoy.stat(UNREVIEWED).await?;
        println!(
            "Envoy {version}: {} requests of a steady caller over an outage, {counted} unreviewed in all",
            report.sent
        );
        gate.check_alive(&api_server.mint(api())).await.with_context(which)?;
    }
    Ok(())
}

/// The log line of a request of this subject that passed without a review.
async fn allowed(gate: &Gate, subject: &str) -> Result<Value> {
    let text = format!("\"sub\":\"{subject}\",\"unreviewed\":");
    gate.envoy.wait_log(&text).await?;
    let log = gate.envoy.log();
    let line = log.lines().find(|line| line.contains(&text)).context("a line")?;
    let json = line.find('{').and_then(|at| line.get(at..)).context("JSON")?;
    let line: Value = serde_json::from_str(json)?;
    ensure!(line["verdict"] == "allowed", "{line}");
    Ok(line)
}

#[tokio::test]
async fn missing_permission_to_review_is_logged_with_the_binding() -> Result<()> {
    for version in oldest_and_newest() {
        for purpose in USES {
            let which = || format!("Envoy {version}, {purpose}");
            let api_server = p256_api_server().await?;
            let gate = gate(&version, &api_server, reviewed(purpose, json!({}))).await?;
            let token = api_server.mint(api());
            check_unavailable(&gate, &token).await.with_context(which)?;
            gate.envoy.wait_log(FORBIDDEN).await.with_context(which)?;
            api_server.grant_auth_delegator("envoy-system", "sa-authn");
            gate.check_alive(&token).await.with_context(which)?;
            // Logged with the first review a second later.
            poll::until(REVIEWED, async || {
                let other = api_server.mint(api());
                check_passes(gate.envoy.port(), &other).await?;
                Ok(gate.envoy.log().contains(REVIEWED).then_some(()))
            })
            .await
            .with_context(which)?;
        }
    }
    Ok(())
}

/// Replaces Envoy's own token.
fn put(gate: &Gate, api_server: &ApiServer, token: &str) -> Result<()> {
    let files = [("token", token), ("ca.crt", api_server.ca_pem())];
    gate.envoy.credential("kube-apiserver").update(&files)
}

#[tokio::test]
async fn invalid_credential_for_reviews_is_logged_with_a_remedy() -> Result<()> {
    for version in oldest_and_newest() {
        for (credential, problem) in [("not-a-token", UNAUTHORIZED), ("", NOT_SENT)] {
            let which = || format!("Envoy {version}, credential {credential:?}");
            let api_server = reviewer().await?;
            let setup = EnvoySetup::new().version(&version).api_server(&api_server);
            let setup = setup.credential(Some(credential));
            let gate = Gate::start(setup.plugin_config(reviewed("instead", json!({})))).await?;
            let token = api_server.mint(api());
            check_unavailable(&gate, &token).await.with_context(which)?;
            gate.envoy.wait_log(problem).await.with_context(which)?;
            let own = Token::for_service_account("envoy-system", "sa-authn");
            let own = api_server.mint(own.audience(&api_server.audience()));
            put(&gate, &api_server, &own)?;
            becomes(&gate, &token, "503 review_unavailable", "200").await.with_context(which)?;
            gate.check_alive(&token).await.with_context(which)?;
        }
    }
    Ok(())
}

/// The faults of the API server with their names.
fn faults() -> Vec<(String, Fault)> {
    let body = |name: &str, body: String| (name.to_owned(), Fault::Body(body.into_bytes()));
    let review = |kind: &str, status: Value| {
        json!({ "kind": kind, "apiVersion": "authentication.k8s.io/v1", "status": status })
            .to_string()
    };
    let yes = review("SubjectAccessReview", json!({ "authenticated": true }));
    let twice = yes.replace("\"kind\"", "\"kind\":\"TokenReview\",\"kind\"");
    let mut faults = vec![
        body("nothing", String::new()),
        body("HTML", "<html>log in</html>".to_owned()),
        body("huge", format!("\"{}\"", "x".repeat(300 * 1024))),
        body("deep", "[".repeat(100_000)),
        body("another kind", yes),
        body("a member twice", twice),
        body("a text for true", review("TokenReview", json!({ "authenticated": "true" }))),
        body("a list for an object", review("TokenReview", json!([true]))),
        ("cut in the middle".to_owned(), Fault::Truncate),
        ("stalled in the middle".to_owned(), Fault::StallMidBody),
        ("stalled".to_owned(), Fault::Stall),
        ("too slow".to_owned(), Fault::Slow(Duration::from_secs(2))),
        ("cut".to_owned(), Fault::Close),
        ("elsewhere".to_owned(), Fault::Redirect("https://elsewhere.example/".to_owned())),
    ];
    let statuses = [400, 401, 403, 404, 409, 429, 500, 503, 504];
    faults.extend(statuses.map(|status| (status.to_string(), Fault::Status(status))));
    faults
}

#[tokio::test]
async fn response_that_is_not_a_review_is_unavailable() -> Result<()> {
    for version in oldest_and_newest() {
        let configs = USES.map(|purpose| reviewed(purpose, json!({ "timeout": "300ms" })));
        let (gate, places) = places(&version, configs.to_vec()).await?;
        for (Place { port, api_server }, purpose) in places.into_iter().zip(USES) {
            let token = api_server.mint(api());
            // The keys must be cached, because the test is about the review.
            check_passes(port, &token).await?;
            let token = api_server.mint(api());
            for (name, fault) in faults() {
                let which = || format!("Envoy {version}, {purpose}: {name}");
                let before = (api_server.count(Endpoint::TokenReview), gate.upstream.count());
                api_server.set_fault(Endpoint::TokenReview, Some(fault));
                let response = get(&token).send(port).await?;
                check_refused(&response, 503, "review_unavailable").with_context(which)?;
                ensure!(gate.upstream.count() == before.1, "{}: it got through", which());
                let asked = api_server.count(Endpoint::TokenReview) - before.0;
                ensure!(asked == 1, "{}: asked {asked} times", which());
            }
            api_server.set_fault(Endpoint::TokenReview, None);
            let alive = gate.check_alive_at(port, &token).await;
            alive.with_context(|| format!("Envoy {version}, {purpose}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn approval_of_another_identity_is_a_mismatch() -> Result<()> {
    for version in oldest_and_newest() {
        let configs = USES.map(|purpose| reviewed(purpose, json!({})));
        let (gate, places) = places(&version, configs.to_vec()).await?;
        for (Place { port, api_server }, purpose) in places.into_iter().zip(USES) {
            let before = gate.upstream.count();
            let account = |name: &str, uid: &Value| {
                json!({
                    "username": format!("system:serviceaccount:api:{name}"),
                    "uid": uid,
                    "groups": ["system:serviceaccounts", "system:serviceaccounts:api"],
                })
            };
            let anonymous =
                json!({ "username": "system:anonymous", "groups": ["system:unauthenticated"] });
            let uid = api().claims()["kubernetes.io"]["serviceaccount"]["uid"].clone();
            let ours = json!(["secret-store"]);
            for (name, user, audiences) in [
                ("anonymous", anonymous, ours.clone()),
                ("another account", account("web", &uid), ours.clone()),
                ("another uid", account("api", &json!("another")), ours.clone()),
                ("no audience", account("api", &uid), json!([])),
                ("another audience", account("api", &uid), json!(["another-service"])),
            ] {
                let status = json!({ "authenticated": true, "user": user, "audiences": audiences });
                let answer = json!({
                    "kind": "TokenReview",
                    "apiVersion": "authentication.k8s.io/v1",
                    "status": status,
                });
                let answer = answer.to_string().into_bytes();
                api_server.set_fault(Endpoint::TokenReview, Some(Fault::Body(answer)));
                let response = get(&api_server.mint(api())).send(port).await?;
                check_refused(&response, 401, "review_mismatch")
                    .with_context(|| format!("Envoy {version}, {purpose}: {name}"))?;
            }
            assert_eq!(gate.upstream.count(), before, "Envoy {version}, {purpose}");
            api_server.set_fault(Endpoint::TokenReview, None);
            gate.check_alive_at(port, &api_server.mint(api())).await?;
        }
    }
    Ok(())
}

const UNREVIEWED: &str = "wasmcustom.sa_authn.unreviewed.local";

//! The two documents match the recordings: status, headers and bodies, per caller and Accept.

use super::*;

const RECORDED: &str = include_str!("../../../testdata/recorded_http.json");

#[tokio::test]
async fn documents_answer_as_recorded() {
    let api_server = start().await;
    let options = ApiServerOptions {
        key_kind: KeyKind::P256,
        anonymous_discovery: true,
        ..ApiServerOptions::default()
    };
    let open = ApiServer::start(options).await.unwrap();
    let recorded: serde_json::Map<String, Value> = serde_json::from_str(RECORDED).unwrap();
    assert_eq!(recorded.len(), 34);
    for (case, expected) in recorded {
        let (document, variant) = case.split_once('.').unwrap();
        let server = if variant.ends_with("_with_rbac") { &open } else { &api_server };
        let answered = play(server, document, variant).await;
        compare(&case, &expected, &answered);
    }
}

async fn play(api_server: &ApiServer, document: &str, variant: &str) -> Answered {
    let path = match document {
        "discovery" => "/.well-known/openid-configuration",
        _ => "/openid/v1/jwks",
    };
    // The recording of other methods is of an administrator.
    api_server.grant_cluster_admin("demo", "admin");
    let admin = own_token(api_server, "admin");
    let own = own_token(api_server, "app");
    let wrong = api_server.mint(Token::for_service_account("demo", "app"));
    let (token, path) = match variant {
        "anonymous_no_rbac" | "anonymous_with_rbac" => (None, path.to_owned()),
        "sa_token_wrong_aud" => (Some(wrong), path.to_owned()),
        "garbage_bearer" | "garbage_bearer_with_rbac" => (Some("x".to_owned()), path.to_owned()),
        "HEAD" | "POST" | "OPTIONS" => (Some(admin), path.to_owned()),
        "trailing_slash" => (Some(own), format!("{path}/")),
        _ => (Some(own), path.to_owned()),
    };
    let method = if ["HEAD", "POST", "OPTIONS"].contains(&variant) { variant } else { "GET" };
    let accept = variant.strip_prefix("accept[").and_then(|rest| rest.strip_suffix(']'));
    let accept = accept.filter(|accept| *accept != "None");
    ask(api_server, method, &path, token.as_deref(), accept, "").await.unwrap()
}

fn compare(case: &str, expected: &Value, answered: &Answered) {
    assert_eq!(answered.status, expected["status"], "{case}");
    for (name, value) in expected["headers"].as_object().unwrap() {
        assert_eq!(
            answered.headers.get(name).map(String::as_str),
            value.as_str(),
            "{case}: {name}"
        );
    }
    if let Some(body) = expected["body"].as_str() {
        assert_eq!(answered.body, body, "{case}");
    }
    if let Some(length) = expected["content-length"].as_str() {
        assert_eq!(
            answered.headers.get("content-length").map(String::as_str),
            Some(length),
            "{case}"
        );
    }
}

#[tokio::test]
async fn discovery_document_equals_the_recorded_one_except_the_port() {
    let api_server = start().await;
    api_server.rotate_to(SigningKey::generate(KeyKind::Rsa2048), Rotation::KeepOld);
    let token = own_token(&api_server, "app");
    let path = "/.well-known/openid-configuration";
    let answered = ask(&api_server, "GET", path, Some(&token), None, "").await.unwrap();
    let expected = format!(
        concat!(
            r#"{{"issuer":"https://kubernetes.default.svc.cluster.local","#,
            r#""jwks_uri":"https://127.0.0.1:{}/openid/v1/jwks","#,
            r#""response_types_supported":["id_token"],"subject_types_supported":["public"],"#,
            r#""id_token_signing_alg_values_supported":["ES256","RS256"]}}"#
        ),
        api_server.port()
    );
    assert_eq!(answered.body, expected);
}

#[tokio::test]
async fn issuer_that_is_not_a_url_has_no_documents() {
    let options =
        ApiServerOptions { key_kind: KeyKind::P256, ..ApiServerOptions::with_issuer("my-cluster") };
    let api_server = ApiServer::start(options).await.unwrap();
    let token = own_token(&api_server, "app");
    let answered =
        ask(&api_server, "GET", "/openid/v1/jwks", Some(&token), None, "").await.unwrap();
    assert_eq!((answered.status, answered.body.as_str()), (404, "404 page not found\n"));
}

#[tokio::test]
async fn anonymous_request_without_anonymous_access_is_401() {
    let options = ApiServerOptions {
        key_kind: KeyKind::P256,
        anonymous_auth: false,
        ..ApiServerOptions::default()
    };
    let api_server = ApiServer::start(options).await.unwrap();
    let answered = ask(&api_server, "GET", "/openid/v1/jwks", None, None, "").await.unwrap();
    assert_eq!(answered.status, 401);
}

#[tokio::test]
async fn rotation_publishes_the_new_key_and_removes_the_old_if_configured() {
    let api_server = start().await;
    let first = api_server.signing_key();
    let second = api_server.rotate(Rotation::KeepOld);
    let kids: Vec<String> =
        api_server.published_keys().iter().map(|key| key.kid().to_owned()).collect();
    assert_eq!(kids, [second.kid(), first.kid()]);
    let third = api_server.rotate(Rotation::RemoveOld);
    assert_eq!(api_server.published_keys().len(), 1);
    assert_eq!(api_server.signing_key().kid(), third.kid());
}

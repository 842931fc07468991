//! TokenReviews match the recordings: users, audiences and errors.

use super::*;
use crate::token::{assemble, hs256, unix_now};

const RECORDED: &str = include_str!("../../../testdata/recorded_reviews.json");

/// The cases that are about the token's text or claims, rebuilt with a key of our own.
fn rebuilt(api_server: &ApiServer, case: &str) -> String {
    let app = || Token::for_service_account("demo", "app").audience(AUDIENCE);
    let own = || app().audience(&api_server.audience());
    let now = unix_now();
    let minted = api_server.mint(app());
    let key = api_server.signing_key();
    let signed = |token: Token| token.sign(&key);
    let claims = app().claims().to_string();
    let header = |alg: &str| format!(r#"{{"alg":"{alg}","kid":"{}"}}"#, key.kid());
    match case {
        "default.no_audiences_in_request" | "default.aud_filter" => api_server.mint(own()),
        "aud_one_600s.no_audiences_in_request" | "aud_one_600s.aud_filter" => minted,
        "aud_one.case_differs" | "aud_one.trailing_slash" | "aud_one.wrong" => minted,
        "aud_two.no_audiences_in_request" | "aud_two.aud_filter" | "aud_two.request_three" => {
            signed(app().audiences([AUDIENCE, "https://second.example"]))
        }
        "aud_api_and_filter.aud_filter" => signed(app().audiences([api_server.issuer(), AUDIENCE])),
        "pod_node1.aud_filter" => api_server.mint(app().pod("app-1").node("node1")),
        "pod_no_node.aud_filter" => api_server.mint(app().pod("app-nonode")),
        "secret_bound.aud_filter" => api_server.mint(app().secret("opaque")),
        "node_bound.aud_filter" => api_server.mint(app().node("node1")),
        "ten_years.aud_filter" => api_server.mint(app().lifetime(315_360_000)),
        "other.aud_filter" => {
            api_server.mint(Token::for_service_account("demo", "other").audience(AUDIENCE))
        }
        "legacy_secret.no_audiences_in_request" | "legacy_secret.aud_filter" => {
            api_server.mint(Token::legacy_secret("demo", "app", "legacy"))
        }
        "garbage.abc" => "abc".to_owned(),
        "garbage.three_dots" => "a.b.c".to_owned(),
        "garbage.4parts" => format!("{minted}.x"),
        "garbage.space_before" => format!(" {}", api_server.mint(own())),
        "garbage.newline_after" => format!("{}\n", api_server.mint(own())),
        "whitespace.space_only" => " ".to_owned(),
        "whitespace.space_x" => " x".to_owned(),
        "whitespace.tab" => "\t".to_owned(),
        "whitespace.x_space_y" => "x y".to_owned(),
        "whitespace.nul" => "\0".to_owned(),
        "forged.expired_30s_ago" => signed(app().expires_at(now - 30)),
        "forged.expired_58s_ago" => signed(app().expires_at(now - 55)),
        "forged.expired_62s_ago" => signed(app().expires_at(now - 62)),
        "forged.nbf_in_30s" => signed(app().claim("nbf", json!(now + 30))),
        "forged.nbf_in_120s" => signed(app().claim("nbf", json!(now + 120))),
        "forged.iat_in_30s" => signed(app().claim("iat", json!(now + 30))),
        "forged.iat_in_120s" => signed(app().claim("iat", json!(now + 120))),
        "forged.no_exp" => signed(app().without("exp")),
        "forged.no_nbf_iat" => signed(app().without("nbf").without("iat")),
        "forged.no_jti" => signed(app().without("jti")),
        "forged.no_aud_no_request" | "forged.no_aud_filter_request" => signed(app().without("aud")),
        "forged.aud_string_not_list" => signed(app().claim("aud", json!(AUDIENCE))),
        "forged.exp_float" => signed(app().claim("exp", json!(now as f64 + 100.5))),
        "forged.exp_string" => signed(app().claim("exp", json!((now + 100).to_string()))),
        "forged.no_sub" => signed(app().without("sub")),
        "forged.sub_differs_from_claims" => signed(app().claim("sub", json!("admin"))),
        "forged.no_private_claims" => signed(app().without("kubernetes.io")),
        "forged.wrong_uid" => {
            let uid = json!("00000000-0000-0000-0000-000000000000");
            signed(app().claim("/kubernetes.io/serviceaccount/uid", uid))
        }
        "forged.sa_missing" => {
            signed(Token::for_service_account("demo", "nope").audience(AUDIENCE))
        }
        "forged.iss_other" => signed(app().issuer("https://other.example")),
        "forged.iss_trailing_slash" => signed(app().issuer(&format!("{}/", api_server.issuer()))),
        "forged.no_kid" => signed(app().without_header("kid")),
        "forged.unknown_kid" => signed(app().header("kid", json!("unknown"))),
        "forged.typ_JWT" => signed(app().header("typ", json!("JWT"))),
        "forged.crit" => signed(app().header("crit", json!(["exp"]))),
        "forged.alg_RS384" => signed(app().header("alg", json!("RS384"))),
        "forged.alg_RS512" => signed(app().header("alg", json!("RS512"))),
        "forged.alg_PS256" => signed(app().header("alg", json!("PS256"))),
        "forged.other_rsa_key_same_kid" => {
            app().header("kid", json!(key.kid())).sign(&SigningKey::generate(KeyKind::Rsa2048))
        }
        "forged.HS256_with_public_pem" => hs256(&header("HS256"), &claims, key.pem().as_bytes()),
        "forged.alg_none" => assemble(&header("none"), &claims, |_| Vec::new()),
        "tampered.padding_added" => format!("{minted}=="),
        other => panic!("no rule to rebuild the recorded case {other}"),
    }
}

#[tokio::test]
async fn reviews_answer_as_recorded() {
    let api_server = ApiServer::start(ApiServerOptions::default()).await.unwrap();
    api_server.set_success_cache(false);
    let recorded: serde_json::Map<String, Value> = serde_json::from_str(RECORDED).unwrap();
    assert_eq!(recorded.len(), 62);
    for (case, expected) in recorded {
        let token = rebuilt(&api_server, &case);
        let audiences =
            Some(expected["audiences"].clone()).filter(|audiences| !audiences.is_null());
        let answered = review(&api_server, &token, audiences).await;
        assert_eq!(answered.status, expected["http_status"], "{case}");
        let answer = answered.json()["status"].clone();
        let expected = &expected["status"];
        for member in ["authenticated", "audiences"] {
            assert_eq!(answer[member], expected[member], "{case}: {member}");
        }
        for member in ["username", "groups"] {
            assert_eq!(answer["user"][member], expected["user"][member], "{case}: {member}");
        }
        let extra = |status: &Value| -> Vec<String> {
            let extra = status["user"]["extra"].as_object().cloned().unwrap_or_default();
            extra.keys().cloned().collect()
        };
        assert_eq!(extra(&answer), extra(expected), "{case}");
        assert_eq!(without_uids(&answer["error"]), without_uids(&expected["error"]), "{case}");
    }
}

/// Recorded errors contain uids of a deleted cluster.
fn without_uids(error: &Value) -> String {
    let text = error.as_str().unwrap_or_default();
    text.split_inclusive('(')
        .map(|part| part.split_once(')').map_or(part, |(_, rest)| rest))
        .collect()
}

#[tokio::test]
async fn empty_token_is_a_bad_request() {
    let answered = review(&start().await, "", None).await;
    assert_eq!(answered.status, 400);
    let message = "token is required for TokenReview in authentication";
    assert_eq!(answered.json()["message"], message);
}

#[tokio::test]
async fn reviewers_need_permission_and_their_own_token() {
    let api_server = start().await;
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let body = r#"{"spec":{"token":"x"}}"#;
    let app = own_token(&api_server, "app");
    let answered = ask(&api_server, "POST", path, Some(&app), None, body).await.unwrap();
    assert_eq!(answered.status, 403);
    assert_eq!(
        answered.json()["message"],
        "tokenreviews.authentication.k8s.io is forbidden: User \"system:serviceaccount:demo:app\" cannot \
         create resource \"tokenreviews\" in API group \"authentication.k8s.io\" at the cluster scope"
    );
    let wrong = api_server.mint(Token::for_service_account("demo", "app"));
    let answered = ask(&api_server, "POST", path, Some(&wrong), None, body).await.unwrap();
    assert_eq!(answered.status, 401);
    let answered = ask(&api_server, "POST", path, None, None, body).await.unwrap();
    assert_eq!(answered.status, 403);
}

#[tokio::test]
async fn deleted_objects_invalidate_their_tokens() {
    let api_server = start().await;
    let token = || Token::for_service_account("demo", "gone").audience(AUDIENCE);
    let invalidated =
        Some("[invalid bearer token, service account token has been invalidated]".to_owned());

    let pod = api_server.mint(token().pod("p").node("n"));
    api_server.delete_node("n");
    assert_eq!(error_of(&api_server, &pod).await, None);
    api_server.delete_pod("demo", "p");
    assert_eq!(error_of(&api_server, &pod).await, invalidated);

    let secret = api_server.mint(token().secret("s"));
    api_server.delete_secret("demo", "s");
    assert_eq!(error_of(&api_server, &secret).await, invalidated);

    let node = api_server.mint(token().node("m"));
    api_server.delete_node("m");
    assert_eq!(error_of(&api_server, &node).await, invalidated);

    let plain = api_server.mint(token());
    api_server.delete_service_account("demo", "gone");
    assert_eq!(
        error_of(&api_server, &plain).await.unwrap(),
        "[invalid bearer token, serviceaccounts \"gone\" not found]"
    );
    let again = api_server.mint(token());
    assert_eq!(error_of(&api_server, &again).await, None);
    let error = error_of(&api_server, &plain).await.unwrap();
    assert!(error.contains("does not match claim"), "{error}");
}

#[tokio::test]
async fn successful_authentication_is_cached_unless_disabled() {
    let api_server = start().await;
    api_server.set_success_cache(true);
    let token = api_server.mint(Token::for_service_account("demo", "gone").audience(AUDIENCE));
    assert_eq!(error_of(&api_server, &token).await, None);
    api_server.delete_service_account("demo", "gone");
    assert_eq!(error_of(&api_server, &token).await, None);
    api_server.set_success_cache(false);
    assert_ne!(error_of(&api_server, &token).await, None);
}

//! Faults of the fake API server as seen by a client.

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::client::raw;

const JWKS: &str = "/openid/v1/jwks";

async fn jwks(api_server: &ApiServer) -> Result<Answered> {
    let token = own_token(api_server, "app");
    ask(api_server, "GET", JWKS, Some(&token), None, "").await
}

#[tokio::test]
async fn faults_replace_answers_until_cleared() {
    let api_server = start().await;
    let fault = |fault| api_server.set_fault(Endpoint::Jwks, fault);
    fault(Some(Fault::Status(500)));
    assert_eq!(jwks(&api_server).await.unwrap().status, 500);
    fault(Some(Fault::Body(b"{}".to_vec())));
    assert_eq!(jwks(&api_server).await.unwrap().body, "{}");
    fault(Some(Fault::Redirect("https://elsewhere.example/".to_owned())));
    let answered = jwks(&api_server).await.unwrap();
    assert_eq!(
        (answered.status, answered.headers["location"].as_str()),
        (302, "https://elsewhere.example/")
    );
    fault(Some(Fault::Slow(Duration::from_millis(1))));
    assert_eq!(jwks(&api_server).await.unwrap().status, 200);
    fault(None);
    assert_eq!(jwks(&api_server).await.unwrap().status, 200);
    assert_eq!(api_server.count(Endpoint::Jwks), 5);
    assert_eq!(api_server.count(Endpoint::Discovery), 0);
}

#[tokio::test]
async fn cut_answers_are_errors_and_stalled_answers_never_end() {
    let api_server = start().await;
    for (fault, body_began) in [(Fault::Close, false), (Fault::Truncate, true)] {
        api_server.set_fault(Endpoint::Jwks, Some(fault.clone()));
        let error = jwks(&api_server).await.err().unwrap().to_string();
        assert_eq!(error == "reading the body", body_began, "{fault:?}: {error}");
    }
    for fault in [Fault::Stall, Fault::StallMidBody] {
        api_server.set_fault(Endpoint::Jwks, Some(fault.clone()));
        let wait = timeout(Duration::from_millis(200), jwks(&api_server)).await;
        assert!(wait.is_err(), "{fault:?}");
    }
}

#[tokio::test]
async fn stalled_requests_are_answered_after_the_fault_is_cleared() {
    let api_server = start().await;
    let fault = |fault| api_server.set_fault(Endpoint::Jwks, fault);
    for (next_fault, status) in [(None, 200), (Some(Fault::Status(500)), 500)] {
        let before = api_server.count(Endpoint::Jwks);
        fault(Some(Fault::UntilCleared));
        let clear = async {
            api_server.wait_count(Endpoint::Jwks, before + 1).await.unwrap();
            fault(next_fault);
        };
        let (answered, ()) = tokio::join!(jwks(&api_server), clear);
        assert_eq!(answered.unwrap().status, status);
    }
}

#[tokio::test]
async fn requests_in_flight_are_counted_until_answered_or_canceled() {
    let api_server = start().await;
    api_server.set_fault(Endpoint::Jwks, Some(Fault::Stall));
    let wait = async || {
        let three = async { tokio::join!(jwks(&api_server), jwks(&api_server), jwks(&api_server)) };
        assert!(timeout(Duration::from_millis(500), three).await.is_err());
    };
    let look = async {
        poll::until("three", async || Ok((api_server.under_way(Endpoint::Jwks) == 3).then_some(())))
            .await
    };
    let ((), looked) = tokio::join!(wait(), look);
    looked.unwrap();
    api_server.set_fault(Endpoint::Jwks, None);
    assert_eq!(jwks(&api_server).await.unwrap().status, 200);
    poll::until("none", async || Ok((api_server.under_way(Endpoint::Jwks) == 0).then_some(())))
        .await
        .unwrap();
    assert_eq!(api_server.most_under_way(Endpoint::Jwks), 3);
    assert_eq!(api_server.most_under_way(Endpoint::TokenReview), 0);
}

#[tokio::test]
async fn api_server_restarts_on_its_port() {
    let api_server = start().await;
    let port = api_server.port();
    api_server.stop().await;
    assert!(jwks(&api_server).await.is_err());
    api_server.restart().await.unwrap();
    assert_eq!(api_server.port(), port);
    assert_eq!(jwks(&api_server).await.unwrap().status, 200);
}

#[tokio::test]
async fn requests_are_logged_with_their_caller() {
    let api_server = start().await;
    jwks(&api_server).await.unwrap();
    ask(&api_server, "GET", "/api?x=1", Some("garbage"), Some("a/b"), "").await.unwrap();
    let requests = api_server.requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|request| {
            (request.path.as_str(), request.caller.as_deref(), request.accept.as_deref())
        })
        .collect();
    assert_eq!(
        seen,
        [(JWKS, Some("system:serviceaccount:demo:app"), None), ("/api?x=1", None, Some("a/b"))]
    );
}

#[tokio::test]
async fn plain_http_request_is_answered_with_an_error() {
    let api_server = start().await;
    let answer = raw(api_server.port(), b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.0 400 Bad Request\r\n"));
}

//! The fake API server responds as recorded from a real kube-apiserver.

mod access;
mod faults;
mod https;
mod recorded;
mod reviews;

use serde_json::{Value, json};

use super::*;
use crate::keys::KeyKind;
use https::{Answered, ask};

const AUDIENCE: &str = "https://filter.example";

/// A fast API server: EC keys, and no cache.
async fn start() -> ApiServer {
    let options = ApiServerOptions { key_kind: KeyKind::P256, ..ApiServerOptions::default() };
    let api_server = ApiServer::start(options).await.unwrap();
    api_server.set_success_cache(false);
    api_server
}

/// A token for the API server itself.
fn own_token(api_server: &ApiServer, name: &str) -> String {
    let token = Token::for_service_account("demo", name).audience(&api_server.audience());
    api_server.mint(token)
}

/// The response to a reviewer with permission.
async fn review(api_server: &ApiServer, token: &str, audiences: Option<Value>) -> Answered {
    api_server.grant_auth_delegator("demo", "reviewer");
    let reviewer = own_token(api_server, "reviewer");
    let mut body = json!({ "spec": { "token": token } });
    if let Some(audiences) = audiences {
        body["spec"]["audiences"] = audiences;
    }
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    ask(api_server, "POST", path, Some(&reviewer), None, &body.to_string()).await.unwrap()
}

async fn error_of(api_server: &ApiServer, token: &str) -> Option<String> {
    let answered = review(api_server, token, Some(json!([AUDIENCE]))).await;
    answered.json()["status"]["error"].as_str().map(str::to_owned)
}

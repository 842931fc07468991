//! A service's application that calls another by itself: it reads its projected token for each request.
//!
//! `token-app FILE HOST:PORT PATH` asks every second, and prints a line of JSON about each answer: its status, the
//! filter's reason if it refused, the id of the token that was sent, and whom the other application was told of.

use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use envoy_test::apps::reply;
use envoy_test::client::Connection;
use envoy_test::{Request, Response};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [file, server, path] = arguments.as_slice() else {
        bail!("token-app FILE HOST:PORT PATH");
    };
    loop {
        let line = ask(file, server, path).await;
        reply(&line.unwrap_or_else(|error| json!({ "error": format!("{error:#}") })))?;
        tokio::time::sleep(BETWEEN).await;
    }
}

async fn ask(file: &str, server: &str, path: &str) -> Result<Value> {
    // Read anew for each request: the kubelet replaces it, and what it replaced expires.
    let token = fs::read_to_string(file).with_context(|| file.to_owned())?;
    let request = Request::get(path).bearer(&token);
    let response = Connection::http1_to(server).await?.send(&request).await?;
    Ok(json!({
        "status": response.status,
        "reason": response.reason(),
        "token": id(&token),
        "told": told(&response),
    }))
}

/// The claim `jti`, of a token that need not be looked at twice.
fn id(token: &str) -> Option<Value> {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Value>(&claims).ok()?.get("jti").cloned()
}

/// `namespace/name`, from the echo of what reached the other application.
fn told(response: &Response) -> Option<String> {
    let echo = response.json().ok()?;
    let headers = echo["headers"].as_array()?;
    let value = |name| headers.iter().find(|header| header[0] == name)?[1].as_str();
    Some(format!("{}/{}", value("x-sa-namespace")?, value("x-sa-name")?))
}

const BETWEEN: Duration = Duration::from_secs(1);

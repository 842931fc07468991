//! A service's application that calls another by itself: it reads its projected token for each request.
//!
//! `token-app FILE HOST:PORT PATH` sends a request every second, and prints a JSON line for each response: its status, the
//! filter's reason of a denial, the ID of the sent token, and the caller in the identity headers.

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
    // Read for each request, because the kubelet replaces the token before it expires.
    let token = fs::read_to_string(file).with_context(|| file.to_owned())?;
    let request = Request::get(path).bearer(&token);
    let response = Connection::http1_to(server).await?.send(&request).await?;
    Ok(json!({
        "status": response.status,
        "reason": response.reason(),
        "token": id(&token),
        "caller": caller(&response),
    }))
}

/// The claim `jti`, of a token that need not be looked at twice.
fn id(token: &str) -> Option<Value> {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Value>(&claims).ok()?.get("jti").cloned()
}

/// `namespace/name`, from the echo of what reached the other application.
fn caller(response: &Response) -> Option<String> {
    let echo = response.json().ok()?;
    let headers = echo["headers"].as_array()?;
    let value = |name| headers.iter().find(|header| header[0] == name)?[1].as_str();
    Some(format!("{}/{}", value("x-sa-namespace")?, value("x-sa-name")?))
}

const BETWEEN: Duration = Duration::from_secs(1);

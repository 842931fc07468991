//! Requests and what was said of them come in; whether any of it holds a token or its signature goes out.

use anyhow::{Result, ensure};
use envoy_test::{Envoy, Request, Response};

/// Ends of the claims and signatures of a request's tokens, long enough to be told.
pub fn secrets(request: &Request) -> Vec<String> {
    let values = request.headers().iter().map(|(_, value)| String::from_utf8_lossy(value));
    let words =
        values.flat_map(|value| value.split([' ', ',']).map(str::to_owned).collect::<Vec<_>>());
    let tokens = words.filter(|word| word.matches('.').count() == 2);
    let parts =
        tokens.flat_map(|token| token.split('.').skip(1).map(str::to_owned).collect::<Vec<_>>());
    parts
        .filter(|part| part.len() >= LONG)
        .map(|part| part[part.len() - LONG..].to_owned())
        .collect()
}

/// Fails if a refusal tells its caller any of this.
pub fn check_answer(response: &Response, secrets: &[String]) -> Result<()> {
    let headers = response.headers.iter().chain(&response.trailers);
    let text: String = headers.map(|(_, value)| String::from_utf8_lossy(value)).collect();
    let told =
        secrets.iter().find(|secret| text.contains(*secret) || response.text().contains(*secret));
    ensure!(told.is_none(), "the answer has a token in it");
    Ok(())
}

/// Fails if the log, a metric, or what the filter gives to the access log holds any of this.
pub async fn check_envoy(envoy: &Envoy, secrets: &[String]) -> Result<()> {
    let log = envoy.access_log();
    // The path is the caller's, and Envoy's to log.
    let ours = log.iter().map(|line| format!("{} {}", line["details"], line["subject"]));
    let places = [
        ("the log", envoy.log()),
        ("the stats", Request::get("/stats").send(envoy.admin_port()).await?.text()),
        ("the metrics", envoy.prometheus().await?),
        ("the access log", ours.collect()),
    ];
    for (place, text) in &places {
        ensure!(!secrets.iter().any(|secret| text.contains(secret)), "{place} has a token in it");
    }
    Ok(())
}

const LONG: usize = 20;

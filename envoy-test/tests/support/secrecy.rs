//! Checks that responses, logs and metrics contain no token or signature.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use envoy_test::{Envoy, Request, Response};

/// The last characters of the claims and signatures of a request's tokens.
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

/// Fails if the response to a denied request contains any of these.
pub fn check_answer(response: &Response, secrets: &[String]) -> Result<()> {
    let headers = response.headers.iter().chain(&response.trailers);
    let text: String = headers.map(|(_, value)| String::from_utf8_lossy(value)).collect();
    let told =
        secrets.iter().find(|secret| text.contains(*secret) || response.text().contains(*secret));
    ensure!(told.is_none(), "the answer has a token in it");
    Ok(())
}

/// Fails if the log, a metric, or the filter's access log fields contain any of these.
pub async fn check_envoy(envoy: &Envoy, secrets: &[String]) -> Result<()> {
    let log = envoy.access_log();
    // Envoy logs the path of the caller.
    let ours = log.iter().map(|line| format!("{} {}", line["details"], line["subject"]));
    let places = [
        ("the log", envoy.log()),
        ("the stats", Request::get("/stats").send(envoy.admin_port()).await?.text()),
        ("the metrics", envoy.prometheus().await?),
        ("the access log", ours.collect()),
    ];
    // All secrets have one length, so one pass finds any of them: there are thousands, and megabytes of log.
    let secrets: HashSet<&[u8]> = secrets.iter().map(String::as_bytes).collect();
    for (place, text) in &places {
        let found = text.as_bytes().windows(LONG).any(|part| secrets.contains(part));
        ensure!(!found, "{place} has a token in it");
    }
    Ok(())
}

const LONG: usize = 20;

//! The decision log in Envoy's log: dropped lines in a flood, and escaping of caller and server input.

use crate::support::reviews::{gate, reviewed, reviewer};
use crate::support::{api, get};
use anyhow::{Context, Result, ensure};
use envoy_test::envoy::versions;
use envoy_test::token::assemble;
use envoy_test::{Endpoint, Envoy, Fault, Token, poll};
use serde_json::{Value, json};

/// The lines of the decision log so far.
fn lines(envoy: &Envoy) -> Vec<Value> {
    let log = envoy.log();
    let lines = log.lines().filter(|line| line.contains("wasm log"));
    lines.filter_map(|line| serde_json::from_str(line.get(line.find('{')?..)?).ok()).collect()
}

/// The number of lines for requests denied with this reason, and of dropped lines.
fn counted(lines: &[Value], reason: &str) -> (usize, u64) {
    let written = lines.iter().filter(|line| line["reason"] == reason).count();
    let dropped = lines.iter().filter_map(|line| line["dropped"][reason].as_u64());
    (written, dropped.sum())
}

#[tokio::test]
async fn flood_of_invalid_tokens_does_not_hide_log_lines_of_authenticated_callers() -> Result<()> {
    const INVALID: u64 = 600;
    for version in versions() {
        let api_server = reviewer().await?;
        let mut config = reviewed("afterVerification", json!({ "onOutage": "acceptVerified" }));
        config["rules"] = json!([{ "name": "secrets", "allow": ["api/api"] }]);
        let gate = gate(&version, &api_server, config).await?;
        let port = gate.envoy.port();
        let (good, other) =
            (api_server.mint(api()), api_server.mint(Token::for_service_account("web", "web")));
        ensure!(get(&good).send(port).await?.status == 200, "the keys are there");
        api_server.set_fault(Endpoint::TokenReview, Some(Fault::Status(500)));
        let invalid = (0..INVALID).map(|_| get("a.b.c"));
        let flood = crate::support::send_all(port, invalid);
        // During the flood.
        let (forbidden, unreviewed) = (get(&other), get(&api_server.mint(api())));
        let (forbidden, unreviewed) = tokio::join!(forbidden.send(port), unreviewed.send(port));
        ensure!(forbidden?.status == 403, "Envoy {version}");
        ensure!(unreviewed?.status == 200, "Envoy {version}");
        for answer in crate::support::answers(flood).await? {
            crate::support::check_refused(&answer, 401, "malformed_token")?;
        }
        poll::until("a line or a count for every request", async || {
            let (written, dropped) = counted(&lines(&gate.envoy), "malformed_token");
            Ok((written as u64 + dropped == INVALID).then_some(()))
        })
        .await?;
        let lines = lines(&gate.envoy);
        let (written, dropped) = counted(&lines, "malformed_token");
        println!("Envoy {version}: {written} lines, {dropped} dropped");
        ensure!(dropped > 0, "Envoy {version}: the flood was none: {written} lines");
        ensure!(counted(&lines, "forbidden") == (1, 0), "Envoy {version}");
        let unreviewed = lines.iter().filter(|line| line.get("unreviewed").is_some());
        let unreviewed: Vec<_> = unreviewed.filter(|line| line["verdict"] == "allowed").collect();
        ensure!(unreviewed.len() == 1, "Envoy {version}: {unreviewed:?}");
        ensure!(unreviewed[0]["sub"] == "system:serviceaccount:api:api", "{unreviewed:?}");
    }
    Ok(())
}

/// C1 controls, DEL, bidirectional overrides, a line separator, a byte order mark.
const HOSTILE: &str = "\u{85}\u{9b}2J\u{7f}\u{202e}\u{2066}\u{2028}\u{feff}";

#[tokio::test]
async fn caller_and_server_input_is_logged_as_printable_ascii() -> Result<()> {
    for version in versions() {
        let api_server = reviewer().await?;
        let document = json!({ "issuer": HOSTILE, "jwks_uri": HOSTILE }).to_string().into_bytes();
        api_server.set_fault(Endpoint::Discovery, Some(Fault::Body(document)));
        let gate = gate(
            &version,
            &api_server,
            crate::support::config(crate::support::discovery(json!({}))),
        )
        .await?;
        gate.envoy.wait_log(r"\u{85}\u{9b}2J\u{7f}\u{202e}\u{2066}\u{2028}\u{feff}").await?;
        let header = json!({ "alg": "ES256", "kid": format!("kid{HOSTILE}") }).to_string();
        let claims = json!({
            "iss": format!("iss{HOSTILE}"),
            "sub": format!("sub{HOSTILE}"),
            "aud": [format!("aud{HOSTILE}")],
        });
        let token = assemble(&header, &claims.to_string(), |_| vec![1]);
        let request = get(&token).header("x-request-id", HOSTILE.replace('\u{7f}', ""));
        crate::support::check_refused(
            &request.send(gate.envoy.port()).await?,
            401,
            "unknown_issuer",
        )?;
        gate.envoy.wait_log("\"reason\":\"unknown_issuer\"").await?;
        let lines = lines(&gate.envoy);
        let line =
            lines.iter().find(|line| line["reason"] == "unknown_issuer").context("a line")?;
        for (name, expected) in [
            ("kid", format!("kid{HOSTILE}")),
            ("sub", format!("sub{HOSTILE}")),
            ("issuer", format!("iss{HOSTILE}")),
            ("aud", format!("aud{HOSTILE}")),
        ] {
            ensure!(line[name] == *expected, "Envoy {version}: {name} in {line}");
        }
        let log = gate.envoy.log();
        for line in log.lines().filter(|line| line.contains("wasm log")) {
            let printable = line.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
            ensure!(printable, "Envoy {version}: {line:?}");
        }
    }
    Ok(())
}

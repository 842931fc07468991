//! The disturbances of the soak: key rotations, reloads and failing API servers, one after another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use envoy_test::{ApiServer, Endpoint, Fault, Request, SigningKey, Token, poll};
use serde_json::json;
use tokio::time::sleep;

use super::events::Event;
use super::stage::{Stage, config};
use super::tokens::{WEST, announce, withdraw_others};

/// Repeats all disturbances until the time is over, and ends the current one.
pub async fn go_on(stage: &Arc<Stage>, time: Duration) -> Result<()> {
    let left = || time.checked_sub(stage.events.age());
    let mut disturbances = ORDER.iter().cycle();
    sleep(QUIET.min(time)).await;
    while let (Some(disturbance), Some(_)) = (disturbances.next(), left()) {
        eprintln!("  {:>5} s: {disturbance:?}", stage.events.age().as_secs());
        disturbance.happen(stage).await.with_context(|| format!("{disturbance:?}"))?;
        sleep(QUIET.min(left().unwrap_or_default())).await;
    }
    Ok(())
}

/// One of them.
#[derive(Clone, Debug)]
enum Disturbance {
    RotateEast,
    RotateWest,
    Reloads,
    BadConfiguration,
    ReloadsWhileAllIsDown,
    Reviews(Fault),
    WestKeys(Fault),
    EastKeys(Fault),
    WestDown,
    EastDown,
}

const ORDER: &[Disturbance] = &[
    Disturbance::RotateEast,
    Disturbance::Reviews(Fault::Stall),
    Disturbance::Reloads,
    Disturbance::EastKeys(Fault::Close),
    Disturbance::Reviews(Fault::Status(500)),
    Disturbance::RotateWest,
    Disturbance::WestDown,
    Disturbance::BadConfiguration,
    Disturbance::EastKeys(Fault::StallMidBody),
    Disturbance::Reviews(Fault::Truncate),
    Disturbance::ReloadsWhileAllIsDown,
    Disturbance::EastDown,
    Disturbance::Reviews(Fault::Close),
    Disturbance::WestKeys(Fault::Stall),
    Disturbance::Reloads,
    Disturbance::Reviews(Fault::StallMidBody),
    Disturbance::EastKeys(Fault::Status(500)),
    Disturbance::Reviews(Fault::Slow(Duration::from_millis(500))),
];

impl Disturbance {
    async fn happen(&self, stage: &Stage) -> Result<()> {
        match self {
            Self::RotateEast => rotate_east(stage).await,
            Self::RotateWest => rotate_west(stage).await,
            Self::Reloads => {
                for _ in 0..RELOADS {
                    reload(stage).await?;
                    sleep(BETWEEN_RELOADS).await;
                }
                Ok(())
            }
            Self::BadConfiguration => bad_configuration(stage).await,
            Self::ReloadsWhileAllIsDown => {
                down(stage, &[&stage.east, &stage.west], async || reload(stage).await).await
            }
            Self::Reviews(fault) => {
                let west = [(&stage.west, Endpoint::TokenReview)];
                failing(stage, Event::WestTrouble, &west, fault).await
            }
            Self::WestKeys(fault) => {
                let west = [Endpoint::Discovery, Endpoint::Jwks].map(|one| (&stage.west, one));
                failing(stage, Event::WestKeysTrouble, &west, fault).await
            }
            Self::EastKeys(fault) => {
                let east = [Endpoint::Discovery, Endpoint::Jwks].map(|one| (&stage.east, one));
                failing(stage, Event::EastTrouble, &east, fault).await
            }
            Self::WestDown => down(stage, &[&stage.west], async || Ok(())).await,
            Self::EastDown => down(stage, &[&stage.east], async || Ok(())).await,
        }
    }
}

/// The new key is published before it signs tokens, and the old one is removed after its last
/// token: no valid caller may be affected.
async fn rotate_east(stage: &Stage) -> Result<()> {
    stage.events.begins(Event::EastRotates);
    let old = stage.east.signing_key();
    let new = announce(&stage.east);
    everywhere(stage, "200", || account().sign(&new)).await?;
    let west_key = stage.tokens.page().west_key.clone();
    stage.tokens.turn(new.clone(), west_key).await?;
    renew_credential(stage, "east", &stage.east).await?;
    withdraw_others(&stage.east, &new);
    everywhere(stage, "401", || account().sign(&old)).await?;
    sleep(RATION_REFILLS).await;
    stage.events.ends(Event::EastRotates);
    Ok(())
}

async fn rotate_west(stage: &Stage) -> Result<()> {
    let new = announce(&stage.west);
    reviewed_everywhere(stage, &new).await?;
    let east_key = stage.tokens.page().east_key.clone();
    stage.tokens.turn(east_key, new.clone()).await?;
    renew_credential(stage, "west", &stage.west).await?;
    withdraw_others(&stage.west, &new);
    Ok(())
}

/// Envoy's own token is signed by the old key too: the kubelet replaces it, and Envoy takes it within a second.
async fn renew_credential(stage: &Stage, name: &str, api_server: &ApiServer) -> Result<()> {
    let token = Token::for_service_account("envoy-system", "sa-authn");
    let token = api_server.mint(token.audience(&api_server.audience()));
    stage.envoy.credential(name).update(&[("token", &token), ("ca.crt", api_server.ca_pem())])?;
    sleep(CREDENTIAL_IS_TAKEN).await;
    Ok(())
}

/// Allows or denies `web/web`.
async fn reload(stage: &Stage) -> Result<()> {
    let now = Instant::now();
    let (old, new, web) = match stage.events.overlaps(Event::WebIsOut, now, now) {
        true => (Event::WebIsOut, Event::WebIsIn, true),
        false => (Event::WebIsIn, Event::WebIsOut, false),
    };
    let taken = stage.envoy.stat(TAKEN).await?;
    stage.events.begins(new);
    stage.envoy.replace_plugin_config(&config(web))?;
    let all = taken + u64::from(stage.workers);
    stage.envoy.wait_stat(TAKEN, |taken| taken >= all).await?;
    stage.events.ends(old);
    Ok(())
}

/// Envoy rejects it, and keeps the old configuration.
async fn bad_configuration(stage: &Stage) -> Result<()> {
    let refused = stage.envoy.stat(REFUSED).await?;
    let mut bad = config(false);
    bad["rules"][0]["allow"] = json!("no-one");
    stage.envoy.replace_plugin_config(&bad)?;
    stage.envoy.wait_stat(REFUSED, |now| now > refused).await?;
    Ok(())
}

async fn failing(
    stage: &Stage,
    what: Event,
    endpoints: &[(&ApiServer, Endpoint)],
    fault: &Fault,
) -> Result<()> {
    stage.events.begins(what);
    endpoints.iter().for_each(|(server, one)| server.set_fault(*one, Some(fault.clone())));
    sleep(LASTS).await;
    endpoints.iter().for_each(|(server, one)| server.set_fault(*one, None));
    recover(stage, what).await
}

/// Closes connections and refuses new ones, and then restarts.
async fn down(
    stage: &Stage,
    servers: &[&ApiServer],
    meanwhile: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let whats = servers.iter().map(|server| match server.port() == stage.east.port() {
        true => Event::EastTrouble,
        false => Event::WestTrouble,
    });
    let whats: Vec<_> = whats.collect();
    whats.iter().for_each(|what| stage.events.begins(*what));
    for server in servers {
        server.stop().await;
    }
    let meanwhile = meanwhile().await;
    sleep(LASTS).await;
    for server in servers {
        server.restart().await?;
    }
    for what in whats {
        recover(stage, what).await?;
    }
    meanwhile
}

async fn recover(stage: &Stage, what: Event) -> Result<()> {
    if what == Event::WestTrouble {
        // Calls sent during the disturbance end with their timeout, and so do the requests that wait for them.
        sleep(REVIEW_TIMEOUT).await;
        reviewed_everywhere(stage, &stage.tokens.page().west_key).await?;
    } else {
        // Two refreshes of keys by any worker.
        sleep(2 * REFRESH).await;
    }
    stage.events.ends(what);
    Ok(())
}

async fn reviewed_everywhere(stage: &Stage, key: &SigningKey) -> Result<()> {
    everywhere(stage, "200", || account().issuer(WEST).sign(key)).await
}

/// Waits until this many consecutive requests, each with a new token on a new connection, have this status: with four
/// workers, the probability of missing a different one is 1 in 10 million.
async fn everywhere(stage: &Stage, status: &str, token: impl Fn() -> String) -> Result<()> {
    let workers = stage.workers as usize;
    let mut in_a_row = 0;
    poll::until_within(Duration::from_secs(60), "all workers to agree", async || {
        let request = Request::get("/secrets/1").bearer(&token());
        let response = request.send(stage.envoy.port()).await?;
        in_a_row = if response.status.to_string() == status { in_a_row + 1 } else { 0 };
        Ok((in_a_row >= 15 * workers).then_some(()))
    })
    .await
    .with_context(|| format!("to answer {status}"))?;
    ensure!(stage.envoy.is_running(), "Envoy has ended");
    Ok(())
}

fn account() -> Token {
    Token::for_service_account("api", "api-1")
}

const QUIET: Duration = Duration::from_secs(10);
const LASTS: Duration = Duration::from_secs(7);
/// `tokenReview.timeout`, and a little more.
const REVIEW_TIMEOUT: Duration = Duration::from_secs(3);
const REFRESH: Duration = Duration::from_secs(6);
const RATION_REFILLS: Duration = Duration::from_secs(5);
const CREDENTIAL_IS_TAKEN: Duration = Duration::from_secs(3);
const RELOADS: usize = 4;
const BETWEEN_RELOADS: Duration = Duration::from_secs(2);

/// Counts each worker that has taken a listener.
const TAKEN: &str = "listener_manager.listener_create_success";
const REFUSED: &str = "listener_manager.lds.update_rejected";

//! The disturbances of the soak: key rotations, reloads and failing API servers, one after another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use envoy_test::{ApiServer, Endpoint, Fault, Request, SigningKey, Token, poll};
use serde_json::json;
use tokio::time::sleep;

use super::book::{WEST, announce, withdraw_others};
use super::chronicle::What;
use super::stage::{Stage, config};

/// Repeats all disturbances until the time is over, and ends the current one.
pub async fn go_on(stage: &Arc<Stage>, time: Duration) -> Result<()> {
    let left = || time.checked_sub(stage.chronicle.age());
    let mut troubles = ORDER.iter().cycle();
    sleep(QUIET.min(time)).await;
    while let (Some(trouble), Some(_)) = (troubles.next(), left()) {
        eprintln!("  {:>5} s: {trouble:?}", stage.chronicle.age().as_secs());
        trouble.happen(stage).await.with_context(|| format!("{trouble:?}"))?;
        sleep(QUIET.min(left().unwrap_or_default())).await;
    }
    Ok(())
}

/// One of them.
#[derive(Clone, Debug)]
enum Trouble {
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

const ORDER: &[Trouble] = &[
    Trouble::RotateEast,
    Trouble::Reviews(Fault::Stall),
    Trouble::Reloads,
    Trouble::EastKeys(Fault::Close),
    Trouble::Reviews(Fault::Status(500)),
    Trouble::RotateWest,
    Trouble::WestDown,
    Trouble::BadConfiguration,
    Trouble::EastKeys(Fault::StallMidBody),
    Trouble::Reviews(Fault::Truncate),
    Trouble::ReloadsWhileAllIsDown,
    Trouble::EastDown,
    Trouble::Reviews(Fault::Close),
    Trouble::WestKeys(Fault::Stall),
    Trouble::Reloads,
    Trouble::Reviews(Fault::StallMidBody),
    Trouble::EastKeys(Fault::Status(500)),
    Trouble::Reviews(Fault::Slow(Duration::from_millis(500))),
];

impl Trouble {
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
                failing(stage, What::WestTrouble, &west, fault).await
            }
            Self::WestKeys(fault) => {
                let west = [Endpoint::Discovery, Endpoint::Jwks].map(|one| (&stage.west, one));
                failing(stage, What::WestKeysTrouble, &west, fault).await
            }
            Self::EastKeys(fault) => {
                let east = [Endpoint::Discovery, Endpoint::Jwks].map(|one| (&stage.east, one));
                failing(stage, What::EastTrouble, &east, fault).await
            }
            Self::WestDown => down(stage, &[&stage.west], async || Ok(())).await,
            Self::EastDown => down(stage, &[&stage.east], async || Ok(())).await,
        }
    }
}

/// The new key is published before it signs tokens, and the old one is removed after its last
/// token: no valid caller may be affected.
async fn rotate_east(stage: &Stage) -> Result<()> {
    stage.chronicle.begins(What::EastRotates);
    let old = stage.east.signing_key();
    let new = announce(&stage.east);
    everywhere(stage, "200", || account().sign(&new)).await?;
    let west_key = stage.book.page().west_key.clone();
    stage.book.turn(new.clone(), west_key).await?;
    renew_credential(stage, "east", &stage.east).await?;
    withdraw_others(&stage.east, &new);
    everywhere(stage, "401", || account().sign(&old)).await?;
    sleep(RATION_REFILLS).await;
    stage.chronicle.ends(What::EastRotates);
    Ok(())
}

async fn rotate_west(stage: &Stage) -> Result<()> {
    let new = announce(&stage.west);
    reviewed_everywhere(stage, &new).await?;
    let east_key = stage.book.page().east_key.clone();
    stage.book.turn(east_key, new.clone()).await?;
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
    let (old, new, web) = match stage.chronicle.went_on(What::WebIsOut, now, now) {
        true => (What::WebIsOut, What::WebIsIn, true),
        false => (What::WebIsIn, What::WebIsOut, false),
    };
    let taken = stage.envoy.stat(TAKEN).await?;
    stage.chronicle.begins(new);
    stage.envoy.replace_plugin_config(&config(web))?;
    let all = taken + u64::from(stage.workers);
    stage.envoy.wait_stat(TAKEN, |taken| taken >= all).await?;
    stage.chronicle.ends(old);
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
    what: What,
    endpoints: &[(&ApiServer, Endpoint)],
    fault: &Fault,
) -> Result<()> {
    stage.chronicle.begins(what);
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
        true => What::EastTrouble,
        false => What::WestTrouble,
    });
    let whats: Vec<_> = whats.collect();
    whats.iter().for_each(|what| stage.chronicle.begins(*what));
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

async fn recover(stage: &Stage, what: What) -> Result<()> {
    if what == What::WestTrouble {
        // Calls sent during the disturbance end with their timeout, and so do the requests that wait for them.
        sleep(REVIEW_TIMEOUT).await;
        reviewed_everywhere(stage, &stage.book.page().west_key).await?;
    } else {
        // Two refreshes of keys by any worker.
        sleep(2 * REFRESH).await;
    }
    stage.chronicle.ends(what);
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

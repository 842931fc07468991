//! A service's application, which serves the requests that pass its Envoy.
//!
//! `server-app` reports the requests to the test; `server-app PORT` only serves, at this port of 127.0.0.1.

use std::env;
use std::future::pending;

use anyhow::Result;
use envoy_test::Upstream;
use envoy_test::apps::{question, reply};

#[tokio::main]
async fn main() -> Result<()> {
    if let Some(port) = env::args().nth(1) {
        let _upstream = Upstream::start_at(port.parse()?).await?;
        return pending().await;
    }
    let upstream = Upstream::start().await?;
    reply(&upstream.port())?;
    while tokio::task::block_in_place(question::<()>)?.is_some() {
        reply(&upstream.received())?;
    }
    Ok(())
}

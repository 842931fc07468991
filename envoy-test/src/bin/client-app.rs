//! A service's application that calls another service: it sends the test's requests, without tokens.
//!
//! `client-app PORT` sends each request that it reads; `client-app PORT load` sends the first of them until it reads
//! "stop".

use std::env;

use anyhow::{Context, Result};
use envoy_test::Request;
use envoy_test::apps::{question, reply};
use envoy_test::load::Steady;
use tokio::task::block_in_place;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let port = arguments.next().context("the port to send to")?.parse()?;
    if arguments.next().is_some() { load(port).await } else { ask(port).await }
}

async fn ask(port: u16) -> Result<()> {
    while let Some(request) = block_in_place(question::<Request>)? {
        reply(&request.send(port).await.map_err(|error| format!("{error:#}")))?;
    }
    Ok(())
}

async fn load(port: u16) -> Result<()> {
    let request: Request = block_in_place(question)?.context("a request")?;
    let steady = Steady::sending(port, request);
    while let Some(what) = block_in_place(question::<String>)? {
        if what == "stop" {
            return reply(&steady.stop().await.map_err(|error| format!("{error:#}")));
        }
        reply(&steady.sent())?;
    }
    Ok(())
}

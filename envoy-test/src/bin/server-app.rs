//! A service's application, which serves whatever its Envoy lets through, and tells the test what that was.

use anyhow::Result;
use envoy_test::Upstream;
use envoy_test::apps::{question, reply};

#[tokio::main]
async fn main() -> Result<()> {
    let upstream = Upstream::start().await?;
    reply(&upstream.port())?;
    while tokio::task::block_in_place(question::<()>)?.is_some() {
        reply(&upstream.received())?;
    }
    Ok(())
}

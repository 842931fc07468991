//! Polls a condition until it holds, or fails with a timeout.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The default timeout.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Asks `check` until it answers `Some`, at most [`LIMIT`] long.
///
/// An error of `check` ends the wait at once, because the condition can no longer hold.
pub async fn until<T>(what: &str, check: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    until_within(LIMIT, what, check).await
}

/// Asks `check` until it answers `Some`, at most `limit` long.
pub async fn until_within<T>(
    limit: Duration,
    what: &str,
    mut check: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = check().await? {
            return Ok(value);
        }
        if start.elapsed() > limit {
            bail!("timed out after {limit:?} waiting for {what}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

const PAUSE: Duration = Duration::from_millis(20);

//! A condition comes in; its value goes out as soon as it holds, or an error that says what never came.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything in a test may take before the test has failed.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Asks `check` until it answers `Some`, at most [`LIMIT`] long.
///
/// An error of `check` ends the waiting at once: it says that what is waited for can't come any more.
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
            bail!("waited {limit:?} in vain for {what}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

const PAUSE: Duration = Duration::from_millis(20);

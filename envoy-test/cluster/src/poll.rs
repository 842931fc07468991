//! Polls a condition until it holds, or fails with the last thing that was seen.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Long enough for a pod with a sidecar on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(300);

/// Calls `check` until it returns `Ok(None)`; `Ok(Some(seen))` describes what is there instead. An error ends the wait.
pub fn until(what: &str, check: impl FnMut() -> Result<Option<String>>) -> Result<()> {
    until_within(LIMIT, what, check)
}

/// The same with another limit.
pub fn until_within(
    limit: Duration,
    what: &str,
    mut check: impl FnMut() -> Result<Option<String>>,
) -> Result<()> {
    let start = Instant::now();
    while let Some(seen) = check()? {
        if start.elapsed() > limit {
            bail!("timed out after {limit:?} waiting for {what}; last: {seen}");
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

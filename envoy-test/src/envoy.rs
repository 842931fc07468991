//! Starts Envoys, and observes them.
//!
//! `setup` has the options of a test, `bootstrap` creates Envoy's configuration (from `envoy.yaml`, the
//! example for users), `process` runs it, and `observe` has its statistics and logs.
//! `caller` is the same for the Envoy of a service that calls another (from `caller/envoy.yaml`).

mod bootstrap;
pub mod caller;
mod credential;
mod health;
mod lds;
mod observe;
mod process;
mod setup;

pub use caller::CallerSetup;
pub use process::Envoy;
pub use programs::envoy as binary;
pub use programs::envoy::envoy_binary;
pub use setup::{EnvoySetup, default_module};

/// The Envoys to test with: `ENVOY_VERSIONS` (with spaces between), or the oldest and the newest supported one.
pub fn versions() -> Vec<String> {
    let chosen = std::env::var("ENVOY_VERSIONS").unwrap_or_default();
    let chosen: Vec<_> = chosen.split_whitespace().map(str::to_owned).collect();
    if chosen.is_empty() { binary::OLDEST_AND_NEWEST.map(str::to_owned).to_vec() } else { chosen }
}

/// The oldest and the newest of [`versions`]; one, where there is only one.
pub fn oldest_and_newest() -> Vec<String> {
    let mut versions = versions();
    let number = |part: &str| part.parse::<u32>().unwrap_or_default();
    versions.sort_by_key(|version| version.split('.').map(number).collect::<Vec<_>>());
    versions.dedup();
    match versions.as_slice() {
        [oldest, .., newest] => vec![oldest.clone(), newest.clone()],
        _ => versions,
    }
}

/// The Envoy of a setup that names no version: the newest of [`versions`].
fn default_version() -> String {
    oldest_and_newest().pop().unwrap_or_else(|| binary::DEFAULT_VERSION.to_owned())
}

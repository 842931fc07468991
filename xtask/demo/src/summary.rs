//! The summary of the demo.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::Result;
use envoy_test::Endpoint;

use super::stage::Stage;
use super::table::Row;

/// The results of the demo.
#[derive(Debug)]
pub struct Summary {
    rows: usize,
    right: usize,
    envoy: String,
    module: String,
    kilobytes: u64,
    key_fetches: usize,
    reviews: usize,
    /// Requests to the API server from other callers than Envoy's service account.
    other_callers: usize,
}

// === impl Summary ===

impl Summary {
    /// Counts.
    pub async fn of(stage: &Stage, rows: &[Row]) -> Result<Self> {
        let module = stage.module();
        let asked = stage.api_server().requests();
        let by_envoy = |caller: &Option<String>| caller.as_deref() == Some(ENVOY_SUBJECT);
        Ok(Self {
            rows: rows.len(),
            right: rows.iter().filter(|row| row.is_right()).count(),
            envoy: stage.envoy_version().await?,
            module: short(module).display().to_string(),
            kilobytes: fs::metadata(module)?.len() / 1000,
            key_fetches: stage.api_server().count(Endpoint::Jwks),
            reviews: stage.api_server().count(Endpoint::TokenReview),
            other_callers: asked.iter().filter(|request| !by_envoy(&request.caller)).count(),
        })
    }

    /// Whether every request had its expected outcome, and only Envoy called the API server.
    pub fn is_success(&self) -> bool {
        self.right == self.rows && self.other_callers == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, right, envoy, module, kilobytes, key_fetches, reviews, other_callers } =
            self;
        writeln!(f, "{right} of {rows} passed, in Envoy {envoy} with {module} ({kilobytes} KB).")?;
        let fetches = if *key_fetches == 1 { "key fetch" } else { "key fetches" };
        match other_callers {
            0 => writeln!(
                f,
                "The API server saw {key_fetches} {fetches} and {reviews} TokenReviews, each authenticated \
                 as {ENVOY_SUBJECT}."
            ),
            _ => writeln!(
                f,
                "WRONG: the API server saw {other_callers} requests that were not authenticated as \
                 {ENVOY_SUBJECT}."
            ),
        }
    }
}

/// Relative to the repository, if it is inside.
fn short(module: &Path) -> &Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.and_then(|root| module.strip_prefix(root).ok()).unwrap_or(module)
}

/// The service account of the token that Envoy adds to the filter's calls.
const ENVOY_SUBJECT: &str = "system:serviceaccount:envoy-system:sa-authn";

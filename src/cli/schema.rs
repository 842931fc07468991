//! `sa-authn schema`: prints the JSON Schema of the configuration (filter-config/schema.json).

use super::{Failure, Report};
use sa_authn::config;

/// Prints the schema.
pub fn print() -> Result<Report, Failure> {
    let mut schema = config::schema();
    // Cargo unifies features: another crate of the build may enable `preserve_order` of serde_json.
    schema.sort_all_objects();
    let text = serde_json::to_string_pretty(&schema);
    let text = text.map_err(|error| Failure(error.to_string()))?;
    Ok(Report::plain(text + "\n"))
}

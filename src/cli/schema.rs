//! `sa-authn schema`: the JSON Schema of the configuration, as filter-config/schema.json has it.

use super::{Failure, Report};
use sa_authn::config;

/// Prints it.
pub fn print() -> Result<Report, Failure> {
    let mut schema = config::schema();
    // Whatever else is built beside us may have serde_json keep the order in which members were added.
    schema.sort_all_objects();
    let text = serde_json::to_string_pretty(&schema);
    let text = text.map_err(|error| Failure(error.to_string()))?;
    Ok(Report::plain(text + "\n"))
}

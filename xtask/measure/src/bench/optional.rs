//! Contenders whose configuration a module may not support; unsupported ones are skipped.

use anyhow::Result;
use envoy_test::EnvoySetup;

use super::contender::{Contender, Filter};
use super::tokens::Mint;

/// A contender that is left out, and why.
#[derive(Debug)]
pub struct LeftOut {
    /// Its name in tables.
    pub label: String,
    /// What the module says of its configuration.
    pub why: String,
}

/// Those that the module takes, and those that it refuses. An Envoy with one that is refused would not start.
pub async fn sort(
    envoy_version: &str,
    mint: &Mint,
    contenders: Vec<Contender>,
) -> Result<(Vec<Contender>, Vec<LeftOut>)> {
    let (mut taken, mut left_out) = (Vec::new(), Vec::new());
    for contender in contenders {
        match refusal(envoy_version, mint, &contender).await? {
            None => taken.push(contender),
            Some(why) => {
                eprintln!("  skipped:  {}: {why}", contender.label);
                left_out.push(LeftOut { label: contender.label, why });
            }
        }
    }
    Ok((taken, left_out))
}

// === private ===

async fn refusal(version: &str, mint: &Mint, contender: &Contender) -> Result<Option<String>> {
    let Some(Filter::Wasm(wasm)) = &contender.filter else { return Ok(None) };
    let setup = EnvoySetup::new()
        .version(version)
        .module(&wasm.module)
        .plugin_config_text(&wasm.config)
        .api_server(mint.api_server());
    let Err(error) = setup.start().await else { return Ok(None) };
    let text = format!("{error:#}");
    let problem = text.lines().find_map(|line| line.split_once(PROBLEM));
    match problem {
        Some((_, problem)) => Ok(Some(problem.to_owned())),
        // Something else is wrong, and would be with every contender.
        None => Err(error),
    }
}

/// How the module's lines in Envoy's log begin.
const PROBLEM: &str = "configuration: ";

//! The memory of a VM before and after many tokens.

use anyhow::{Context, Result};
use envoy_test::KeyKind;

use super::contender::{Contender, Filter, Tokens};
use super::filters;
use super::modules::Modules;
use super::plan::Plan;
use super::stage::Stage;
use super::tokens::Mint;

/// In bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// The linear memory of the worker's VM after its first token.
    pub vm_with_one_token: u64,
    /// The same after [`TOKENS`] tokens.
    pub vm_with_many_tokens: u64,
    /// How many VMs there are with one worker.
    pub vms: usize,
    /// What the process keeps in RAM with no filter at all.
    pub process_without_filter: u64,
    /// What it keeps after its first token.
    pub process_with_one_token: u64,
    /// What it keeps after [`TOKENS`] tokens.
    pub process_with_many_tokens: u64,
}

/// Starts Envoys that have nothing else to do.
pub async fn measure(envoy_version: &str, mint: &Mint, modules: &Modules) -> Result<Memory> {
    eprintln!("Memory:");
    // The tokens are sent below, not while it warms up.
    let plan = Plan { warm_up: 1, rounds: 1, per_round: TOKENS, ..Plan::quick() };
    let alone = vec![Contender::no_filter()];
    let without = Stage::start(envoy_version, &plan, mint, alone).await?;
    let process_without_filter = without.process().resident_bytes()?;
    drop(without);

    let filter = Filter::wasm(&modules.ours, filters::ours().to_string());
    let ours = Contender::new("ours", "sa-authn", filter).tokens(Tokens::Fresh(KeyKind::P256));
    let mut stage = Stage::start(envoy_version, &plan, mint, vec![ours]).await?;
    let process = stage.process();
    let before = process.wasm_memories()?;
    let process_with_one_token = process.resident_bytes()?;
    let lane = stage.lanes.first_mut().context("one contender")?;
    lane.send(TOKENS)?;
    let after = process.wasm_memories()?;
    Ok(Memory {
        vm_with_one_token: *before.first().context(NO_MEMORY)?,
        vm_with_many_tokens: *after.first().context(NO_MEMORY)?,
        vms: before.len(),
        process_without_filter,
        process_with_one_token,
        process_with_many_tokens: process.resident_bytes()?,
    })
}

/// As many as the filter keeps by default.
pub const TOKENS: usize = 10_000;

const NO_MEMORY: &str = "no Wasm memory is found in Envoy's mappings";

//! The results as Markdown for the documentation.

use std::fmt::Write as _;

use serde_json::Value;

use super::contender::NO_FILTER;
use super::contest::Cost;
use super::memory::TOKENS;
use super::optional::LeftOut;
use super::results::Results;
use super::rivals::JWT_AUTHN;

/// All tables.
pub fn render(results: &Results) -> String {
    let plan = &results.plan;
    let mut out = format!(
        "Envoy {}, {} worker, {} turns of {} requests each, {} before them.\n\n",
        results.envoy_version, plan.workers, plan.rounds, plan.per_round, plan.warm_up
    );
    out += &rivals(&results.rivals);
    out += &left_out(&results.left_out);
    out += &growth(&results.growth);
    out += &sizes(results);
    out += &ratios(&results.summary());
    out
}

// === private ===

fn rivals(costs: &[Cost]) -> String {
    let reference = costs.iter().find(|cost| cost.key == JWT_AUTHN).map(|cost| cost.over.median);
    let mut out =
        "| | us of CPU over no filter | quartiles | of jwt_authn's | p50, us | p99, us |\n\
                   |---|---:|---|---:|---:|---:|\n"
            .to_owned();
    for cost in costs {
        let (label, p50, p99) = (&cost.label, cost.p50, cost.p99);
        let of = reference.filter(|reference| *reference > 0.0 && cost.key != NO_FILTER);
        let of = of.map_or(String::new(), |reference| {
            format!("{:.0} %", cost.over.median / reference * 100.0)
        });
        let (over, quartiles) = if cost.key == NO_FILTER {
            (format!("0 (of {:.0})", cost.cpu.median), String::new())
        } else {
            columns(cost)
        };
        let _ = writeln!(out, "| {label} | {over} | {quartiles} | {of} | {p50:.0} | {p99:.0} |");
    }
    out
}

/// A line for each cause.
fn left_out(all: &[LeftOut]) -> String {
    let mut out = String::new();
    for group in all.chunk_by(|a, b| a.why == b.why) {
        let labels: Vec<_> = group.iter().map(|left| left.label.as_str()).collect();
        let why = group.first().map_or("", |left| left.why.as_str());
        let _ = writeln!(out, "\nNot measured, because of {why}: {}.", labels.join("; "));
    }
    out
}

fn growth(contests: &[Vec<Cost>]) -> String {
    let mut out = "\n| sa-authn with | us of CPU over no filter | quartiles | no filter, us |\n\
                   |---|---:|---|---:|\n"
        .to_owned();
    for costs in contests {
        let base = costs.first().map_or(0.0, |base| base.cpu.median);
        for cost in costs.iter().skip(1) {
            let (label, (over, quartiles)) = (&cost.label, columns(cost));
            let _ = writeln!(out, "| {label} | {over} | {quartiles} | {base:.0} |");
        }
    }
    out
}

fn columns(cost: &Cost) -> (String, String) {
    let over = cost.over;
    (format!("{:.1}", over.median), format!("{:.1} to {:.1}", over.low, over.high))
}

fn sizes(results: &Results) -> String {
    let (memory, startup) = (&results.memory, &results.startup);
    let mega = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let rows = [
        ("module".to_owned(), mega(results.module_bytes)),
        ("Wasm memory of a VM with one token".to_owned(), mega(memory.vm_with_one_token)),
        (format!("Wasm memory of a VM after {TOKENS} tokens"), mega(memory.vm_with_many_tokens)),
        ("VMs with one worker".to_owned(), memory.vms.to_string()),
        ("Envoy in RAM without a filter".to_owned(), mega(memory.process_without_filter)),
        ("Envoy in RAM with sa-authn".to_owned(), mega(memory.process_with_one_token)),
        (format!("the same after {TOKENS} tokens"), mega(memory.process_with_many_tokens)),
        (
            "start to first answer without a filter".to_owned(),
            format!("{:.0} ms", startup.without_filter.median),
        ),
        (
            "start to first answer with sa-authn".to_owned(),
            format!("{:.0} ms", startup.ours.median),
        ),
    ];
    let rows = rows.map(|(name, value)| format!("| {name} | {value} |\n"));
    format!("\n| | |\n|---|---:|\n{}", rows.concat())
}

fn ratios(summary: &Value) -> String {
    let rows = summary.as_object().into_iter().flatten();
    let rows: String = rows.map(|(name, value)| format!("| `{name}` | {value} |\n")).collect();
    format!("\n| summary.json | |\n|---|---:|\n{rows}")
}

//! `cargo xtask bench --against OLD.wasm`: compares the module built from the source with another one.
//!
//! Both are in one Envoy, and their turns alternate. Several Envoys serve one after another, and in half of them the listeners of
//! the new module come first: in one order only, the same module seemed up to 2.4 % slower than itself.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use envoy_test::KeyKind;

use super::contender::{Contender, Filter, Tokens};
use super::contest::{order, turn};
use super::modules::output_folder;
use super::optional::{self, LeftOut};
use super::paired::{Finding, MARGIN, Part, Ratio, Round, Start};
use super::plan::Plan;
use super::stage::Stage;
use super::statistics::mid_mean;
use super::tokens::Mint;
use super::{filters, interrupted};

/// What to compare, and how.
pub struct Comparison<'c> {
    /// The Envoy to run.
    pub envoy_version: &'c str,
    /// How many rounds, in all Envoys together.
    pub rounds: usize,
    /// Mints the tokens.
    pub mint: &'c Mint,
    /// The module to compare with.
    pub old: PathBuf,
    /// The module built from the source.
    pub new: PathBuf,
    /// The keys of the cases; empty for all.
    pub only: &'c [String],
}

/// A configuration and the tokens of its requests.
struct Case {
    key: &'static str,
    label: &'static str,
    config: String,
    tokens: Tokens,
}

/// The rounds of one case.
struct Measured {
    label: &'static str,
    starts: Vec<Start>,
}

// === impl Comparison ===

impl Comparison<'_> {
    /// Measures all cases, and returns the report.
    pub async fn run(&self) -> Result<String> {
        let (cases, left_out) = self.cases().await?;
        let (starts, plan) = plan(self.rounds);
        let nothing = |case: &Case| Measured { label: case.label, starts: Vec::new() };
        let mut measured: Vec<_> = cases.iter().map(nothing).collect();
        for start in 0..starts {
            eprintln!("Envoy {} of {starts}:", start + 1);
            let found = self.start(&plan, &cases, start % 2 == 1).await?;
            for (measured, start) in measured.iter_mut().zip(found) {
                measured.starts.push(start);
            }
        }
        let report = self.report(&measured, &left_out)?;
        fs::write(output_folder()?.join("against.md"), &report)?;
        Ok(report)
    }

    /// Measures all cases in one Envoy.
    async fn start(&self, plan: &Plan, cases: &[Case], new_first: bool) -> Result<Vec<Start>> {
        let mut contenders = vec![Contender::no_filter()];
        for case in cases {
            let mut both = self.contenders(case);
            if new_first {
                both.reverse();
            }
            contenders.extend(both);
        }
        let mut stage = Stage::start(self.envoy_version, plan, self.mint, contenders).await?;
        measure(&mut stage, plan, cases.len(), new_first).with_context(|| stage.log_tail())
    }

    /// The chosen cases that both modules accept, and what is left out.
    async fn cases(&self) -> Result<(Vec<Case>, Vec<LeftOut>)> {
        let (all, mut chosen, mut left_out) = (cases(), Vec::new(), Vec::new());
        for key in self.only {
            ensure!(
                all.iter().any(|case| case.key == key),
                "--only: no case {key:?}; expected one of {}",
                all.iter().map(|case| case.key).collect::<Vec<_>>().join(", ")
            );
        }
        let wanted =
            |case: &Case| self.only.is_empty() || self.only.iter().any(|key| key == case.key);
        for case in all.into_iter().filter(wanted) {
            let both = self.contenders(&case).to_vec();
            let (_, refused) = optional::sort(self.envoy_version, self.mint, both).await?;
            if refused.is_empty() {
                chosen.push(case);
            }
            left_out.extend(refused);
        }
        ensure!(!chosen.is_empty(), "both modules accept none of the cases");
        Ok((chosen, left_out))
    }

    fn contenders(&self, case: &Case) -> [Contender; 2] {
        [("old", &self.old), ("new", &self.new)].map(|(which, module)| {
            let filter = Filter::wasm(module, case.config.as_str());
            let (key, label) =
                (format!("{}_{which}", case.key), format!("{}, {which}", case.label));
            Contender::new(&key, &label, filter).tokens(case.tokens)
        })
    }

    fn report(&self, measured: &[Measured], left_out: &[LeftOut]) -> Result<String> {
        let (starts, plan) = plan(self.rounds);
        let mut out = format!(
            "Envoy {}, started {starts} times, {} worker, {} rounds of {} requests in each, {} before them.\n\
             Old: {}. New: {}.\n",
            self.envoy_version,
            plan.workers,
            plan.rounds,
            plan.per_round,
            plan.warm_up,
            described(&self.old)?,
            described(&self.new)?,
        );
        if fs::read(&self.old)? == fs::read(&self.new)? {
            out += "Both are the same bytes: every interval should contain 1.\n";
        }
        out += "\n| | old, us over no filter | new | new / old over no filter, 95 % | | of total CPU, 95 % | |\n\
                |---|---:|---:|---|---|---|---|\n";
        for case in measured {
            out += &row(case);
        }
        for LeftOut { label, why } in left_out {
            let _ = writeln!(
                out,
                "\nNot measured: the module refuses the configuration of \"{label}\": {why}."
            );
        }
        Ok(out)
    }
}

// === private ===

/// How many Envoys, and what each does. An even number, at least four, and more of them for more rounds.
fn plan(rounds: usize) -> (usize, Plan) {
    let starts = 2 * rounds.div_ceil(2 * ROUNDS_PER_START).max(2);
    (starts, Plan::comparison(rounds.div_ceil(starts)))
}

/// A round is three turns for each case: no filter, and both modules, of which each is first in every other round.
fn measure(stage: &mut Stage, plan: &Plan, cases: usize, new_first: bool) -> Result<Vec<Start>> {
    let process = stage.process();
    let (base, modules) = stage.lanes.split_first_mut().context("no contenders")?;
    let mut starts = vec![Start { new_first, rounds: Vec::new() }; cases];
    for round in 0..plan.rounds {
        if (round + 1) % SAY_EVERY == 0 {
            eprintln!("  round {} of {}", round + 1, plan.rounds);
        }
        for at in order(round, cases) {
            interrupted()?;
            let pair = modules.get_mut(2 * at..2 * at + 2);
            let (Some([one, other]), Some(start)) = (pair, starts.get_mut(at)) else { continue };
            let without = turn(base, plan, process)?.cpu;
            let (one, other) = if round % 2 == 0 {
                let one = turn(one, plan, process)?.cpu;
                (one, turn(other, plan, process)?.cpu)
            } else {
                let other = turn(other, plan, process)?.cpu;
                (turn(one, plan, process)?.cpu, other)
            };
            let (old, new) = if new_first { (other, one) } else { (one, other) };
            start.rounds.push(Round { without, old, new });
        }
    }
    Ok(starts)
}

fn row(case: &Measured) -> String {
    let rounds = || case.starts.iter().flat_map(|start| &start.rounds);
    let over = |cost: fn(&Round) -> f64| {
        let mut over: Vec<_> = rounds().map(|round| cost(round) - round.without).collect();
        mid_mean(&mut over)
    };
    let columns = |part| {
        let Some(ratio) = Ratio::of(&case.starts, part) else {
            return "- | indeterminate: noise hides the cost".to_owned();
        };
        let Ratio { low, value, high } = ratio;
        format!("{value:.3} ({low:.3} to {high:.3}) | {}", finding(ratio, rounds().count()))
    };
    format!(
        "| {} | {:.1} | {:.1} | {} | {} |\n",
        case.label,
        over(|round| round.old),
        over(|round| round.new),
        columns(Part::OverNoFilter),
        columns(Part::Total)
    )
}

fn finding(ratio: Ratio, rounds: usize) -> String {
    let percent = MARGIN * 100.0;
    match ratio.finding(rounds) {
        Finding::Slower => "slower".to_owned(),
        Finding::Faster => "faster".to_owned(),
        Finding::Same => "no difference found".to_owned(),
        Finding::Unclear { rounds } => {
            format!("interval too wide for {percent:.0} %: about {rounds} rounds needed")
        }
    }
}

fn described(module: &Path) -> Result<String> {
    let bytes = fs::metadata(module).with_context(|| module.display().to_string())?.len();
    Ok(format!("{}, {bytes} bytes", module.display()))
}

fn cases() -> [Case; 4] {
    let plain = || filters::ours().to_string();
    let rules = filters::ours_with_every_kind_of_rule(RULES).to_string();
    let case = |key, label, config, tokens| Case { key, label, config, tokens };
    [
        case("warm", "one token", plain(), Tokens::Same(KeyKind::Rsa2048)),
        case("cold_rs256", "every token new, RS256", plain(), Tokens::Fresh(KeyKind::Rsa2048)),
        case("cold_es256", "every token new, ES256", plain(), Tokens::Fresh(KeyKind::P256)),
        case(
            "rules",
            "one token, 50 rules by host, method and path",
            rules,
            Tokens::Same(KeyKind::Rsa2048),
        ),
    ]
}

const RULES: usize = 50;
const ROUNDS_PER_START: usize = 100;
const SAY_EVERY: usize = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_alternate_in_first_place_and_no_round_is_lost() {
        for (rounds, expected) in [(1, (4, 1)), (150, (4, 38)), (401, (6, 67)), (600, (6, 100))] {
            let (starts, plan) = plan(rounds);
            assert_eq!((starts, plan.rounds), expected, "{rounds}");
        }
    }
}

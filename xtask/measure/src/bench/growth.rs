//! The cost of a request with more tokens, rules and workers.

use anyhow::Result;
use envoy_test::KeyKind;

use super::contender::{Contender, Filter, Tokens};
use super::contest::{self, Cost};
use super::filters;
use super::modules::Modules;
use super::optional::{self, LeftOut};
use super::plan::Plan;
use super::tokens::Mint;

/// What is measured, on what, and how long.
pub struct Growth<'g> {
    /// The Envoy to run.
    pub envoy_version: &'g str,
    /// How many requests.
    pub plan: &'g Plan,
    /// Who mints tokens.
    pub mint: &'g Mint,
    /// What is measured.
    pub modules: &'g Modules,
}

// === impl Growth ===

impl Growth<'_> {
    /// As many tokens in turn as there are; nothing, and why, where the module keeps no tokens.
    pub async fn of_tokens(&self) -> Result<(Vec<Cost>, Vec<LeftOut>)> {
        let contenders = TOKENS.iter().map(|(key, label, count)| {
            let config = filters::ours_with_token_cache(CACHE_ENTRIES).to_string();
            let ring = Tokens::Ring(KeyKind::P256, *count);
            Contender::new(key, label, Filter::wasm(&self.modules.ours, config)).tokens(ring)
        });
        let (taken, left_out) =
            optional::sort(self.envoy_version, self.mint, contenders.collect()).await?;
        let costs = match taken.is_empty() {
            true => Vec::new(),
            false => self.contest("Tokens in turn", self.plan, taken).await?,
        };
        Ok((costs, left_out))
    }

    /// As many rules as there are, of which the last covers the request.
    pub async fn of_rules(&self) -> Result<Vec<Cost>> {
        let contenders = RULES.iter().map(|(key, label, count)| {
            let config = filters::ours_with_rules(*count).to_string();
            let filter = Filter::wasm(&self.modules.ours, config);
            Contender::new(key, label, filter).path(filters::path_of_rule(*count))
        });
        self.contest("Rules", self.plan, contenders.collect()).await
    }

    /// With so many workers, each with requests to do.
    pub async fn of_workers(&self, workers: u32) -> Result<Vec<Cost>> {
        let label = format!("{workers} {}", if workers == 1 { "worker" } else { "workers" });
        let key = format!("workers_{workers}");
        let filter = Filter::wasm(&self.modules.ours, filters::ours().to_string());
        let plan = Plan { workers, callers: CALLERS, ..*self.plan };
        self.contest(&label, &plan, vec![Contender::new(&key, &label, filter)]).await
    }

    async fn contest(
        &self,
        name: &str,
        plan: &Plan,
        contenders: Vec<Contender>,
    ) -> Result<Vec<Cost>> {
        let mut all = vec![Contender::no_filter()];
        all.extend(contenders);
        contest::hold(name, self.envoy_version, plan, self.mint, all).await
    }
}

/// How many workers Envoy has in turn.
pub const WORKERS: [u32; 3] = [1, 2, 4];

/// The keys that ratios are made of.
pub const ONE_TOKEN: &str = "tokens_1";
pub const MANY_TOKENS: &str = "tokens_100k";
pub const ONE_RULE: &str = "rules_1";
pub const MANY_RULES: &str = "rules_10k";

const TOKENS: [(&str, &str, usize); 3] = [
    (ONE_TOKEN, "1 token", 1),
    ("tokens_1k", "1,000 tokens in turn", 1_000),
    (MANY_TOKENS, "100,000 tokens in turn", 100_000),
];

const RULES: [(&str, &str, usize); 3] = [
    (ONE_RULE, "1 rule", 1),
    ("rules_100", "100 rules", 100),
    (MANY_RULES, "10,000 rules", 10_000),
];

/// Room for all of the tokens, so that their number is measured and not what a full cache does.
const CACHE_ENTRIES: usize = 200_000;

/// Two for each of the most workers.
const CALLERS: usize = 8;

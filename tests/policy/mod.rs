//! Rules, token sources, identity headers, and the decision log and metrics of a request.

mod accounts;
mod deny;
mod foreign;
mod hosts_and_ports;
mod identity;
mod log;
mod metrics;
mod paths;
mod requirements;
mod rules;
mod scaling;
mod shadow;
mod shadow_rules;
mod tokens;

use crate::support::{Core, inline, pairs, with};
use envoy_test::{KeyKind, Pairs, SigningKey, Token};
use sa_authn::authz::HeaderEdits;
use sa_authn::verdict::Verdict;
use serde_json::Value;

/// A core with rules, and the key of the cluster it trusts.
struct World {
    key: SigningKey,
    core: Core,
}

// === impl World ===

impl World {
    /// One issuer, and the members of `more`.
    fn new(more: Value) -> Self {
        let key = SigningKey::generate(KeyKind::P256);
        let core = Core::new(&with(inline(&[&key]), more));
        Self { key, core }
    }

    /// A token of `namespace/name`; none for `""`, and an expired one for `expired`.
    fn bearer(&self, caller: &str) -> Option<String> {
        let token = match caller.split_once('/') {
            Some((namespace, name)) => Token::for_service_account(namespace, name),
            None if caller == "expired" => Token::for_service_account("api", "api").expires_at(1),
            None => return None,
        };
        Some(format!("Bearer {}", token.sign(&self.key)))
    }

    fn request(&self, method: &str, path: &str, caller: &str) -> Pairs {
        let mut headers = pairs(&[(":method", method), (":path", path)]);
        if let Some(bearer) = self.bearer(caller) {
            headers.extend(pairs(&[("authorization", &bearer)]));
        }
        headers
    }

    /// The rule that allows the request (`-` without rules), or the reason of the denial.
    fn judge(&mut self, method: &str, path: &str, caller: &str) -> String {
        let headers = self.request(method, path, caller);
        let finished = self.core.judge(&headers).expect("a verdict");
        match finished.verdict {
            Verdict::Allow(..) => finished.rule.as_deref().unwrap_or("-").to_owned(),
            Verdict::Deny(denial) => denial.reason().code().to_owned(),
            Verdict::Shadow(permit, _) => {
                format!("shadow: {}", permit.denial().reason().code())
            }
        }
    }

    /// The headers of a request that passes, as the upstream sees them.
    fn upstream(&mut self, sent: &Pairs) -> Pairs {
        let finished = self.core.judge(sent).expect("a verdict");
        let (Verdict::Allow(_, edits) | Verdict::Shadow(_, edits)) = finished.verdict else {
            panic!("{:?}", finished.verdict)
        };
        edited(sent, &edits)
    }
}

fn edited(sent: &Pairs, edits: &HeaderEdits) -> Pairs {
    let mut headers = sent.clone();
    headers.retain(|(name, _)| !edits.removed().any(|removed| removed == name.as_bytes()));
    for (name, value) in edits.set() {
        headers.retain(|(known, _)| known != name);
        headers.push((name.to_string(), value.to_vec()));
    }
    headers
}

/// All values of a name.
fn values<'h>(headers: &'h Pairs, name: &str) -> Vec<&'h str> {
    let found = headers.iter().filter(|(known, _)| known == name);
    found.map(|(_, value)| std::str::from_utf8(value).expect("text")).collect()
}

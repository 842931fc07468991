//! The documented differences between a verifier and the table, checked in both directions.

use serde::Deserialize;

use super::{Case, PASSES};

/// A verifier of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verifier {
    /// jwt-simple, as in tests and where the host has no `verify_signature`.
    Native,
    /// Envoy's `verify_signature`.
    Envoy,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    /// A case's name; with a `*` behind it, its beginning.
    case: String,
    verifiers: Vec<Verifier>,
    /// The outcome instead of the expected one.
    outcome: String,
    because: String,
}

/// The differences of a verifier, where `said` has an outcome for each case: outcomes that are
/// neither expected nor an exception, and unused exceptions.
pub fn differences(verifier: Verifier, cases: &[Case], said: &[String]) -> Vec<String> {
    let exceptions: Vec<Exception> =
        serde_json::from_str(EXCEPTIONS).expect("a list of exceptions");
    among(&exceptions, verifier, cases, said)
}

// === private ===

fn among(
    exceptions: &[Exception],
    verifier: Verifier,
    cases: &[Case],
    said: &[String],
) -> Vec<String> {
    assert_eq!(cases.len(), said.len(), "an outcome for each case");
    let mut differences = Vec::new();
    let mut needed = vec![false; exceptions.len()];
    for (case, said) in cases.iter().zip(said) {
        if said == case.expected {
            continue;
        }
        let excused = exceptions.iter().position(|exception| {
            exception.is_for(verifier, &case.name) && exception.outcome == *said
        });
        match excused {
            Some(at) => needed[at] = true,
            None => differences.push(difference(case, said)),
        }
    }
    let idle = exceptions.iter().zip(needed).filter(|(exception, needed)| {
        !needed && cases.iter().any(|case| exception.is_for(verifier, &case.name))
    });
    differences.extend(idle.map(|(exception, _)| {
        let Exception { case, because, .. } = exception;
        format!("the exception {case:?} ({because}) does not occur any more: take it out")
    }));
    differences
}

fn difference(case: &Case, said: &str) -> String {
    let Case { name, expected, .. } = case;
    let alarm = if said == PASSES { "A TOKEN PASSES THAT MUST NOT: " } else { "" };
    format!("{alarm}{name}: {said}, not {expected}")
}

impl Exception {
    fn is_for(&self, verifier: Verifier, name: &str) -> bool {
        let named = match self.case.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == self.case,
        };
        named && self.verifiers.contains(&verifier)
    }
}

const EXCEPTIONS: &str = include_str!("exceptions.json");

#[cfg(test)]
mod tests;

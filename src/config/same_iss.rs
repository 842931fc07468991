//! Validation of issuers that have the same `iss`.

use super::problems::Problems;
use crate::authn::issuer::{IssuerIdentity, KeySource};
use crate::authn::keys::KeySet;
use std::collections::HashSet;

/// An issuer with its index in the configuration.
pub(super) type Numbered = (usize, IssuerIdentity, KeySource);

/// Clusters with the default settings share an `iss`, so the filter tells their tokens apart by the key. If two such
/// issuers have the same key, the issuer of a token is ambiguous.
pub(super) fn check_shared(issuers: &[Numbered], problems: &mut Problems) {
    for (at, identity, source) in issuers {
        let path = format!("issuers[{at}].keys");
        for (_, other, other_source) in issuers.iter().take_while(|(earlier, ..)| earlier < at) {
            if !identity.issuers.iter().any(|iss| other.issuers.contains(iss)) {
                continue;
            }
            let sets = [source, other_source].map(|source| match source {
                KeySource::Static(keys) => Some(keys),
                KeySource::Fetched(..) | KeySource::Absent => None,
            });
            if [source, other_source].iter().any(|source| matches!(source, KeySource::Absent)) {
                let fault = format!(
                    "issuer {:?} has the same `iss`, so keys are needed to tell the two apart; use \
                     \"afterVerification\"",
                    other.name
                );
                problems.add(format!("issuers[{at}].tokenReview.use"), fault);
            }
            if sets.iter().flatten().any(|keys| keys.takes_tokens_without_kid()) {
                problems.add(
                    &path,
                    format!(
                        "issuer {:?} has the same `iss`, so the keys of both need key IDs, \
                             which PEM does not have; use `inline`",
                        other.name
                    ),
                );
            }
            if let [Some(keys), Some(others)] = sets
                && share_a_key(keys, others)
            {
                let name = &other.name;
                let fault = format!(
                    "issuer {name:?} has the same `iss` and the same key; remove the key from one of them"
                );
                problems.add(&path, fault);
            }
        }
    }
}

fn share_a_key(keys: &KeySet, others: &KeySet) -> bool {
    let fingerprints: HashSet<_> = keys.keys().iter().map(|key| key.fingerprint()).collect();
    others.keys().iter().any(|key| fingerprints.contains(&key.fingerprint()))
}

//! Every target with its seeds, and with 10,000 inputs that differ from them by a few random changes: the same inputs in each
//! run. They find what a first look finds; `cargo xtask fuzz` searches.

use mutatis::check::{Check, CheckError};
use mutatis::mutators;
use sa_authn_fuzz::targets::{
    Target, configurations, discovery, key_sets, requests, signed_claims, tampering, token_reviews,
    tokens,
};

#[test]
fn a_changed_configuration_is_rejected_with_a_reason_or_trusts_only_its_own_keys() {
    holds_for_changed_seeds(configurations::TARGET);
}

#[test]
fn a_changed_discovery_document_leads_to_a_path_only_for_the_configured_issuer() {
    holds_for_changed_seeds(discovery::TARGET);
}

#[test]
fn a_changed_key_set_accepts_a_token_only_with_the_key_of_the_token() {
    holds_for_changed_seeds(key_sets::TARGET);
}

#[test]
fn a_changed_request_has_one_verdict_and_no_identity_without_a_token() {
    holds_for_changed_seeds(requests::TARGET);
}

#[test]
fn changed_claims_with_a_valid_signature_are_never_called_badly_signed() {
    holds_for_changed_seeds(signed_claims::TARGET);
}

#[test]
fn a_tampered_token_passes_only_if_it_is_genuine_after_all() {
    holds_for_changed_seeds(tampering::TARGET);
}

#[test]
fn a_changed_token_review_accepts_only_the_account_that_it_names() {
    holds_for_changed_seeds(token_reviews::TARGET);
}

#[test]
fn a_changed_token_has_one_reading_and_passes_only_if_it_is_genuine() {
    holds_for_changed_seeds(tokens::TARGET);
}

fn holds_for_changed_seeds(target: Target) {
    let seeds = (target.seeds)();
    let iterations = CHANGES * seeds.len();
    // A check changes its inputs again and again, so it begins anew before nothing genuine is left of them.
    for round in 0..INPUTS.div_ceil(iterations) {
        let outcome = Check::new()
            .seed(round as u64)
            .iters(iterations)
            .max_shrink_iters(0)
            .run_with(mutators::default::<Vec<u8>>(), seeds.clone(), |bytes| {
                (target.check)(bytes);
                Ok::<(), &str>(())
            });
        match outcome {
            Ok(()) => {}
            // The property has said why, when it panicked.
            Err(CheckError::Failed(failed)) => panic!("b\"{}\"", failed.value.escape_ascii()),
            Err(error) => panic!("{error}"),
        }
    }
}

/// For each target.
const INPUTS: usize = 10_000;
/// The average number of changes of a seed before a check begins anew.
const CHANGES: usize = 8;

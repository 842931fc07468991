//! Validation of `issuers[].tokenReview`.

use super::bounds::{CACHE_TTL, REVIEW_TIMEOUT};
use super::duration::WireDuration;
use super::problems::Problems;
use super::server::{path_prefix, server};
use super::wire;
use crate::authn::issuer::{OnOutage, Purpose, ReviewPlan};
use std::time::Duration;

/// Checks `tokenReview` of the issuer at `path`. `wait_timeout` is `limits.waitTimeout`.
pub(super) fn check(
    path: &str,
    wire: wire::TokenReview,
    has_keys: bool,
    wait_timeout: Duration,
    problems: &mut Problems,
) -> ReviewPlan {
    let purpose = match wire.purpose {
        Some(wire::Purpose::Instead) => Purpose::Instead,
        Some(wire::Purpose::AfterVerification) | None => Purpose::AfterVerification,
    };
    if purpose == Purpose::Instead && has_keys {
        let fault = "not used if tokenReview.use is \"instead\"; remove `keys`, or set \
                     tokenReview.use to \"afterVerification\"";
        problems.add(format!("{path}.keys"), fault);
    }
    let path = format!("{path}.tokenReview");
    let (cluster, authority) = server(&path, wire.cluster, wire.authority, problems);
    let path_prefix = path_prefix(&path, wire.path_prefix, problems);
    let on_outage = match wire.on_outage {
        Some(wire::OnOutage::AcceptVerified) => OnOutage::AcceptVerified,
        Some(wire::OnOutage::Deny) | None => OnOutage::Deny,
    };
    if purpose == Purpose::Instead && on_outage == OnOutage::AcceptVerified {
        let fault =
            "must be \"deny\" if `use` is \"instead\", because the filter verifies no token itself";
        problems.add(format!("{path}.onOutage"), fault);
    }
    let timeout = timeout(&path, wire.timeout, on_outage, wait_timeout, problems);
    let (cache_ttl, refresh_ahead) = lifetimes(&path, wire.cache_ttl, wire.refresh_ahead, problems);
    ReviewPlan {
        cluster,
        authority,
        path_prefix,
        purpose,
        timeout,
        cache_ttl,
        refresh_ahead,
        on_outage,
    }
}

/// With `acceptVerified`, a call must fail before the deadline of the requests that are paused for it: only a failed
/// call shows an outage.
fn timeout(
    path: &str,
    wire: Option<WireDuration>,
    on_outage: OnOutage,
    wait_timeout: Duration,
    problems: &mut Problems,
) -> Duration {
    let accepts = on_outage == OnOutage::AcceptVerified;
    let timeout = REVIEW_TIMEOUT.duration(path, wire, problems);
    if accepts && wire.is_none() {
        return timeout.min(wait_timeout * 4 / 5);
    }
    if accepts && timeout >= wait_timeout && !wait_timeout.is_zero() {
        let fault = format!(
            "must be shorter than limits.waitTimeout ({wait_timeout:?}) if onOutage is \
             \"acceptVerified\", found {timeout:?}; the call must fail before the deadline of the \
             paused request"
        );
        problems.add(format!("{path}.timeout"), fault);
    }
    timeout
}

fn lifetimes(
    path: &str,
    cache_ttl: Option<WireDuration>,
    refresh_ahead: Option<WireDuration>,
    problems: &mut Problems,
) -> (Duration, Duration) {
    let ttl = CACHE_TTL.duration(path, cache_ttl, problems);
    let ahead = refresh_ahead.map_or(ttl / 5, |ahead| ahead.0);
    if refresh_ahead.is_some() && ahead >= ttl {
        let fault = format!("must be shorter than cacheTtl ({ttl:?}), found {ahead:?}");
        problems.add(format!("{path}.refreshAhead"), fault);
    }
    (ttl, ahead)
}

//! `issuers[].tokenReview`: whether the API server is asked about tokens, and what when it cannot be.

use super::duration::WireDuration;
use super::issuers::{AUTHORITY, CLUSTER, DEFAULT_TIMEOUT, LONGEST_TIMEOUT, required};
use super::problems::Problems;
use super::wire;
use crate::authn::token_review::{OnOutage, Purpose, ReviewPlan};
use std::time::Duration;

/// Checks the plan of the issuer at `path`. `wait_timeout` is `limits.waitTimeout`.
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
        let fault = "is of no use with tokenReview.use \"instead\": leave it out, or use \
                     \"afterVerification\"";
        problems.add(format!("{path}.keys"), fault);
    }
    let path = format!("{path}.tokenReview");
    let cluster = required(&path, "cluster", CLUSTER, wire.cluster, problems);
    let authority = required(&path, "authority", AUTHORITY, wire.authority, problems);
    let on_outage = match wire.on_outage {
        Some(wire::OnOutage::AcceptVerified) => OnOutage::AcceptVerified,
        Some(wire::OnOutage::Deny) | None => OnOutage::Deny,
    };
    if purpose == Purpose::Instead && on_outage == OnOutage::AcceptVerified {
        let fault = "must be \"deny\" with use \"instead\": nothing has been verified there";
        problems.add(format!("{path}.onOutage"), fault);
    }
    let timeout = timeout(&path, wire.timeout, on_outage, wait_timeout, problems);
    let (cache_ttl, refresh_ahead) = lifetimes(&path, wire.cache_ttl, wire.refresh_ahead, problems);
    ReviewPlan { cluster, authority, purpose, timeout, cache_ttl, refresh_ahead, on_outage }
}

/// With `acceptVerified` a call must fail before the requests that wait for it give up: only a failed call shows an
/// outage.
fn timeout(
    path: &str,
    wire: Option<WireDuration>,
    on_outage: OnOutage,
    wait_timeout: Duration,
    problems: &mut Problems,
) -> Duration {
    let accepts = on_outage == OnOutage::AcceptVerified;
    let default = match accepts {
        true => DEFAULT_TIMEOUT.min(wait_timeout * 4 / 5),
        false => DEFAULT_TIMEOUT,
    };
    let timeout = wire.map_or(default, |timeout| timeout.0);
    if wire.is_some() && (timeout.is_zero() || timeout > LONGEST_TIMEOUT) {
        problems.add(format!("{path}.timeout"), "must be more than 0s and at most 60s");
    } else if accepts && timeout >= wait_timeout && !wait_timeout.is_zero() {
        let fault = format!(
            "must be shorter than limits.waitTimeout ({} ms) with onOutage \"acceptVerified\": a paused request \
             passes in an outage only if the call fails before the request gives up",
            wait_timeout.as_millis()
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
    let ttl = cache_ttl.map_or(DEFAULT_TTL, |ttl| ttl.0);
    if ttl > LONGEST_TTL {
        let fault = "must be at most 1h: for so long a deleted pod's token is still accepted";
        problems.add(format!("{path}.cacheTtl"), fault);
    }
    let ahead = refresh_ahead.map_or(ttl / 5, |ahead| ahead.0);
    if refresh_ahead.is_some() && ahead >= ttl {
        let fault = "must be shorter than cacheTtl (30s unless set): it is a part of it";
        problems.add(format!("{path}.refreshAhead"), fault);
    }
    (ttl, ahead)
}

const DEFAULT_TTL: Duration = Duration::from_secs(30);
const LONGEST_TTL: Duration = Duration::from_secs(60 * 60);

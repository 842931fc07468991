//! The plugin's `root_id`: what the filter does if its configuration is invalid.
//!
//! This is not a field of the configuration, because it must be known if the configuration cannot be read. The `root_id`
//! is what plain Envoy (`root_id`), Istio (`pluginName`) and Envoy Gateway (`rootID`) all let users set.

/// What the filter does if its configuration is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfInvalid {
    /// Envoy refuses the configuration. It keeps the previous one, or does not start.
    Refuse,
    /// The filter runs, and denies every request. Envoy Gateway attaches the filter to routes: where Envoy refuses the
    /// listener with the filter, it takes the route without it.
    DenyRequests,
}

/// Reads a `root_id`. `Err` has the problem: then the filter denies requests.
pub(super) fn parse(root_id: Option<&[u8]>) -> Result<IfInvalid, &'static str> {
    match root_id.unwrap_or_default().strip_prefix(PREFIX) {
        None => Ok(IfInvalid::Refuse),
        Some(DENY) => Ok(IfInvalid::DenyRequests),
        Some(_) => Err("root_id: unknown mode; expected sa-authn:deny-if-misconfigured"),
    }
}

/// Any other `root_id` is a name that the operator chose.
const PREFIX: &[u8] = b"sa-authn:";
const DENY: &[u8] = b"deny-if-misconfigured";

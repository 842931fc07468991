//! What the core tells a trace: `sa-authn explain` prints it.

use crate::authenticator::Settlement;
use crate::authn::bearer::BearerToken;
use crate::authn::trace::TokenTrace;
use crate::authz::policy::MatchedRules;
use crate::authz::trace::RuleTrace;
use crate::denial::Denial;

/// Learns each step of the filter. The module uses `()`, which costs nothing.
pub trait Trace: TokenTrace + RuleTrace {
    /// The token headers were searched.
    fn searched(&self, _found: &Result<Option<BearerToken<'_>>, Denial>) {}

    /// The rules that cover the request were found.
    fn matched(&self, _rules: Result<&MatchedRules<'_>, &Denial>) {}

    /// A callout ended, with this result.
    fn settled(&self, _settlement: &Settlement) {}
}

impl Trace for () {}

//! Removes tokens of configured issuers from the headers of a forwarded request.

use crate::authenticator::Authenticator;
use crate::authn::bearer::{BearerToken, TokenSource, items};
use crate::authn::embedded::{claims, claims_parts};
use crate::authz::HeaderEdits;
use crate::config::Settings;
use crate::headers::Headers;

/// Searches the values of one header for tokens of configured issuers.
struct Search<'s> {
    found: Option<BearerToken<'s>>,
    source: &'s TokenSource,
    with: &'s Authenticator,
    looked_at: usize,
}

/// Removes tokens of configured issuers from all configured headers, in whatever form they are. `found` is the request's
/// token, if its issuer is configured.
pub(super) fn take_off(
    found: Option<BearerToken<'_>>,
    headers: &Headers<'_>,
    settings: &Settings,
    with: &Authenticator,
    edits: &mut HeaderEdits,
) {
    if let (Some(token), [(at, value)]) = (found, headers.tokens.as_slice())
        && let Some(source) = settings.token_sources.get(*at)
        && source.has_only(token, value)
    {
        edits.remove_token(&source.header);
    } else {
        search_all(found, headers, settings, with, edits);
    }
}

#[inline(never)]
fn search_all(
    found: Option<BearerToken<'_>>,
    headers: &Headers<'_>,
    settings: &Settings,
    with: &Authenticator,
    edits: &mut HeaderEdits,
) {
    for (at, source) in settings.token_sources.iter().enumerate() {
        let values = headers.tokens.iter().filter(|(from, _)| *from == at).map(|(_, value)| *value);
        match (Search { found, source, with, looked_at: 0 }).remains(values) {
            Remains::All => {}
            Remains::Some(kept) => edits.replace(&source.header, kept),
            Remains::Nothing => edits.remove(&source.header),
        }
    }
}

/// What remains of a header.
enum Remains {
    /// The header is unchanged.
    All,
    /// The header has this value.
    Some(Vec<u8>),
    Nothing,
}

// === impl Search ===

impl Search<'_> {
    fn remains<'v>(mut self, values: impl Iterator<Item = &'v [u8]>) -> Remains {
        let (mut kept, mut removed) = (Vec::new(), false);
        for item in values.flat_map(items).filter(|item| !item.is_empty()) {
            match self.is_ours(item) {
                true => removed = true,
                false => kept.push(item),
            }
            if self.looked_at > MAX_LOOKED_AT {
                return Remains::Nothing;
            }
        }
        match (removed, kept.is_empty()) {
            (false, _) => Remains::All,
            (true, true) => Remains::Nothing,
            (true, false) => Remains::Some(kept.join(b", ".as_slice())),
        }
    }

    fn is_ours(&mut self, item: &[u8]) -> bool {
        if self.found.is_some_and(|found| self.source.is(found, item)) {
            return true;
        }
        for part in claims_parts(item) {
            self.looked_at += 1;
            if self.looked_at > MAX_LOOKED_AT {
                return false;
            }
            if claims(part).is_some_and(|claims| self.with.are_ours(&claims)) {
                return true;
            }
        }
        false
    }
}

/// How many JWTs in one header are parsed. A header with more JWTs is removed completely; no genuine request has that many.
const MAX_LOOKED_AT: usize = 16;

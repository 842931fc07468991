//! What happens to a request's headers when it may pass.

use crate::identity::Caller;
use std::rc::Rc;

/// What is removed from a request and what is set on it. Removal comes first.
#[derive(Clone, Debug, Default)]
pub struct HeaderEdits {
    /// The header that held the token and nothing else.
    pub(crate) token: Option<Rc<str>>,
    /// Other names to remove, exactly as they came: identity headers that the caller tried to set, in whatever
    /// spelling, and further headers that held the token.
    pub(crate) others: Vec<Vec<u8>>,
    /// Headers that held more than the token, and what remains of them.
    pub(crate) remains: Vec<(Rc<str>, Vec<u8>)>,
    /// Who is told of.
    pub(crate) caller: Option<Rc<Caller>>,
}

// === impl HeaderEdits ===

impl HeaderEdits {
    /// The names that are removed.
    pub fn removed(&self) -> impl Iterator<Item = &[u8]> {
        let token = self.token.iter().map(|name| name.as_bytes());
        token.chain(self.others.iter().map(Vec::as_slice))
    }

    /// Names and values that are set, each replacing every value that its name has.
    pub fn set(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let remains = self.remains.iter().map(|(name, value)| (&**name, value.as_slice()));
        let told = self.caller.iter().flat_map(|caller| caller.headers());
        remains.chain(told.map(|(name, value)| (&**name, &**value)))
    }
}

/// By what is done, whatever it was made of.
impl PartialEq for HeaderEdits {
    fn eq(&self, other: &Self) -> bool {
        self.removed().eq(other.removed()) && self.set().eq(other.set())
    }
}

impl Eq for HeaderEdits {}

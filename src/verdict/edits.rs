//! The edits of a request's headers that go with letting it pass.

use std::rc::Rc;

/// What is removed from a request and what is set on it. Removal comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Names exactly as they came: identity headers that the caller tried to set, in whatever
    /// spelling, and the headers that held the token.
    pub remove: Vec<Vec<u8>>,
    /// Replaces every value that a name has.
    pub set: Vec<(Rc<str>, Rc<[u8]>)>,
}

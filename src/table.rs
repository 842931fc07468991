//! Tables of what the configuration and the key servers name, looked up for requests.
//!
//! What is in them no caller decides, so nobody can choose names that collide, and they need not be
//! hashed as those are that come from callers.

use foldhash::fast::FixedState;
use std::collections::HashMap;

/// Facts by name. By its bytes, as requests have them: that a path is text need not be shown to look it up.
pub(crate) type Table<V> = HashMap<Box<[u8]>, V, FixedState>;

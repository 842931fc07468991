//! Tables of names from the configuration and from key servers.
//!
//! Callers have no influence on the names, so they cannot choose names that collide, and a fast hash is enough.

use foldhash::fast::FixedState;
use std::collections::HashMap;

/// Values by name. The name is bytes, as requests have it, so that a lookup needs no check for UTF-8.
pub(crate) type Table<V> = HashMap<Box<[u8]>, V, FixedState>;

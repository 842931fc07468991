//! The places of paused requests: how many wait for what, and from where.
//!
//! They are counted separately for each thing they wait for, because a caller can invent key IDs, and for each source
//! address: one address has a quarter of the places, so that its flood leaves room for the others.

use crate::authenticator::Hold;
use crate::authn::keys::Cause;
use crate::denial::{Denial, Reason};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

/// The places that are taken, for each of these.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) no_keys: Places,
    unknown_kids: Places,
    reviews: Places,
    access: Places,
}

/// How many requests wait for one thing.
#[derive(Debug, Default)]
pub(super) struct Places {
    all: usize,
    pub(super) by_source: HashMap<Source, usize>,
}

/// Where a request came from, as far as its place depends on that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The address of the connection, without its port.
    Address(Rc<str>),
    /// Envoy takes the address from a header that the caller can write (`x-forwarded-for`), or has none.
    Unknown,
}

// === impl Taken ===

impl Taken {
    pub(super) fn by(&mut self, hold: &Hold) -> &mut Places {
        match hold {
            Hold::Keys { cause: Cause::NoKeys, .. } => &mut self.no_keys,
            Hold::Keys { cause: Cause::UnknownKid, .. } => &mut self.unknown_kids,
            Hold::Review(_) => &mut self.reviews,
            Hold::Access(_) => &mut self.access,
        }
    }
}

// === impl Places ===

impl Places {
    /// Takes a place for a request from this source; `capacity` is the number of places.
    pub(super) fn occupy(&mut self, source: &Source, capacity: usize) -> Result<(), Denial> {
        if self.all >= capacity {
            let detail = format!("{capacity} requests are paused already");
            return Err(Reason::Overloaded.because(detail));
        }
        let of_source = self.by_source.entry(source.clone()).or_default();
        let share = capacity.div_ceil(SHARE);
        if *of_source >= share {
            let detail = format!("{share} requests from {source} are paused already");
            return Err(Reason::Overloaded.because(detail));
        }
        *of_source += 1;
        self.all += 1;
        Ok(())
    }

    /// Gives a place back.
    pub(super) fn release(&mut self, source: &Source) {
        self.all = self.all.saturating_sub(1);
        if let Some(count) = self.by_source.get_mut(source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_source.remove(source);
            }
        }
    }
}

// === impl Source ===

impl Source {
    /// Reads Envoy's `source.address`, such as `10.0.0.7:41234` or `[fd00::7]:41234`. Envoy gives port 0 to an address
    /// that it took from a header.
    pub fn of(address: Option<&str>) -> Self {
        let Some(address) = address else { return Self::Unknown };
        match address.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => Self::Unknown,
            Ok(address) => Self::Address(address.ip().to_string().into()),
            // A Unix domain socket's path.
            Err(_) => Self::Address(address.into()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => f.write_str(address),
            Self::Unknown => f.write_str("forwarded addresses"),
        }
    }
}

/// One address has one place in so many.
const SHARE: usize = 4;

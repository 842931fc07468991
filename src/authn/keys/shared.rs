//! What the VMs of one Envoy tell each other of an issuer's keys, as bytes in the host's shared data.
//!
//! Shared data is one namespace for all plugins with the same vm_id. So what is read may have been written
//! by anybody: it is decoded strictly, and its times and keys are judged by the reader.

use super::discovery;
use crate::time::UnixTime;

/// Who is fetching, what the ration has left, and what was fetched last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Which VM holds the lease.
    pub(super) holder: u64,
    /// Until when; in the past for nobody.
    pub(super) lease_until: UnixTime,
    /// How many fetches for unknown kids are left to this Envoy.
    pub(super) ration_left: u32,
    /// Since when that counts.
    pub(super) ration_since: UnixTime,
    /// The keys.
    pub(super) set: Option<SharedSet>,
}

/// A JWKS as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SharedSet {
    /// When the fetch ended.
    pub(super) fetched: UnixTime,
    /// Until when nobody needs to ask again.
    pub(super) fresh_until: UnixTime,
    /// Where it was fetched from, so that the next VM's refresh is one request and not two.
    pub(super) path: String,
    /// The JWKS, byte for byte.
    pub(super) body: Vec<u8>,
}

// === impl Entry ===

impl Entry {
    /// `None` for whatever [`Self::encode`] has not written.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.strip_prefix(MAGIC)?.split_at_checked(8 * NUMBERS)?;
        let mut numbers = numbers.chunks_exact(8).map_while(|bytes| bytes.try_into().ok());
        let mut number = || numbers.next().map(u64::from_le_bytes);
        let (holder, lease_until) = (number()?, number()?);
        let (ration_left, ration_since) = (number()?, number()?);
        let (fetched, fresh_until) = (number()?, number()?);
        let (path, body) = rest.split_at_checked(usize::try_from(number()?).ok()?)?;
        let set = (fetched > 0).then_some(SharedSet {
            fetched: UnixTime::from_millis(fetched),
            fresh_until: UnixTime::from_millis(fresh_until),
            path: discovery::checked_path(std::str::from_utf8(path).ok()?)?,
            body: body.to_vec(),
        });
        Some(Self {
            holder,
            lease_until: UnixTime::from_millis(lease_until),
            ration_left: u32::try_from(ration_left).ok()?,
            ration_since: UnixTime::from_millis(ration_since),
            set,
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let (fetched, fresh_until, path, body) = match &self.set {
            Some(set) => {
                let (fetched, fresh_until) = (set.fetched.as_millis(), set.fresh_until.as_millis());
                (fetched, fresh_until, set.path.as_str(), set.body.as_slice())
            }
            None => (0, 0, "/", [].as_slice()),
        };
        let numbers: [u64; NUMBERS] = [
            self.holder,
            self.lease_until.as_millis(),
            u64::from(self.ration_left),
            self.ration_since.as_millis(),
            fetched,
            fresh_until,
            path.len() as u64,
        ];
        let mut bytes = MAGIC.to_vec();
        numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        bytes.extend_from_slice(path.as_bytes());
        bytes.extend_from_slice(body);
        bytes
    }
}

impl Default for Entry {
    /// What an entry that is not there says: nobody is fetching, and nothing was used up.
    fn default() -> Self {
        let never = UnixTime::from_secs(0);
        Self {
            holder: 0,
            lease_until: never,
            ration_left: u32::MAX,
            ration_since: never,
            set: None,
        }
    }
}

/// How many numbers stand before the path and the body.
const NUMBERS: usize = 7;

/// Another version of the filter in the same Envoy has another one, and keys of its own.
const MAGIC: &[u8] = b"sa-authn keys 1\0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_as_it_was_written() {
        let at = UnixTime::from_secs;
        let (path, body) = ("/openid/v1/jwks".to_owned(), b"{}".to_vec());
        let set = SharedSet { fetched: at(5), fresh_until: at(9), path, body };
        let entry = Entry {
            holder: 7,
            lease_until: at(3),
            ration_left: 2,
            ration_since: at(4),
            set: Some(set),
        };
        assert_eq!(Entry::decode(&entry.encode()), Some(entry.clone()));
        let without = Entry { set: None, ..entry };
        assert_eq!(Entry::decode(&without.encode()), Some(without));
    }

    #[test]
    fn anything_else_is_no_entry() {
        let bytes = Entry::default().encode();
        for end in 0..bytes.len() {
            assert_eq!(Entry::decode(&bytes[..end]), None, "{end} bytes");
        }
        assert_eq!(Entry::decode(b"{\"keys\":[]}"), None);
    }
}

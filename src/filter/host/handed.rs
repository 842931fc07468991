//! What the host hands over, in memory that it asks us for (`proxy_on_memory_allocate`).
//!
//! The headers of each request come this way. One buffer goes to and fro for them, because to allocate it anew
//! would be a tenth of all that a known caller's request does here.
#![allow(unsafe_code, reason = "the host knows addresses and nothing of Rust")]

use std::cell::Cell;
use std::ops::Deref;
use std::ptr;

thread_local! {
    /// The buffer, while nobody has it.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// Whether the call that is under way may have it, for the first thing that it asks for.
    static OFFERED: Cell<bool> = const { Cell::new(false) };
    /// The one that the host has, and its capacity.
    static LENT: Cell<(*mut u8, usize)> = const { Cell::new((ptr::null_mut(), 0)) };
}

/// Bytes of the host's that are given up soon, and their buffer with them for the next.
pub struct Handed(Vec<u8>);

/// Memory of so many bytes for the host to fill.
pub fn allocate(size: usize) -> *mut u8 {
    // The first allocation of a call alone: there is one buffer.
    if OFFERED.take() && size > 0 {
        let spare = SPARE.take();
        if spare.capacity() >= size {
            let (data, _, capacity) = spare.into_raw_parts();
            LENT.set((data, capacity));
            return data;
        }
    }
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}

/// What a call hands over, for good.
pub fn taken(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, u32> {
    let (mut data, mut size) = (ptr::null_mut::<u8>(), 0usize);
    match call(&raw mut data, &raw mut size) {
        0 if data.is_null() => return Ok(Vec::new()),
        0 => {}
        status => return Err(status),
    }
    let capacity = match LENT.get() {
        (lent, capacity) if lent == data && size <= capacity => {
            LENT.set((ptr::null_mut(), 0));
            capacity
        }
        _ => size,
    };
    // SAFETY: `allocate` made this buffer with exactly this capacity, and the host, which gives it up, has filled
    // so much of it.
    Ok(unsafe { Vec::from_raw_parts(data, size, capacity) })
}

/// What a call hands over, in the buffer that goes to and fro.
pub fn borrowed(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Handed, u32> {
    OFFERED.set(true);
    let bytes = taken(call);
    OFFERED.set(false);
    bytes.map(Handed)
}

// === impl Handed ===

impl Deref for Handed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        let (own, spare) = (std::mem::take(&mut self.0), SPARE.take());
        // One huge request must not take memory for ever.
        let keeps_own = spare.capacity() < own.capacity() && own.capacity() <= KEPT_BYTES;
        SPARE.set(if keeps_own { own } else { spare });
    }
}

/// Headers are seldom larger, cookies and all.
const KEPT_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// A host that hands over `bytes`, and where.
    fn host(bytes: &[u8], at: &Cell<*mut u8>) -> impl FnOnce(*mut *mut u8, *mut usize) -> u32 {
        |data, size| {
            at.set(allocate(bytes.len()));
            // SAFETY: allocated with that length; the pointers are those of `taken`.
            unsafe {
                at.get().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                (*data, *size) = (at.get(), bytes.len());
            }
            0
        }
    }

    #[test]
    fn headers_come_in_one_buffer_again_and_again() {
        let (first, next) = (Cell::new(ptr::null_mut()), Cell::new(ptr::null_mut()));
        assert_eq!(&*borrowed(host(b"twelve bytes", &first)).unwrap(), b"twelve bytes");
        for bytes in [b"twelve other".as_slice(), b"fewer", b"1"] {
            assert_eq!(&*borrowed(host(bytes, &next)).unwrap(), bytes);
            assert_eq!(next.get(), first.get());
        }
        assert_eq!(SPARE.take().capacity(), 12);
    }

    #[test]
    fn what_is_taken_for_good_leaves_the_buffer_where_it_is() {
        let (first, other) = (Cell::new(ptr::null_mut()), Cell::new(ptr::null_mut()));
        drop(borrowed(host(b"headers", &first)).unwrap());
        let answer = taken(host(b"yes", &other)).unwrap();
        assert_eq!((answer.as_slice(), answer.capacity()), (b"yes".as_slice(), 3));
        assert_ne!(other.get(), first.get());
        drop(borrowed(host(b"header2", &other)).unwrap());
        assert_eq!(other.get(), first.get());
    }

    #[test]
    fn two_at_a_time_are_two_buffers_and_the_larger_is_kept() {
        let at = Cell::new(ptr::null_mut());
        drop(borrowed(host(&[1; 100], &at)).unwrap());
        let headers = borrowed(host(&[2; 50], &at)).unwrap();
        let trailers = borrowed(host(&[3; 60], &at)).unwrap();
        assert_eq!((&*headers, &*trailers), ([2; 50].as_slice(), [3; 60].as_slice()));
        drop(headers);
        drop(trailers);
        assert_eq!(SPARE.take().capacity(), 100);
    }

    #[test]
    fn a_call_that_allocates_twice_is_lent_one_buffer() {
        let at = Cell::new(ptr::null_mut());
        drop(borrowed(host(&[1; 100], &at)).unwrap());
        let lent = at.get();
        let bytes = borrowed(|data, size| {
            assert_eq!(allocate(10), lent);
            host(&[2; 20], &at)(data, size)
        });
        assert_eq!((bytes.as_ref().unwrap().len(), bytes.unwrap().0.capacity()), (20, 20));
        assert_ne!(at.get(), lent);
        // SAFETY: the host of this test gives it up: nothing else knows it.
        drop(unsafe { Vec::from_raw_parts(lent, 0, 100) });
    }

    #[test]
    fn what_is_huge_or_failed_or_nothing_is_not_kept() {
        let at = Cell::new(ptr::null_mut());
        assert_eq!(borrowed(host(&[0; KEPT_BYTES + 1], &at)).unwrap().len(), KEPT_BYTES + 1);
        assert_eq!(SPARE.take().capacity(), 0);
        assert_eq!(borrowed(|_, _| 2).err(), Some(2));
        assert_eq!(borrowed(|_, _| 0).unwrap().len(), 0);
        assert!(!OFFERED.get());
    }
}

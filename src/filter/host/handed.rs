//! What the host hands over, in memory that it asks us for.
//!
//! The headers of each request come this way. One buffer goes to and fro for them, because to allocate it anew
//! would be a tenth of all that a known caller's request does here.

use super::{Failed, check};
use std::cell::Cell;
use std::ops::Deref;
use std::ptr;

thread_local! {
    /// The buffer, while nobody has it.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// The one that the host has, and its capacity.
    static LENT: Cell<(*mut u8, usize)> = const { Cell::new((ptr::null_mut(), 0)) };
}

/// Bytes of the host's, which are read and given up soon.
pub(in crate::filter) struct Handed(Vec<u8>);

/// Memory of so many bytes for the host to fill; [`taken`] takes it back.
pub(in crate::filter) fn allocate(size: usize) -> *mut u8 {
    let spare = SPARE.take();
    if spare.capacity() < size {
        // Not put back: the larger one will be.
        return Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast();
    }
    let (data, _, capacity) = spare.into_raw_parts();
    LENT.set((data, capacity));
    data
}

/// What a call hands over.
pub(super) fn taken<T: From<Vec<u8>>>(
    call: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Result<T, Failed> {
    let (mut data, mut size) = (ptr::null_mut::<u8>(), 0usize);
    check(call(&raw mut data, &raw mut size))?;
    if data.is_null() {
        return Ok(Vec::new().into());
    }
    let capacity = match LENT.get() {
        (lent, capacity) if lent == data => {
            LENT.set((ptr::null_mut(), 0));
            capacity
        }
        _ => size,
    };
    // SAFETY: `allocate` made this buffer with exactly this capacity, and the host, which gives it up, has filled
    // so much of it.
    Ok(unsafe { Vec::from_raw_parts(data, size, capacity) }.into())
}

// === impl Handed ===

impl From<Vec<u8>> for Handed {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Handed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        // One huge request must not take memory for ever.
        if self.0.capacity() <= KEPT_BYTES {
            SPARE.set(std::mem::take(&mut self.0));
        }
    }
}

/// Headers are seldom larger, cookies and all.
const KEPT_BYTES: usize = 16 * 1024;

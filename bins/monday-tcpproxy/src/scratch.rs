//! One read buffer per thread, shared by all connections of that thread.
//!
//! A relay that gives each connection a buffer of its own pays for it as long as the connection is idle, which is
//! nearly always. Here a direction borrows the thread's buffer for the one moment between a read and the write that
//! follows, and only what could not be written at once is copied into memory of its own.

use std::cell::RefCell;

/// The size of the buffer in bytes. Large reads are what makes copying fast: on loopback, segments are up to 64 KiB,
/// and every doubling up to here was measured to be worth it. It still fits into a second-level cache.
pub(crate) const SCRATCH_BYTES: usize = 256 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends the buffer of this thread, [`SCRATCH_BYTES`] long. What it contains is left over from its last use.
pub(crate) fn with<R>(use_it: impl FnOnce(&mut [u8]) -> R) -> R {
    SCRATCH.with_borrow_mut(|buffer| {
        if buffer.is_empty() {
            buffer.resize(SCRATCH_BYTES, 0);
        }
        use_it(buffer)
    })
}

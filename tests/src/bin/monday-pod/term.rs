//! The end by SIGTERM. The first process of a PID namespace does not get a signal that it has no handler for (signal(7),
//! `pid_namespaces(7)`), and the standard library has none to offer.

#![allow(unsafe_code, reason = "there is no other way without a library")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a draining process looks whether it was asked to end.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Whether it was.
static ASKED: AtomicBool = AtomicBool::new(false);

/// signal(7).
const SIGTERM: i32 = 15;

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    fn _exit(status: i32) -> !;
}

/// Makes SIGTERM end this process with status 0.
pub(crate) fn end_at_once() {
    // SAFETY: the handler has the signature that signal(2) asks for, and lives as long as the program.
    unsafe { signal(SIGTERM, end) };
}

/// Makes SIGTERM end this process after that time, in which it goes on as before.
pub(crate) fn end_after(drain: Duration) {
    // SAFETY: as in `end_at_once`.
    unsafe { signal(SIGTERM, note) };
    std::thread::spawn(move || {
        while !ASKED.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_EVERY);
        }
        std::thread::sleep(drain);
        std::process::exit(0);
    });
}

extern "C" fn note(_: i32) {
    ASKED.store(true, Ordering::Relaxed);
}

extern "C" fn end(_: i32) {
    // SAFETY: _exit(2) may be called in a handler (signal-safety(7)), and does not return.
    unsafe { _exit(0) }
}

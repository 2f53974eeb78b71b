//! The executable over real hosts files, and what may happen to such a file meanwhile: kills at every step of writing,
//! full disks, mount points, editors that take no lock. What is asked each time: no foreign byte has changed, the file was never empty,
//! and after the end, the next start or `clean` it is byte for byte what it was. And the executable as root: for whom it
//! works, what it can do, and what a hostile caller gets out of it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod alone;
mod control;
mod disk;
mod editor;
mod hostile;
mod kill;
mod namespace;
mod place;
mod ports;
mod realm;
mod rights;
mod served;
mod strace;
mod through;

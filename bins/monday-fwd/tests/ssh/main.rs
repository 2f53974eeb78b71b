//! Forwards over SSH, against the real sshd.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::large_stack_arrays,
    reason = "a test fails by panicking, in its helpers too, and says what it skips"
)]

mod config;
mod failures;
mod harness;
mod keys;
mod recovery;
mod remote;
mod tunnels;

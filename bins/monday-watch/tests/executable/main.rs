//! The executable: flags, COMMAND, the control socket, exhausted limits, a system that drops events.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so does its harness"
)]

mod alone;
mod command;
mod control;
mod harness;
mod limits;
mod overflow;

//! The watcher over real trees: what is told, what is not, and that nothing is ever lost.
//!
//! Nothing is waited for by time. That something is **not** told is seen by what comes after it: a file that is written
//! last and has to be alone in its batch.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so does its harness"
)]

mod bursts;
mod folders;
mod harness;
mod missing;
mod rules;
mod saves;

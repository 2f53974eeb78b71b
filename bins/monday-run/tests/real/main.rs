//! The executable with real processes: what ends, what is left, what is shown, what a client can do.
//!
//! Commands are shell scripts. Every process of a test carries a mark in its environment, so that survivors are found
//! however far they ran.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so does its harness"
)]

mod control;
mod endings;
mod harness;
mod lease;
mod output;
mod readiness;
mod restarts;
mod stopping;
mod surroundings;

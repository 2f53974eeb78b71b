//! The harness of the end-to-end tests: they drive the **built executables**, as a person or a script would.
//!
//! A test makes a [`world::World`] (its own runtime folder, home, hosts file and configuration), starts
//! [`process::Process`]es in it, talks to them through [`control::Control`], and in the end looks for
//! [`survivors`]. Whatever a failed test leaves behind is ended when its world is dropped.
//!
//! Nothing here waits for time: a [`wait::Deadline`] is long, and only a test that fails reaches it.
//!
//! The tests themselves are in `tests/tests/e2e`, one binary so that all of them share the processors, one module per
//! area: `cargo test -p monday-tests --test e2e life::` runs one of them. The executables have to be built before;
//! `make test` does.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so does its harness"
)]

pub mod cluster;
pub mod control;
pub mod delay;
pub mod document;
pub mod executable;
pub mod fake_api;
pub mod http;
mod lines;
pub mod namespace;
pub mod pattern;
pub mod port;
pub mod process;
pub mod skip;
pub mod sshd;
pub mod survivors;
pub mod user;
pub mod wait;
pub mod world;

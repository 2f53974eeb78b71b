//! The end-to-end tests, one module per area. One binary, so that all of them share the processors; see the crate's
//! documentation for the harness.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so do its helpers"
)]

mod bad_input;
mod command;
mod demo;
mod happening;
mod ipalias_alone;
mod life;
mod project;
mod protocol;
mod readme;
mod ready;
mod run_alone;
mod sidecar;
mod supervisor;
mod tcpproxy_alone;

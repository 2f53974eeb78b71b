//! What a connection and a route can rely on, tried with real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod bulk;
mod close;
mod command_line;
mod conformance;
mod control;
mod faults;
mod harness;
mod hold;
mod inherited;
mod limits;
mod more;
mod routes;
mod routes_file;
mod stopping;
mod unix;

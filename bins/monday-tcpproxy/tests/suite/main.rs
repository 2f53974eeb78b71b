//! What a connection and a route can rely on, tried with real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod bulk;
mod close;
mod command_line;
mod control;
mod faults;
mod harness;
mod hold;
mod limits;
mod more;
mod routes;
mod schedules;
mod unix;

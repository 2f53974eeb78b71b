//! The end-to-end tests, one module per area. One binary, so that all of them share the processors; see the crate's
//! documentation for the harness.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so do its helpers"
)]

// What a test stands on.
mod machine;
mod project;
mod promise;
mod ready;
mod screen;
mod shop;
mod sidecar;

// What every executable has.
mod command;
mod life;
mod messages;
mod protocol;

// Each of them alone.
mod ipalias_alone;
mod low_port;
mod run_alone;
mod services;
mod tcpproxy_alone;

// The supervisor.
mod bad_input;
mod ci;
mod configured;
mod escalated;
mod forgotten;
mod order;
mod orphans;
mod rebuild;
mod recovery;
mod reload;
mod reload_names;
mod replaced;
mod rootless;
mod second_terminal;
mod side_by_side;
mod slow_readers;
mod ssh_forward;
mod stopping;
mod switch;
mod terminal_ui;
mod torrent;
mod wiring;

// What a newcomer sees.
mod demo;
mod habits;
mod readme;

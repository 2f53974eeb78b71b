//! The tests of Kubernetes forwards, against a real cluster and against a fake API server that can be made to fail. One
//! binary, so that there is one cluster; see `monday_tests::cluster`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so do its helpers"
)]

mod ground;
mod oracle;

// What the tests of monday-fwd share.
mod forwarder;
mod loop_of_requests;
mod talk;

// Against the real cluster.
mod bytes;
mod isolation;
mod outage;
mod project;
mod remote;
mod rights;
mod rollout;
mod targets;

// Before a fake API server.
mod complaints;
mod faults;
mod hostile;
mod staged;
mod ways;

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

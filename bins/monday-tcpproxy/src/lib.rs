//! Listens on addresses and relays every connection to another address.
//!
//! Where a byte goes:
//!
//! ```text
//! client ─> listener ─> connection ─> dial ─> target
//!                            │
//!                          relay ─┬─ direction (up)   ─┬─ scratch    one buffer per thread, while little is moved
//!                                 └─ direction (down) ─┴─ pipe_pool  splice(2), while much is
//! ```
//!
//! - **A connection owns two sockets and little else.** It reads into a buffer that all connections of its thread
//!   [share](scratch); only what cannot be written at once is kept. A [`direction`] that moves bulk data borrows a pipe
//!   and lets the kernel move the pages.
//! - **How one side ends is how the other is ended** ([`relay`]): half-close for half-close, reset for reset, and a
//!   target that refuses is a reset as well.
//! - **A peer that has ended its stream may still read, or be gone** ([`half_closed`](monday_shared::half_closed)): the kernel is asked which.
//! - **A listener never ends by itself** ([`listener`]), and a connection that fails concerns nobody else.
//! - **Connections stay on the thread** that took them ([`workers`]).
//!
//! Above that, a [`route`] is a wish and what came of it. [`table`] is the task that owns the routes; what it takes to
//! open a batch of them, all or none, is decided by [`plan`] before anything is touched, and its addresses are taken by
//! [`bind`], perhaps through a monday-ipalias that may what we may not. [`service`] is the control
//! protocol over its handle ([`wait`] its one long question), [`run`](run::run) the life of the executable, and [`ctl`]
//! asks one that runs.

mod bind;
mod chance;
pub mod cli;
mod connection;
pub mod ctl;
mod direction;
pub mod error;
mod failures;
mod faults;
pub mod inherited;
mod listener;
mod orders;
mod pipe_pool;
mod place;
mod plan;
mod platform;
mod proxy_header;
pub mod ready;
mod relay;
mod route;
pub mod routes_file;
pub mod run;
mod scratch;
pub mod service;
mod shaper;
mod socket;
mod socket_file;
mod spare;
mod stats;
pub mod table;
mod wait;
pub mod workers;

pub use pipe_pool::CopyPath;
pub use plan::Conflict;

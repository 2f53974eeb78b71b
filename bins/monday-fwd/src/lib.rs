//! Opens forwards: over SSH (`ssh`, `ssh-remote`) and from Kubernetes (`kubernetes`, `kubernetes-remote`).
//!
//! Where a byte goes:
//!
//! ```text
//! client ─> listener ─> local ─> tunnel of its kind ─> target
//! ```
//!
//! - **A listener never ends by itself** ([`listener`]), whatever becomes of the tunnel behind it. A connection that
//!   comes while the tunnel is away is held ([`scope::Scope::until_up`]).
//! - **A kind of forward is a folder** ([`ssh`]): it reads its specification, starts its tunnel, and says what becomes of
//!   it through its [`scope`]. [`forward`] and [`cli`] are the two places that list the kinds.
//! - **A forward stays on one thread** ([`threads`]) with all of its connections.
//! - **A client that has closed is told from one that only sends nothing more** ([`local`]).
//!
//! [`table`] is the task that owns the forwards, [`service`] the control protocol over its handle, and
//! [`run`](run::run) the life of the executable.

#![allow(
    dead_code,
    reason = "what the kinds of forwards stand on comes before them"
)]

pub mod cli;
mod connection;
pub mod error;
mod forward;
mod kubernetes;
pub mod kubernetes_remote;
mod listener;
mod local;
mod local_io;
mod place;
pub mod run;
mod scope;
pub mod service;
pub mod ssh;
pub mod table;
mod text;
pub mod threads;

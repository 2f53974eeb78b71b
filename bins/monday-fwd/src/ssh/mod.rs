//! Forwards over SSH: `ssh` ([`local`]) and `ssh-remote` ([`remote`]).
//!
//! ```text
//! arguments, ssh_config ─> config ─> transport ─> host_key, login ─> link
//! keeper: makes links, again when they are lost (course), more when clients stall
//! local, remote ─> relay ─> channel of a link
//! ```
//!
//! - **Nothing is ever asked for.** Keys come from agents and files ([`identity`], [`login`]); a host that is not known
//!   becomes known, and one whose key has changed is refused ([`host_key`], [`known_hosts`]).
//! - **Every forward has a connection of its own**, at least one: one client that does not read stops all channels of a
//!   connection ([`relay`]).
//! - **What a person has to mend is said once; everything else is tried again** ([`error`], [`course`]).

mod ahead;
mod algorithms;
mod args;
mod cli;
mod client;
mod config;
mod connect;
mod course;
mod destination;
mod error;
mod host_key;
mod identity;
mod keeper;
mod known_hosts;
mod local;
mod login;
mod relay;
mod remote;
mod rule;
mod transport;

pub(crate) use cli::{SshArgs, SshRemoteArgs};
pub(crate) use local::SshWish;
pub(crate) use remote::SshRemoteWish;

//! What monday's executables have in common.
//!
//! Monday is a set of small executables that each do one job, and a supervisor that wires them. They meet over local
//! sockets, never as crates; what they share is here and nothing else is:
//!
//! - [`protocol`]: the messages, one file per executable, and the envelope around them (JSON-RPC 2.0, one object a line);
//! - [`rpc`]: the server and the client that carry these messages, and the [`rpc::hub`] that fans events out;
//! - [`socket`]: where sockets live and who may bind, replace and use them;
//! - [`life`]: the one life that every executable leads: flags, log, signals, lifeline, ready line, `-- COMMAND`, exit code;
//! - [`lease`]: what lets the next one end the processes that survived a guardian;
//! - [`identity`]: what root does for a user, it does as that user; [`handover`]: how it hands over a port below 1024;
//! - what whoever relays needs: [`accept`], [`address`], [`dial`], [`half_closed`], [`open_files`];
//! - small pieces that would otherwise be written several times: [`address_env`], [`ask`], [`backoff`],
//!   [`channel_relay`], [`duration`], [`holder`],
//!   [`hostname`], [`lines`], [`name_colour`], [`signal_name`], [`start_fault`], [`state_dir`],
//!   [`timestamp`].
//!
//! `shared` knows no other crate of the workspace. The wire format is documented in `shared/PROTOCOL.md`.

pub mod accept;
pub mod address;
pub mod address_env;
pub mod amount;
pub mod ask;
pub mod backoff;
pub mod channel_relay;
pub mod dial;
pub mod duration;
pub mod half_closed;
pub mod handover;
pub mod holder;
pub mod hostname;
pub mod identity;
#[cfg(feature = "schema")]
mod json_schema;
pub mod lease;
pub mod life;
pub mod lines;
pub mod name_colour;
pub mod open_files;
pub mod platform;
pub mod protocol;
pub mod rpc;
pub mod signal_name;
pub mod socket;
pub mod start_fault;
pub mod state_dir;
pub mod timestamp;

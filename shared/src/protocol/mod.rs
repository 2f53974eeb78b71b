//! The messages on the wire: JSON-RPC 2.0, one JSON object a line (UTF-8, LF).
//!
//! [`message`] is the envelope, [`error`] what an error reply carries, [`common`] what every executable understands,
//! and then there is one file per executable. `shared/PROTOCOL.md` is the reference with an example per message; a
//! test feeds every one of its examples to the real executables.

#[macro_use]
pub mod method;

pub mod common;
pub mod error;
pub mod fault;
pub mod fwd;
pub mod ipalias;
pub mod listen_address;
pub mod message;
pub mod run;
pub mod run_spec;
pub mod supervisor;
pub mod tcpproxy;
pub mod watch;

/// The number of this protocol. It rises when a message changes in a way that an old client would misread.
pub const PROTOCOL: u32 = 1;

/// The longest line that a peer may send, in bytes, its line feed not counted: far above any real message, and small
/// enough that a hostile peer costs little memory.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;

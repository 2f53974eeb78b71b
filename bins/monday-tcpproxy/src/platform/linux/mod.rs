//! Linux.

mod pacing;
mod pipe;
mod sock_diag;

pub(crate) use pacing::stop_pacing;
pub(crate) use pipe::Pipe;
pub(crate) use sock_diag::{peer_state, unacknowledged};

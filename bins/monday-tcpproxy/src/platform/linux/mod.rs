//! Linux.

mod pacing;
mod pipe;

pub(crate) use pacing::stop_pacing;
pub(crate) use pipe::Pipe;

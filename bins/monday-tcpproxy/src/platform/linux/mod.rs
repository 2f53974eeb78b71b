//! Linux.

mod pipe;

pub(crate) use pipe::Pipe;

//! Systems without splice(2): there are no pipes, every byte goes through the scratch buffer.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;

/// A pipe that cannot exist.
#[derive(Debug)]
pub(crate) struct Pipe(Infallible);

impl Pipe {
    /// # Errors
    /// Always: there is no splice(2) here.
    pub(crate) fn open(_capacity_bytes: usize) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn fill_from(&self, _socket: impl AsFd) -> io::Result<usize> {
        match self.0 {}
    }

    pub(crate) fn empty(&self, _held: usize) -> Vec<u8> {
        match self.0 {}
    }

    pub(crate) fn drain_into(&self, _socket: impl AsFd, _held: usize) -> io::Result<usize> {
        match self.0 {}
    }
}

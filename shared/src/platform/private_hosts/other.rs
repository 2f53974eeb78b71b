//! Operating systems without mount namespaces.

use std::io;
use std::path::Path;
use std::process::Command;

use super::WhyNot;

/// There is no such thing here.
#[derive(Debug)]
pub struct PrivateHosts(());

impl PrivateHosts {
    /// There is no such thing here.
    ///
    /// # Errors
    /// Always.
    pub fn new(_file: &Path) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Nothing, since there is none.
    ///
    /// # Errors
    /// Always.
    pub fn apply(self, _command: &mut Command) -> io::Result<ToKeep> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A command with a hosts file of its own, which there is not here.
#[derive(Debug)]
pub struct ToKeep(());

/// A hosts file that is kept in its place, which there is not here.
#[derive(Debug)]
pub struct Kept(());

impl ToKeep {
    /// Nothing has to be done.
    #[must_use]
    pub fn keep(self) -> Kept {
        Kept(())
    }
}

/// Whether commands can have hosts files of their own.
///
/// # Errors
/// Always: only Linux has mount namespaces.
pub fn check() -> Result<(), WhyNot> {
    Err(WhyNot::NotLinux)
}

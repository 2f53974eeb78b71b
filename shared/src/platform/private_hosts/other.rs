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
    pub fn apply(self, _command: &mut Command) {}
}

/// Whether commands can have hosts files of their own.
///
/// # Errors
/// Always: only Linux has mount namespaces.
pub fn check() -> Result<(), WhyNot> {
    Err(WhyNot::NotLinux)
}

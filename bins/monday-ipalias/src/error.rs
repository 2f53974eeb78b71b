//! What can go wrong here.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use monday_shared::life::{Failure, LifeError, exit};
use monday_shared::protocol::error::{ErrorKind, RpcError};

use crate::hosts::block::Malformed;
use crate::privilege::PrivilegeError;
use crate::range::Range;
use crate::setup::quoted;
use crate::status::DEFAULT_FILE;
use monday_shared::hostname::{Flaw, Hostname};

/// Why names could not be given addresses, or the hosts file not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that cannot be a host name.
    #[error("{name:?} cannot be a host name: {flaw}")]
    Hostname {
        /// The name.
        name: String,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// An address that was asked for is not one that we give out.
    #[error(
        "`{name}` cannot have the address {ip}: it is used by {why}; leave `ip` out to get a free one"
    )]
    Address {
        /// For which name.
        name: Hostname,
        /// The address.
        ip: IpAddr,
        /// Who uses it.
        why: &'static str,
    },
    /// Every address of the range belongs to another name.
    #[error(
        "there is no free address in {range} for `{name}`; release other names or take a larger range (--range)"
    )]
    Exhausted {
        /// For which name.
        name: Hostname,
        /// The range.
        range: Range,
    },
    /// Another project that runs wants the same name and port.
    #[error(
        "port {port} of `{name}` belongs to {by}, which is running; stop that one, or give one of the two another host name or port"
    )]
    Taken {
        /// The name.
        name: Hostname,
        /// The port.
        port: u16,
        /// Whose it is, for people.
        by: String,
        /// The process that holds it.
        pid: u32,
    },
    /// More names than anybody has.
    #[error("{count} names are too many: at most {limit} are served at once")]
    TooMany {
        /// How many there would be.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// The folder where instances tell each other of their addresses cannot be used.
    #[error(
        "cannot {what} in {folder}, where monday-ipalias keeps who has which address: {source}"
    )]
    Leases {
        /// What was tried.
        what: &'static str,
        /// The folder.
        folder: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The hosts file cannot be read or written.
    #[error("cannot {what} {file}: {source}")]
    Hosts {
        /// What was tried.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The hosts file cannot be edited safely.
    #[error("cannot edit {file}: {source}")]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: Malformed,
    },
    /// Others write the file without a pause.
    #[error("cannot write {file}: another program is rewriting it all the time; it is tried again")]
    Overtaken {
        /// The file.
        file: PathBuf,
    },
    /// Root would make the machine's own name lead elsewhere, for somebody who is not root.
    #[error(
        "{name} is this machine's own name, which root does not lead elsewhere for a user: give your service another host name"
    )]
    MachinesName {
        /// The name.
        name: Hostname,
    },
    /// A port was asked for on an address that is not ours to give.
    #[error(
        "{ip} is not an address that this monday-ipalias has assigned; `assign` its host name first"
    )]
    NotAssigned {
        /// The address.
        ip: IpAddr,
    },
    /// An address got as far as being written or bound that must not.
    #[error(
        "{ip} is no address to give out: it is used by {why}; nothing was done with it, please report how it came about"
    )]
    NeverGiven {
        /// The address.
        ip: IpAddr,
        /// Who uses it.
        why: &'static str,
    },
    /// A name is to be exchanged that has no address.
    #[error("`{name}` has no address to exchange; `assign` it first")]
    Unassigned {
        /// The name.
        name: Hostname,
    },
    /// A port was asked for that there is not.
    #[error("0 is no port to be handed over: name the one that is wanted")]
    PortZero,
    /// A port could not be bound.
    #[error(transparent)]
    Bind(Box<RpcError>),
    /// A line that must not be taken over.
    #[error(
        "line {line} of {file} gives this machine's own name {own:?} its address and stays as it is, {name:?} on it included: give \
         your service another host name"
    )]
    OwnName {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
        /// The name that was asked for.
        name: String,
        /// The machine's name.
        own: String,
    },
    /// Only root may do that.
    #[error("{source}; to do it as root: `{command}`")]
    ByRoot {
        /// What failed.
        source: Box<Self>,
        /// What would not.
        command: String,
    },
    /// A file cannot be a private copy.
    #[error(
        "--base makes a private copy of a hosts file, which {file} is not: name another one with --hosts-file"
    )]
    Base {
        /// The file that would be written.
        file: PathBuf,
    },
    /// This process was started in a way in which it will not work.
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    /// The executable is about to end.
    #[error("monday-ipalias is about to end")]
    Ending,
    /// What every executable may fail at.
    #[error(transparent)]
    Life(#[from] LifeError),
}

impl Error {
    /// The same, with the command that would do it as root, where that is what is missing.
    #[must_use]
    pub fn or_as_root(self, verb: &str, file: &Path) -> Self {
        let forbidden = matches!(&self, Self::Hosts { source, .. } if source.kind() == io::ErrorKind::PermissionDenied);
        if !forbidden || nix::unistd::geteuid().is_root() {
            return self;
        }
        Self::ByRoot {
            source: Box::new(self),
            command: as_root(verb, file),
        }
    }

    /// The kind of error that a program is told.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Hostname { .. } | Self::Address { .. } | Self::PortZero | Self::Base { .. } => {
                ErrorKind::InvalidParams
            }
            Self::NotAssigned { .. } | Self::Unassigned { .. } => ErrorKind::NotFound,
            Self::Bind(error) => error.data.kind,
            Self::Privilege(_)
            | Self::OwnName { .. }
            | Self::MachinesName { .. }
            | Self::NeverGiven { .. }
            | Self::ByRoot { .. } => ErrorKind::Denied,
            Self::Exhausted { .. } => ErrorKind::AddressUnavailable,
            Self::Taken { .. } => ErrorKind::Conflict,
            Self::TooMany { .. } => ErrorKind::TooLarge,
            Self::Ending => ErrorKind::ShuttingDown,
            Self::Hosts { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                ErrorKind::Denied
            }
            Self::Leases { .. }
            | Self::Hosts { .. }
            | Self::Malformed { .. }
            | Self::Overtaken { .. }
            | Self::Life(_) => ErrorKind::Os,
        }
    }
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Privilege(error) if error.is_usage() => exit::USAGE,
            Self::Base { .. } => exit::USAGE,
            _ => exit::FAILED,
        }
    }
}

impl Error {
    /// Why the hosts file does not hold the names, and what a person can do about it. The file is named beside it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Hosts { source, .. } => match source.kind() {
                // Through sudo, root writes what root owns and has not made read-only; see `privilege::rights`.
                io::ErrorKind::PermissionDenied if nix::unistd::geteuid().is_root() => format!(
                    "{source}; through sudo or doas it is written where it and its folders are root's and root may write \
                     it: see `ls -l`, or add each address and name to the file yourself"
                ),
                io::ErrorKind::PermissionDenied => format!(
                    "{source}; start monday-ipalias as root (sudo), or add each address and name to the file yourself"
                ),
                io::ErrorKind::ReadOnlyFilesystem => {
                    format!("{source}; make it writable, or name another file with --hosts-file")
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    format!("{source}; make room and it is written by itself")
                }
                _ => source.to_string(),
            },
            Self::Malformed { source, .. } => source.to_string(),
            Self::Overtaken { .. } => {
                "another program is rewriting it all the time; it is written as soon as that pauses"
                    .to_owned()
            }
            other => other.to_string(),
        }
    }
}

/// The command line that does that with the hosts file as root. Through sudo only the machine's own file is written; another
/// one is its owner's.
#[must_use]
pub fn as_root(verb: &str, file: &Path) -> String {
    let executable = std::env::current_exe().unwrap_or_else(|_| "monday-ipalias".into());
    let executable = quoted(&executable);
    if file == Path::new(DEFAULT_FILE) {
        format!("sudo {executable} {verb}")
    } else {
        format!("{executable} --hosts-file {} {verb}", quoted(file))
    }
}

impl From<Error> for RpcError {
    fn from(error: Error) -> Self {
        if let Error::Bind(refused) = error {
            return *refused;
        }
        let refused = Self::new(error.kind(), error.to_string());
        match error {
            Error::Hostname { name, .. } => refused.with("name", name),
            Error::Address { name, .. }
            | Error::Exhausted { name, .. }
            | Error::MachinesName { name } => refused.with("name", name.as_str()),
            Error::Taken {
                name, port, pid, ..
            } => refused
                .with("name", name.as_str())
                .with("port", port)
                .with("pid", pid),
            _ => refused,
        }
    }
}

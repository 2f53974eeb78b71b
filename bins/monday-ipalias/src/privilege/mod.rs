//! How much this process may do, on whose behalf, and how all that it does not need is given up.
//!
//! Three ways of standing ([`Standing`]), decided once, before the command line or the environment is looked at:
//!
//! - **an ordinary user**: everything happens with that user's rights;
//! - **root itself**, in a root shell or as a service: the flags mean what they say;
//! - **root for a user** who called us through sudo(8), doas(1) or pkexec(1). That user may be allowed nothing as root but this one
//!   program, so nothing that the user says is trusted: the environment is emptied, no hosts file can be named, no command
//!   is run, and whatever is made in the user's folders (control socket, leases) is made *as the user*
//!   ([`Identity::act`]). Only that user, and root, may talk to it.
//!
//! What is left of root's power is written down in [`rights`]; the rest is dropped for good, and cannot be regained by
//! executing anything (`no_new_privs`, prctl(2)).
//!
//! The saved user id of the third way is the user's. That lets a thread act as the user without the right to become
//! anybody (`CAP_SETUID`), and lets the user stop what was started in the user's name (kill(2)); it gives the user no
//! hold over the process beyond signals.

pub mod claim;
mod environment;
pub mod rights;

use std::io;
use std::path::PathBuf;

use monday_shared::identity::Identity;
use monday_shared::life::LifeArgs;
use monday_shared::socket::own_folder::{self, NotOwn};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{User, chdir};

use crate::platform;
use claim::{ClaimError, Claims, Ids};
use rights::Rights;

/// On whose behalf this process works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// An ordinary user's own.
    Ordinary,
    /// Root's own.
    Root,
    /// As root for this user, who called us through sudo or doas.
    Serving(Identity),
}

/// Why this process does not work as it was started.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// It cannot be said who called.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Giving up rights failed; nothing is done with too many of them.
    #[error("cannot {what}, and will not run as root without: {source}")]
    Keep {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A hosts file was named by somebody who may be trusted with ours only.
    #[error(
        "--hosts-file is refused through sudo or doas, where only {default} is written; in a root shell of your own, unset SUDO_UID, DOAS_USER and PKEXEC_UID"
    )]
    HostsFile {
        /// The one that is written.
        default: &'static str,
    },
    /// A file to copy was named by somebody who may name none.
    #[error(
        "--base is refused through sudo or doas: a private hosts file is yours, so write it as yourself"
    )]
    Base,
    /// A command was to be run with root's rights.
    #[error(
        "`-- COMMAND` is refused through sudo or doas, since no command is run as root; leave it out and start the command beside, or in a root shell of your own unset SUDO_UID, DOAS_USER and PKEXEC_UID"
    )]
    Command,
    /// The control socket is not in a folder of the user's.
    #[error("cannot serve {socket}: {source}", socket = .socket.display())]
    Control {
        /// The socket.
        socket: PathBuf,
        /// What is wrong with its folder.
        source: NotOwn,
    },
    /// The path of the control socket names no file.
    #[error("cannot serve {}: it is not an absolute path of a file", .0.display())]
    NoSocket(PathBuf),
}

impl PrivilegeError {
    /// Whether the command line is at fault.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::HostsFile { .. }
                | Self::Base
                | Self::Command
                | Self::Control { .. }
                | Self::NoSocket(_)
        )
    }
}

impl Standing {
    /// Finds out how this process stands and, for a user, takes that stand. To be called first of all in `main`, while
    /// there is one thread only.
    ///
    /// # Errors
    /// [`PrivilegeError`] if it cannot be said who called, or not be done.
    pub fn take() -> Result<Self, PrivilegeError> {
        let standing = claim::judge(Ids::own(), &Claims::of_environment(), &look_up)?;
        if let Self::Serving(user) = standing {
            environment::clear();
            // Relative paths mean nothing here, and a folder of the user's must not be held.
            chdir("/").map_err(failed("leave the folder it was started in"))?;
            // Modes are set by what makes a file, and nothing more is given away whatever the caller's mask was.
            umask(Mode::from_bits_truncate(0o077));
            platform::take_stand(user).map_err(|source| PrivilegeError::Keep {
                what: "give up root's groups and take the caller's id aside",
                source,
            })?;
        }
        Ok(standing)
    }

    /// Gives up what is not needed from here on, for all threads that come. `runs_command`: COMMAND will be run, with the
    /// rights of whoever started us.
    ///
    /// # Errors
    /// [`PrivilegeError::Keep`], [`PrivilegeError::Command`].
    pub fn confine(self, runs_command: bool) -> Result<Self, PrivilegeError> {
        let confined = match (self, runs_command) {
            (Self::Serving(_), true) => return Err(PrivilegeError::Command),
            // Root's command would get all of it back at its exec(3), and with that change of rights the kernel would
            // forget that the command is to die with us (`PR_SET_PDEATHSIG`, prctl(2)).
            (Self::Root, true) => Ok(()),
            _ => match Rights::needed(self) {
                Some(rights) => platform::confine(rights),
                None => platform::drop_gained(),
            },
        };
        confined.map_err(|source| PrivilegeError::Keep {
            what: "give up capabilities",
            source,
        })?;
        Ok(self)
    }

    /// The user who is served, if that is not who we are.
    #[must_use]
    pub fn user(self) -> Option<Identity> {
        match self {
            Self::Serving(user) => Some(user),
            Self::Ordinary | Self::Root => None,
        }
    }

    /// The common flags as they are taken: the control socket of a user who is served has to be in a folder of that user's
    /// own.
    ///
    /// # Errors
    /// [`PrivilegeError::Control`], [`PrivilegeError::NoSocket`].
    pub fn life(self, args: &LifeArgs) -> Result<LifeArgs, PrivilegeError> {
        let mut args = args.clone();
        let (Some(user), Some(socket)) = (self.user(), &args.control) else {
            return Ok(args);
        };
        let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Err(PrivilegeError::NoSocket(socket.clone()));
        };
        // Looked at with the user's rights: what is hidden from the user is not revealed by our answer.
        let checked = user
            .act(|| own_folder::check(folder, user.uid))
            .unwrap_or_else(|source| {
                Err(NotOwn::Io {
                    path: folder.to_owned(),
                    source,
                })
            });
        let folder = checked.map_err(|source| PrivilegeError::Control {
            socket: socket.clone(),
            source,
        })?;
        args.control = Some(folder.join(name));
        Ok(args)
    }
}

fn failed(what: &'static str) -> impl FnOnce(nix::errno::Errno) -> PrivilegeError {
    move |errno| PrivilegeError::Keep {
        what,
        source: errno.into(),
    }
}

/// A user's numbers, by name or number.
fn look_up(user: claim::Named<'_>) -> Option<Identity> {
    let found = match user {
        claim::Named::Name(name) => User::from_name(name),
        claim::Named::Uid(uid) => User::from_uid(uid.into()),
    };
    let user = found.ok()??;
    Some(Identity {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
    })
}

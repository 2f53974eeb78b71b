//! A mount namespace for one command, in a user namespace where that is needed.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, stat};
use nix::unistd::write;

use super::kept::{ToKeep, Way};
use super::why_not::{Failure, Stage};
use super::{SYSTEM_HOSTS, WhyNot};
use crate::identity::Identity;

/// `CAP_SYS_ADMIN`, which making a mount namespace takes (capabilities(7)).
const CAP_SYS_ADMIN: u32 = 21;

/// What the child of [`check`] says when all went well: a number that no failure has.
const POSSIBLE: i32 = i32::MAX;

/// A file to be mounted over the hosts file of a command. All that allocates is done beforehand.
#[derive(Debug)]
pub struct PrivateHosts {
    mounting: Arc<Mounting>,
    /// How numbers are mapped in a new user namespace; nothing where none is needed.
    maps: Option<Maps>,
}

/// What is mounted where.
#[derive(Debug)]
pub(super) struct Mounting {
    file: CString,
    over: CString,
}

/// How often a mount is made that somebody takes away at the same moment.
const TRIES: u32 = 10;

/// What is written to `uid_map` and `gid_map` (`user_namespaces(7)`).
#[derive(Debug)]
struct Maps {
    uid: String,
    gid: String,
}

impl PrivateHosts {
    /// That file, which has to be there.
    ///
    /// # Errors
    /// If it is not an ordinary file that can be reached.
    pub fn new(file: &Path) -> io::Result<Self> {
        let file = std::path::absolute(file)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other(format!(
                "{} is not an ordinary file",
                file.display()
            )));
        }
        Ok(Self {
            mounting: Arc::new(Mounting {
                file: CString::new(file.as_os_str().as_bytes())?,
                over: CString::new(SYSTEM_HOSTS)?,
            }),
            maps: (!may_mount()).then(|| Maps::same(Identity::own())),
        })
    }

    /// Makes the command run with that file as its hosts file, and returns what keeps it there once the command was
    /// started. To be called before other things that ask for `pre_exec`, so that they already happen in the namespace.
    /// [`WhyNot::of`] explains the error that starting the command gives where this is impossible.
    ///
    /// # Errors
    /// What socketpair(2) says.
    pub fn apply(self, command: &mut Command) -> io::Result<ToKeep> {
        let (to_keep, way) = ToKeep::new(Arc::clone(&self.mounting))?;
        // SAFETY: the closure runs between fork and exec and calls only unshare(2), open(2), write(2), close(2),
        // mount(2), stat(2) and sendmsg(2), which are async-signal-safe, with texts that were made before; it allocates
        // nothing.
        unsafe {
            command.pre_exec(move || self.enter(Some(&way)).map_err(Failure::into_error));
        }
        Ok(to_keep)
    }

    /// Takes the calling process there. Async-signal-safe.
    fn enter(&self, way: Option<&Way>) -> Result<(), Failure> {
        let at = |stage| move |errno| Failure { stage, errno };
        let mut new = CloneFlags::CLONE_NEWNS;
        if self.maps.is_some() {
            new |= CloneFlags::CLONE_NEWUSER;
        }
        unshare(new).map_err(at(Stage::Unshare))?;
        if let Some(maps) = &self.maps {
            maps.write().map_err(at(Stage::Map))?;
        } else {
            // What is mounted here must not be seen outside; what is mounted outside may be seen here. In a new user
            // namespace the kernel has seen to that.
            let below = MsFlags::MS_REC | MsFlags::MS_SLAVE;
            mount(None::<&CStr>, c"/", None::<&CStr>, below, None::<&CStr>)
                .map_err(at(Stage::Detach))?;
        }
        self.mounting.mount().map_err(at(Stage::Mount))?;
        // A command that cannot hand this out runs all the same; whoever starts it is told.
        if way.is_some_and(|way| way.hand_out().is_ok()) {
            // From here on every change is noticed, but not what happened since the file was mounted.
            self.mounting.mount_if_missing().map_err(at(Stage::Mount))?;
        }
        Ok(())
    }
}

impl Mounting {
    fn mount(&self) -> Result<(), Errno> {
        let (file, over) = (self.file.as_c_str(), self.over.as_c_str());
        mount(
            Some(file),
            over,
            None::<&CStr>,
            MsFlags::MS_BIND,
            None::<&CStr>,
        )
    }

    /// Mounts the file unless it is what is found there already. Async-signal-safe.
    pub(super) fn mount_if_missing(&self) -> Result<(), Errno> {
        for _ in 0..TRIES {
            if self.is_there()? {
                return Ok(());
            }
            self.mount()?;
        }
        Err(Errno::EAGAIN)
    }

    fn is_there(&self) -> Result<bool, Errno> {
        let (file, over) = (stat(self.file.as_c_str())?, stat(self.over.as_c_str())?);
        Ok((file.st_dev, file.st_ino) == (over.st_dev, over.st_ino))
    }
}

impl Maps {
    /// The user and the group keep their numbers. More than its own an ordinary user may not map.
    fn same(user: Identity) -> Self {
        let same = |number: u32| {
            let mut line = String::new();
            let _ = write!(line, "{number} {number} 1");
            line
        };
        Self {
            uid: same(user.uid),
            gid: same(user.gid),
        }
    }

    fn write(&self) -> Result<(), Errno> {
        // Without this an ordinary user may not map a group.
        put(c"/proc/self/setgroups", "deny")?;
        put(c"/proc/self/uid_map", &self.uid)?;
        put(c"/proc/self/gid_map", &self.gid)
    }
}

fn put(file: &CStr, text: &str) -> Result<(), Errno> {
    let file = open(file, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    write(file, text.as_bytes()).map(|_| ())
}

/// Whether this process may mount without a user namespace.
fn may_mount() -> bool {
    let effective = std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("CapEff:"))?;
            u64::from_str_radix(line.trim(), 16).ok()
        });
    effective.is_some_and(|set| set & (1 << CAP_SYS_ADMIN) != 0)
}

/// Whether commands of this process can have hosts files of their own, found out by trying in a child that runs nothing.
///
/// # Errors
/// [`WhyNot`] with the switch that forbids it.
pub fn check() -> Result<(), WhyNot> {
    let other = |error: io::Error| WhyNot::Other {
        what: "find out whether there can be private hosts files",
        errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)),
    };
    let hosts = match PrivateHosts::new(SYSTEM_HOSTS.as_ref()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(WhyNot::NoHostsFile),
        hosts => hosts.map_err(other)?,
    };
    // Never executed: the child ends before.
    let mut command = Command::new("/");
    command.stdin(Stdio::null());
    // SAFETY: as in `apply`; nothing comes afterwards.
    unsafe {
        command.pre_exec(move || {
            hosts.enter(None).map_err(Failure::into_error)?;
            Err(io::Error::from_raw_os_error(POSSIBLE))
        });
    }
    match command.spawn() {
        Err(error) if error.raw_os_error() == Some(POSSIBLE) => Ok(()),
        Err(error) => Err(WhyNot::of(&error).unwrap_or_else(|| other(error))),
        // A folder cannot be executed.
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
#[path = "linux_tests.rs"]
mod tests;

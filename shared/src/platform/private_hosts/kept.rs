//! Keeps the hosts file of a command in its place.
//!
//! Whoever replaces `/etc/hosts` by renaming another file over it takes away what is mounted there, in every mount
//! namespace at once (rename(2) lets nobody be kept from it by somebody else's mount). A file system over the whole of
//! `/etc` would survive that, but shows what the files of the real one were, not what they are. So the mount is made
//! again: the command hands out its namespaces on its way to exec, and a thread of ours waits until something was
//! mounted or unmounted there (`/proc/PID/mountinfo`, `proc_pid_mountinfo(5)`), which takes no inotify instance and
//! misses nothing. Between the two, for about a millisecond, the command sees the machine's own file.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, clone, setns};
use nix::sys::signal::SigSet;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{chroot, fchdir};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::linux::Mounting;

/// After one look the next is not earlier than this: who mounts and unmounts all the time shall not keep us busy.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// While there is no hosts file to mount over (somebody removes it before making a new one), it is looked for again
/// after this long, then after twice that, ...
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// ... and at last this often.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The stack of the process that mounts again, in bytes: it makes some ten system calls.
const STACK_BYTES: usize = 64 * 1024;

/// The stack of the thread that waits, in bytes.
const THREAD_STACK_BYTES: usize = 128 * 1024;

/// As many descriptors as the command hands out: its root folder, its mounts, its namespaces.
const HANDED_OUT: usize = 4;

/// A command that was given a hosts file and is about to be started.
#[derive(Debug)]
#[must_use = "the file stays in its place only as long as it is kept there"]
pub struct ToKeep {
    mounting: Arc<Mounting>,
    ours: OwnedFd,
}

/// The way by which the command hands out its namespaces.
#[derive(Debug)]
pub(super) struct Way(OwnedFd);

/// A hosts file that is kept in its place; when this is dropped, it is left to whoever replaces `/etc/hosts`.
#[derive(Debug)]
pub struct Kept {
    /// Its end tells the thread that it is over.
    _stop: Option<OwnedFd>,
}

/// Where the file is mounted.
#[derive(Debug)]
struct Place {
    mounting: Arc<Mounting>,
    /// The command's root folder.
    root: OwnedFd,
    /// Has something to tell whenever something was mounted or unmounted.
    mounts: OwnedFd,
    mount_namespace: OwnedFd,
    /// The one of the command, and of us where it is in none of its own.
    user_namespace: OwnedFd,
}

impl ToKeep {
    /// # Errors
    /// What socketpair(2) says.
    pub(super) fn new(mounting: Arc<Mounting>) -> io::Result<(Self, Way)> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self { mounting, ours }, Way(theirs)))
    }

    /// To be called when the command was started: from then on the file stays in its place, until what this returns is
    /// dropped. Where that is impossible it is said in the log, and the command runs on.
    #[must_use = "the file stays in its place only as long as it is kept there"]
    pub fn keep(self) -> Kept {
        let kept = self.place().and_then(Place::keep);
        match kept {
            Ok(stop) => Kept { _stop: Some(stop) },
            Err(error) => {
                tracing::warn!(
                    %error,
                    "a command loses its own hosts file when somebody replaces {}",
                    super::SYSTEM_HOSTS
                );
                Kept { _stop: None }
            }
        }
    }

    /// What the command has handed out.
    fn place(self) -> io::Result<Place> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HANDED_OUT))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let mut byte = [0];
        let bytes = &mut [IoSliceMut::new(&mut byte)];
        recvmsg(&self.ours, bytes, &mut control, flags)?;
        let descriptors = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        let mut descriptors = descriptors.flatten();
        let mut next = || descriptors.next().ok_or(io::ErrorKind::UnexpectedEof);
        Ok(Place {
            root: next()?,
            mounts: next()?,
            mount_namespace: next()?,
            user_namespace: next()?,
            mounting: self.mounting,
        })
    }
}

impl Way {
    /// Hands out where this process is. Async-signal-safe.
    pub(super) fn hand_out(&self) -> Result<(), Errno> {
        let path = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let read = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let none = Mode::empty();
        let root = open(c"/", path, none)?;
        let mounts = open(c"/proc/self/mountinfo", read, none)?;
        let mount_namespace = open(c"/proc/self/ns/mnt", read, none)?;
        let user_namespace = open(c"/proc/self/ns/user", read, none)?;
        let descriptors: [BorrowedFd<'_>; HANDED_OUT] = [
            root.as_fd(),
            mounts.as_fd(),
            mount_namespace.as_fd(),
            user_namespace.as_fd(),
        ];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HANDED_OUT))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&self.0, &[IoSlice::new(b"x")], &mut control, flags)
            .map(drop)
            .map_err(|error| Errno::from_raw(error.raw_os_error()))
    }
}

impl Place {
    /// Begins to keep it, and returns what ends that when it is closed.
    fn keep(self) -> io::Result<OwnedFd> {
        let (stopped, stop) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let own = File::open("/proc/self/ns/user")?;
        let enters_user_namespace = !is_same(own.as_fd(), self.user_namespace.as_fd())?;
        thread::Builder::new()
            .name("private-hosts".to_owned())
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || {
                // A process of ours that gets a signal shall not take it for one of this process.
                let _ = SigSet::all().thread_block();
                self.watch(&stopped, enters_user_namespace);
            })?;
        Ok(stop)
    }

    fn watch(&self, stopped: &OwnedFd, enters_user_namespace: bool) {
        let mut stack = vec![0; STACK_BYTES];
        let mut pause = None;
        while self.wait(stopped, pause) {
            let is_there = self.mount_again(&mut stack, enters_user_namespace);
            pause = match (is_there, pause) {
                (true, _) => None,
                (false, None) => Some(FIRST_PAUSE),
                (false, Some(pause)) => Some(LONGEST_PAUSE.min(pause * 2)),
            };
            if is_over(stopped, BETWEEN_LOOKS) {
                return;
            }
        }
    }

    /// Waits until there may be something to do; false: it is over.
    fn wait(&self, stopped: &OwnedFd, pause: Option<Duration>) -> bool {
        let mut both = [
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
            // Without a change it can be read as well, which is of no interest.
            PollFd::new(self.mounts.as_fd(), PollFlags::POLLPRI),
        ];
        match poll(&mut both, timeout(pause)) {
            Ok(_) => !both[0].any().unwrap_or(true),
            Err(Errno::EINTR) => true,
            Err(_) => false,
        }
    }

    /// Mounts the file again if it is not there, in a process of its own, since no thread can change its user namespace.
    /// Returns whether it is there.
    fn mount_again(&self, stack: &mut [u8], enters_user_namespace: bool) -> bool {
        let mut goes = || match self.enter_and_mount(enters_user_namespace) {
            Ok(()) => 0,
            Err(errno) => errno as isize,
        };
        // Without SIGCHLD, and waited for by its kind: whoever waits for any child of this process does not get this one.
        // SAFETY: the child has memory of its own, a stack that outlives it here, and calls only setns(2), fchdir(2),
        // chroot(2), stat(2) and mount(2), which are async-signal-safe; it allocates nothing and cannot unwind.
        let child = unsafe { clone(Box::new(&mut goes), stack, CloneFlags::empty(), None) };
        let ended = child.and_then(|child| {
            loop {
                match waitpid(child, Some(WaitPidFlag::__WCLONE)) {
                    Err(Errno::EINTR) => {}
                    ended => return ended,
                }
            }
        });
        match ended {
            Ok(WaitStatus::Exited(_, 0)) => true,
            Ok(WaitStatus::Exited(_, errno)) => {
                let errno = Errno::from_raw(errno);
                tracing::debug!(%errno, "a private hosts file cannot be mounted again yet");
                false
            }
            other => {
                tracing::debug!(?other, "a private hosts file could not be mounted again");
                false
            }
        }
    }

    /// Async-signal-safe.
    fn enter_and_mount(&self, enters_user_namespace: bool) -> Result<(), Errno> {
        if enters_user_namespace {
            setns(&self.user_namespace, CloneFlags::CLONE_NEWUSER)?;
        }
        setns(&self.mount_namespace, CloneFlags::CLONE_NEWNS)?;
        fchdir(&self.root)?;
        chroot(c".")?;
        self.mounting.mount_if_missing()
    }
}

fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<bool> {
    let (one, other) = (nix::sys::stat::fstat(one)?, nix::sys::stat::fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

fn is_over(stopped: &OwnedFd, within: Duration) -> bool {
    let mut one = [PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut one, timeout(Some(within))), Ok(1))
}

fn timeout(pause: Option<Duration>) -> PollTimeout {
    pause.map_or(PollTimeout::NONE, |pause| {
        PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX)
    })
}

//! Deadlines, and waiting for a process without asking again and again.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How long anything may take on a machine that is busy with something else. Only a failing test waits that long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A point in time after which waiting is given up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The usual one: [`PATIENCE`] from now.
    #[must_use]
    pub fn patient() -> Self {
        Self::within(PATIENCE)
    }

    /// One of the caller's own, for what has to be fast.
    #[must_use]
    pub fn within(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    /// What is left of it; nothing when it has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    #[must_use]
    pub fn passed(self) -> bool {
        self.left().is_zero()
    }
}

/// A process that cannot be mistaken for a later one with the same number (`pidfd_open(2)`).
#[derive(Debug)]
pub struct ProcessFd(OwnedFd);

impl ProcessFd {
    /// The process of that number, if there is one.
    #[must_use]
    pub fn open(pid: u32) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
        pidfd_open(pid, PidfdFlags::empty()).ok().map(Self)
    }

    /// Waits for its end; false when the deadline passed before.
    #[must_use]
    pub fn wait(&self, deadline: Deadline) -> bool {
        loop {
            let left = PollTimeout::try_from(deadline.left()).unwrap_or(PollTimeout::MAX);
            let mut waited = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            match poll(&mut waited, left) {
                Ok(0) => return false,
                Ok(_) => return true,
                Err(Errno::EINTR) => {}
                Err(error) => panic!("cannot wait for a process: {error}"),
            }
        }
    }

    /// Kills it. It may have ended already, which is as well.
    pub fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.0, rustix::process::Signal::KILL);
    }
}

//! splice(2) moves pages from one socket to another by way of a pipe, without copying them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::{pipe2, read};

/// A pipe that carries bytes from one socket to the next.
#[derive(Debug)]
pub(crate) struct Pipe {
    output: OwnedFd,
    input: OwnedFd,
    capacity_bytes: usize,
}

impl Pipe {
    /// Opens a pipe of that capacity.
    ///
    /// # Errors
    /// The process has no file descriptor left, or the user has no pipe memory left (pipe(7), pipe-user-pages-soft):
    /// a pipe that would get less than its capacity is not worth its two descriptors.
    pub(crate) fn open(capacity_bytes: usize) -> io::Result<Self> {
        let (output, input) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let wanted = i32::try_from(capacity_bytes).unwrap_or(i32::MAX);
        fcntl(&input, FcntlArg::F_SETPIPE_SZ(wanted))?;
        Ok(Self {
            output,
            input,
            capacity_bytes,
        })
    }

    /// Moves bytes from a socket into the pipe, which must be empty: only then does "would block" mean that the
    /// socket has nothing, and not that the pipe is full.
    pub(crate) fn fill_from(&self, socket: impl AsFd) -> io::Result<usize> {
        // A pipe has a slot for every 4 KiB of its capacity. A slot takes one fragment of the network, which may be
        // shorter or longer, so what comes in has no sharp bound in either direction.
        Ok(splice(
            socket,
            None,
            &self.input,
            None,
            self.capacity_bytes,
            SpliceFFlags::SPLICE_F_NONBLOCK,
        )?)
    }

    /// Takes the bytes out of the pipe, `held` being all that it holds.
    pub(crate) fn empty(&self, held: usize) -> Vec<u8> {
        let mut bytes = vec![0; held];
        let mut len = 0;
        while len < held {
            match read(&self.output, &mut bytes[len..]) {
                Ok(0) => break,
                Ok(now) => len += now,
                Err(Errno::EINTR) => {}
                // It holds less than was believed, which cannot be.
                Err(_) => break,
            }
        }
        bytes.truncate(len);
        bytes
    }

    /// Moves bytes from the pipe into a socket, `held` being all that the pipe holds.
    pub(crate) fn drain_into(&self, socket: impl AsFd, held: usize) -> io::Result<usize> {
        Ok(splice(
            &self.output,
            None,
            socket,
            None,
            held,
            SpliceFFlags::SPLICE_F_NONBLOCK,
        )?)
    }
}

//! Signals through signalfd(2), because it alone tells a signal of the terminal from one that was sent to us.

#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::OnceLock;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::super::{Caught, ENDING_SIGNALS};

/// `si_code` of a signal that the kernel itself sent, as the terminal driver does at Ctrl-C (sigaction(2)).
const SI_KERNEL: i32 = 0x80;

/// Those that end us. Whoever started us with SIGHUP ignored, as nohup(1) does, wants us to outlive the terminal.
fn ending_signals() -> SigSet {
    static HANGUP_IGNORED: OnceLock<bool> = OnceLock::new();
    let hangup_ignored = *HANGUP_IGNORED.get_or_init(|| is_ignored(Signal::SIGHUP));
    ENDING_SIGNALS
        .into_iter()
        .filter(|signal| *signal != Signal::SIGHUP || !hangup_ignored)
        .collect()
}

fn is_ignored(signal: Signal) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action this only asks, and writes the present one into memory of the right size.
    let asked = unsafe { libc::sigaction(signal as i32, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: it was written if the call succeeded.
    asked == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Keeps the ending signals from ending the process at once. To be called before any other thread exists, since each
/// thread inherits the mask of its maker. So do children, even beyond exec(3): [`unblock_signals`] is for those that
/// do not know.
///
/// # Errors
/// What `pthread_sigmask(3)` says.
pub fn block_signals() -> io::Result<()> {
    ending_signals().thread_block().map_err(io::Error::from)
}

/// Makes the command start with the ending signals unblocked, as every program expects it.
pub fn unblock_signals(command: &mut Command) {
    let signals = ending_signals();
    // SAFETY: the closure runs between fork and exec and calls only pthread_sigmask(3), which is async-signal-safe; it
    // allocates nothing.
    unsafe {
        command.pre_exec(move || signals.thread_unblock().map_err(io::Error::from));
    }
}

/// The ending signals, as they come.
#[derive(Debug)]
pub struct SignalSource {
    fd: AsyncFd<SignalFd>,
}

impl SignalSource {
    /// Begins to listen; [`block_signals`] comes first. Needs a runtime.
    ///
    /// # Errors
    /// What signalfd(2) and epoll(7) say.
    pub fn new() -> io::Result<Self> {
        let fd = SignalFd::with_flags(
            &ending_signals(),
            SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC,
        )?;
        // SAFETY: the descriptor is owned by the `SignalFd`, which gives the same one for as long as it lives, and the
        // `AsyncFd` owns the `SignalFd`.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?;
        Ok(Self { fd })
    }

    /// The next signal. Dropping the future loses none.
    ///
    /// # Errors
    /// What read(2) says.
    pub async fn next(&mut self) -> io::Result<Caught> {
        loop {
            let mut ready = self.fd.readable_mut().await?;
            let read = ready.try_io(|fd| {
                fd.get_mut()
                    .read_signal()?
                    .ok_or_else(|| io::ErrorKind::WouldBlock.into())
            });
            let Ok(info) = read else { continue };
            let info = info?;
            let number = i32::try_from(info.ssi_signo).unwrap_or(0);
            if let Ok(signal) = Signal::try_from(number) {
                return Ok(Caught {
                    signal,
                    from_terminal: info.ssi_code == SI_KERNEL,
                });
            }
        }
    }
}

//! Keys, and other things that a terminal says, read on a thread of its own.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ratatui::crossterm::event::{self, Event};
use tokio::sync::mpsc;

/// How long one look for a key takes; the thread that looks ends that much later.
const KEY_WAIT: u16 = 100;

/// What is read and not taken yet.
const WAITING_EVENTS: usize = 64;

/// The thread that reads.
pub(super) struct Keyboard {
    events: mpsc::Receiver<Event>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Keyboard {
    /// Reads from now on.
    pub(super) fn start() -> Self {
        let (keys, events) = mpsc::channel(WAITING_EVENTS);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(
                move || {
                    while !stopped.load(Ordering::Relaxed) && pass_on(&keys).is_some() {}
                },
            );
        Self {
            events,
            stop,
            thread: thread.ok(),
        }
    }

    /// The next one; `None`: the terminal is gone.
    pub(super) async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Ends the thread.
    pub(super) fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.events.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Passes on what there is, or waits a moment for it. `None`: nothing will come any more.
fn pass_on(keys: &mpsc::Sender<Event>) -> Option<()> {
    if !is_there(io::stdin().as_fd()) {
        return None;
    }
    // That the size has changed is told in here as well, whatever was typed.
    while event::poll(Duration::ZERO).ok()? {
        keys.blocking_send(event::read().ok()?).ok()?;
    }
    Some(())
}

/// Waits until something was typed, or a moment, and says whether the terminal is still there. One that is gone reads as
/// an end of file, of which the library that reads keys takes no notice: it would read on for ever.
fn is_there(terminal: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(terminal, PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::from(KEY_WAIT)) {
        Ok(_) => !fds[0].revents().is_some_and(|events| {
            events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL)
        }),
        // A signal came: the window has another size, say.
        Err(nix::errno::Errno::EINTR) => true,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_hangs_up_is_told_from_one_where_nothing_is_typed() {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let terminal = rustix::fs::open(&*name, flags, rustix::fs::Mode::empty()).unwrap();
        assert!(is_there(terminal.as_fd()));
        drop(ours);
        assert!(!is_there(terminal.as_fd()));
    }
}

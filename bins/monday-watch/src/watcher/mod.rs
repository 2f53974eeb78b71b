//! The watcher: a thread that owns all watches, and the handle through which everybody else asks it.
//!
//! It is a thread and not a task because everything that it does is done in calls that block: walking a tree, looking at
//! files. While it sleeps it sleeps wholly: it waits in poll(2) for events, for requests and for the end of a debounce,
//! and for nothing while there is nothing to wait for.

mod core;

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::time::Instant;

use monday_shared::protocol::watch::{Event, StatusReply, WatchSpec, WatchStatus};
use monday_shared::rpc::hub::Hub;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::oneshot;

use crate::error::Error;
use core::Core;

/// Asks the watcher. Clones ask the same one; it ends when the last one is gone.
#[derive(Clone, Debug)]
pub struct Watcher {
    requests: Sender<Request>,
    /// Wakes it. Closed when the last handle is gone, which wakes it as well.
    bell: Arc<PipeWriter>,
}

#[derive(Debug)]
enum Request {
    Watch(
        Vec<WatchSpec>,
        oneshot::Sender<Result<Vec<WatchStatus>, Error>>,
    ),
    Unwatch(Vec<String>, oneshot::Sender<Vec<String>>),
    List(oneshot::Sender<Vec<WatchStatus>>),
    Status(oneshot::Sender<StatusReply>),
}

impl Watcher {
    /// Starts to watch; there are no watches yet. What changes is published.
    ///
    /// # Errors
    /// If no thread or pipe can be made.
    pub fn start(hub: Hub<Event>) -> io::Result<Self> {
        let (rung, bell) = io::pipe()?;
        let (requests, received) = mpsc::channel();
        std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || run(Core::new(hub), &received, rung))?;
        Ok(Self {
            requests,
            bell: Arc::new(bell),
        })
    }

    /// Watches paths, all of the batch or none. When this returns, everything is in place.
    ///
    /// # Errors
    /// [`Error`] says which watch makes no sense, and why.
    pub async fn watch(&self, specs: Vec<WatchSpec>) -> Result<Vec<WatchStatus>, Error> {
        self.ask(|reply| Request::Watch(specs, reply)).await?
    }

    /// Ends watches and returns which of them there were.
    ///
    /// # Errors
    /// [`Error::Ending`].
    pub async fn unwatch(&self, ids: Vec<String>) -> Result<Vec<String>, Error> {
        self.ask(|reply| Request::Unwatch(ids, reply)).await
    }

    /// Lists the watches.
    ///
    /// # Errors
    /// [`Error::Ending`].
    pub async fn list(&self) -> Result<Vec<WatchStatus>, Error> {
        self.ask(Request::List).await
    }

    /// Lists the watches, and what they need.
    ///
    /// # Errors
    /// [`Error::Ending`].
    pub async fn status(&self) -> Result<StatusReply, Error> {
        self.ask(Request::Status).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(request(reply))
            .map_err(|_| Error::Ending)?;
        (&*self.bell).write_all(&[0]).map_err(|_| Error::Ending)?;
        answer.await.map_err(|_| Error::Ending)
    }
}

fn run(mut core: Core, requests: &Receiver<Request>, mut bell: PipeReader) {
    loop {
        match wait(&core, &bell) {
            Ok(true) => {
                // Several requests may have rung before this; those that ring after it wake it again.
                if let Err(error) = bell.read(&mut [0; 64]) {
                    tracing::error!(%error, "requests cannot be heard any more");
                    return;
                }
                loop {
                    match requests.try_recv() {
                        Ok(request) => answer(&mut core, request),
                        Err(TryRecvError::Empty) => break,
                        Err(TryRecvError::Disconnected) => return,
                    }
                }
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "changes cannot be waited for any more");
                return;
            }
        }
        core.step();
    }
}

/// Waits until there is something to do. Returns whether there are requests, or nobody is left to make any.
fn wait(core: &Core, bell: &PipeReader) -> io::Result<bool> {
    let mut fds = vec![PollFd::new(bell.as_fd(), PollFlags::POLLIN)];
    fds.extend(core.fd().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
    let now = Instant::now();
    let timeout = match core.wake_at(now) {
        None => PollTimeout::NONE,
        Some(at) => {
            // A whole millisecond more rather than waking just before the time.
            let left = at.saturating_duration_since(now).as_micros().div_ceil(1000);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        }
    };
    match poll(&mut fds, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let ready = fds.first().and_then(PollFd::revents);
    Ok(ready.is_some_and(|flags| !flags.is_empty()))
}

/// Whoever asked may have gone meanwhile; what was asked for is done all the same.
fn answer(core: &mut Core, request: Request) {
    match request {
        Request::Watch(specs, reply) => {
            let _ = reply.send(core.watch(specs));
        }
        Request::Unwatch(ids, reply) => {
            let _ = reply.send(core.unwatch(&ids));
        }
        Request::List(reply) => {
            let _ = reply.send(core.list());
        }
        Request::Status(reply) => {
            let _ = reply.send(core.status());
        }
    }
}

//! Listeners that we were started with (`sd_listen_fds(3)`): a parent that opened them knows their ports before we run,
//! and clients may connect to them before as well.

use std::collections::BTreeMap;
use std::env;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_setfd};
use socket2::{SockRef, Socket, Type};

/// The number of the first one.
const FIRST: RawFd = 3;

/// What tells of them, which concerns nobody but us.
pub(crate) const VARIABLES: [&str; 3] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// More than this nobody means.
const MOST: RawFd = 1024;

/// The listeners that were handed over, by name and by number.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: BTreeMap<RawFd, Socket>,
    names: BTreeMap<String, RawFd>,
}

impl Inherited {
    /// Takes what the environment says is ours. It can be taken once, and only before this process opens descriptors of its
    /// own: where fewer were handed over than was said, those would be mistaken for the rest.
    ///
    /// # Errors
    /// One of the descriptors is not open, or the number of them makes no sense.
    pub fn take() -> Result<Self, String> {
        let variable = |name| env::var(name).ok().filter(|text| !text.is_empty());
        let [how_many, whose, called] = VARIABLES.map(variable);
        let Some(count) = how_many else {
            return Ok(Self::default());
        };
        // Without LISTEN_PID they were meant for whoever was started with them, which a shell script cannot know.
        if whose.is_some_and(|pid| pid != std::process::id().to_string()) {
            return Ok(Self::default());
        }
        let count: RawFd = count
            .parse()
            .ok()
            .filter(|count| (0..=MOST).contains(count))
            .ok_or_else(|| {
                format!("LISTEN_FDS is `{count}`, which is not how many listeners were handed over")
            })?;
        let names = called.unwrap_or_default();
        let mut inherited = Self::default();
        for (number, name) in
            (FIRST..FIRST + count).zip(names.split(':').map(Some).chain(std::iter::repeat(None)))
        {
            let socket = adopt(number).map_err(|error| {
                format!("descriptor {number} of LISTEN_FDS cannot be used: {error}")
            })?;
            inherited.sockets.insert(number, socket);
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                inherited.names.insert(name.to_owned(), number);
            }
        }
        Ok(inherited)
    }

    /// The listener of that name or number.
    pub(crate) fn get(&self, name: &str) -> Option<&Socket> {
        let number = match self.names.get(name) {
            Some(number) => *number,
            None => name.parse().ok()?,
        };
        self.sockets.get(&number)
    }

    /// What there is, as part of a sentence.
    pub(crate) fn describe(&self) -> String {
        if self.sockets.is_empty() {
            return "none was: start this with LISTEN_FDS and LISTEN_PID, as `systemd-socket-activate` does".to_owned();
        }
        let all: Vec<String> = self
            .sockets
            .keys()
            .map(|number| {
                let name = self.names.iter().find(|(_, of)| *of == number);
                name.map_or_else(
                    || number.to_string(),
                    |(name, _)| format!("{name} ({number})"),
                )
            })
            .collect();
        format!("those that were are {}", all.join(", "))
    }
}

/// Makes a descriptor ours that the parent left open for us.
#[allow(unsafe_code)]
fn adopt(number: RawFd) -> io::Result<Socket> {
    // SAFETY: it is used for one call, which fails with EBADF if the descriptor is not open.
    let candidate = unsafe { BorrowedFd::borrow_raw(number) };
    // What is not what was said may be anybody's: it stays open.
    if SockRef::from(&candidate).r#type()? != Type::STREAM {
        return Err(io::Error::other("it is no stream socket"));
    }
    // SAFETY: the parent has said with LISTEN_FDS that this descriptor is for us. It is an open socket, as was just seen,
    // and nothing in this process has opened one yet (see `take`).
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    // COMMAND has no business with it.
    fcntl_setfd(&owned, FdFlags::CLOEXEC)?;
    Ok(Socket::from(owned))
}

//! Events from inotify(7), used directly.
//!
//! `notify` asks for every opening of a file as well: a search through 100,000 files that changes none brought 102,000
//! events and 0.24 s of processor time, and takes the place of changes in the system's queue. Here it brings none. It
//! also knows each folder by one path only, while two watches may well share one, and swallows the end of a watch and
//! of a mount. So it is used on other systems only.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::{AddError, Door, Notice, Place, Reading, Use, Wd, What};

/// What one read takes: some 2,000 events. The system's own queue has 16,384 places by default.
const BUFFER_BYTES: usize = 64 * 1024;

/// An inotify instance, and who asked for what.
pub(crate) struct Source {
    fd: OwnedFd,
    uses: HashMap<Wd, Vec<Use>>,
    buffer: Box<[MaybeUninit<u8>]>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("watches", &self.uses.len())
            .finish_non_exhaustive()
    }
}

impl Source {
    /// Makes an instance.
    ///
    /// # Errors
    /// What `inotify_init(2)` says; `EMFILE` where the limit of instances or of open files is reached.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self {
            fd: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            uses: HashMap::new(),
            buffer: vec![MaybeUninit::uninit(); BUFFER_BYTES].into_boxed_slice(),
        })
    }

    /// Whether the mode is called inotify.
    pub(crate) const IS_INOTIFY: bool = true;

    /// Readable when there are events.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// How many watches of the system are in use.
    pub(crate) fn len(&self) -> usize {
        self.uses.len()
    }

    /// Watches a folder. The same folder by another path, or for another use, is one watch of the system.
    ///
    /// # Errors
    /// [`AddError`].
    pub(crate) fn add(&mut self, path: &Path, to: Use) -> Result<Wd, AddError> {
        let wd =
            inotify::add_watch(&self.fd, path, flags(to.place)).map_err(|errno| match errno {
                Errno::NOENT | Errno::NOTDIR | Errno::LOOP => AddError::Gone,
                Errno::NOSPC => AddError::Limit,
                other => AddError::Io(other.into()),
            })?;
        let wd = Wd(wd);
        let uses = self.uses.entry(wd).or_default();
        if !uses.contains(&to) {
            uses.push(to);
        }
        Ok(wd)
    }

    /// Ends a use. What is in the system's queue for it already is not told any more.
    pub(crate) fn remove(&mut self, wd: Wd, to: Use) {
        let Some(uses) = self.uses.get_mut(&wd) else {
            return;
        };
        uses.retain(|other| *other != to);
        if uses.is_empty() {
            self.uses.remove(&wd);
            // An error means that the folder is gone, and its watch with it.
            let _ = inotify::remove_watch(&self.fd, wd.0);
        }
    }

    /// Reads some events.
    ///
    /// # Errors
    /// What read(2) says, other than that there is nothing to read.
    pub(crate) fn read(&mut self, notices: &mut Vec<Notice>) -> io::Result<Reading> {
        let mut reading = Reading::default();
        let mut reader = inotify::Reader::new(&self.fd, &mut self.buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(reading),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            reading.some = true;
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                reading.overflow = true;
            }
            let wd = Wd(event.wd());
            let Some(what) = what(flags) else { continue };
            let name = event
                .file_name()
                .map_or(OsStr::new(""), |name| OsStr::from_bytes(name.to_bytes()));
            for to in self.uses.get(&wd).into_iter().flatten() {
                // Whoever waits for a folder to be moved has no interest in what happens in it.
                if to.place != Place::Way || what == What::Itself {
                    notices.push(Notice {
                        to: *to,
                        what,
                        name: name.to_owned(),
                        is_folder: flags.contains(ReadFlags::ISDIR),
                    });
                }
            }
            if flags.contains(ReadFlags::IGNORED) {
                self.uses.remove(&wd);
            }
            if reader.is_buffer_empty() {
                return Ok(reading);
            }
        }
    }
}

/// What an event means; `None` if nothing.
fn what(flags: ReadFlags) -> Option<What> {
    let itself =
        ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT | ReadFlags::IGNORED;
    [
        (itself, What::Itself),
        (ReadFlags::CREATE, What::Created),
        (ReadFlags::MOVED_TO, What::MovedIn),
        (ReadFlags::DELETE | ReadFlags::MOVED_FROM, What::Gone),
        (ReadFlags::MODIFY, What::Written),
        (ReadFlags::CLOSE_WRITE, What::Closed),
    ]
    .into_iter()
    .find(|(any, _)| flags.intersects(*any))
    .map(|(_, what)| what)
}

/// What is asked of the system: changes of content and of names. Not attributes, not reading, not opening. Each use adds
/// to what other uses of the same folder asked for.
fn flags(place: Place) -> WatchFlags {
    let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
    let names =
        WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
    let content = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE;
    // Paths are given without symbolic links; what has become one meanwhile is not the folder that was meant.
    let all = WatchFlags::MASK_ADD | WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW;
    match place {
        Place::Way => all | itself,
        Place::Door(Door { content: false, .. }) => all | itself | names,
        // A removed file that somebody still writes is nobody's any more.
        Place::Folder(_) | Place::Door(_) => {
            all | itself | names | content | WatchFlags::EXCL_UNLINK
        }
    }
}

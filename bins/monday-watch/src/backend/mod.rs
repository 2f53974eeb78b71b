//! Where events come from: one folder at a time is watched, and what happens in it is told to all who asked.

use std::ffi::OsString;
use std::io;

#[cfg(target_os = "linux")]
mod inotify;
#[cfg(target_os = "linux")]
pub(crate) use inotify::Source;

#[cfg(any(not(target_os = "linux"), test))]
mod other;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::Source;

/// One path of one watch. Never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RootId(pub(crate) u32);

/// One folder of one tree. Never used again for another one of the same tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FolderId(pub(crate) u32);

/// The system's number of something that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Wd(pub(crate) i32);

/// What something is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder of the tree: all that happens in it, and its own end.
    Folder(FolderId),
    /// A folder in which one name matters: what comes and goes in it, and its own end.
    Door(Door),
    /// A folder on the way to the path: whether it is moved.
    Way,
}

/// A name in a folder that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    pub(crate) number: u16,
    /// Whether it also matters that it is written.
    pub(crate) content: bool,
}

/// Whom an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) root: RootId,
    pub(crate) place: Place,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// An entry is new.
    #[cfg_attr(
        not(target_os = "linux"),
        allow(dead_code, reason = "only inotify tells a creation apart")
    )]
    Created,
    /// An entry was moved here, perhaps over another one.
    MovedIn,
    /// An entry was written.
    Written,
    /// An entry was closed by somebody who could have written it.
    Closed,
    /// An entry was removed or moved away.
    Gone,
    /// The folder itself was removed, moved or unmounted, or is not watched any more.
    Itself,
}

/// One event for one of those who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) to: Use,
    pub(crate) what: What,
    /// The entry; empty for [`What::Itself`].
    pub(crate) name: OsString,
    /// Whether the entry is a folder.
    pub(crate) is_folder: bool,
}

/// What one reading brought besides notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The system dropped events.
    pub(crate) overflow: bool,
    /// There was something, so there may be more.
    pub(crate) some: bool,
}

/// Why a folder cannot be watched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddError {
    /// It does not exist, or is no folder.
    #[error("it is gone")]
    Gone,
    /// The system allows no more watches.
    #[error("the limit of watches is reached")]
    Limit,
    /// Something else, such as missing rights.
    #[error(transparent)]
    Io(io::Error),
}

#[cfg(test)]
mod tests;

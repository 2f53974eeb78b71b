//! One path of a watch: a folder, a file, or something that does not exist yet, and however that changes.
//!
//! [`Root`] holds what is there now; [`place`] goes the way to it and begins anew where it leads somewhere else;
//! [`notice`] takes what the system tells; [`flush`] brings everything up to date before a batch is told.

mod flush;
mod notice;
mod place;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::backend::{self, Place, RootId, Source, Use, Wd};
use crate::change::Batch;
use crate::limit::Exhausted;
use crate::platform;
use crate::repository::{self, Lock};
use crate::rules::{PatternError, Rules};
use crate::snapshot::Fingerprint;
use crate::tree::{Eye, Tree};

/// How a path is watched.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// What is left out besides the defaults.
    pub(crate) exclude: Vec<String>,
    /// Whether ignore files are obeyed.
    pub(crate) gitignore: bool,
    /// Whether to poll in any case.
    pub(crate) poll: bool,
}

impl Manner {
    /// Looks whether the patterns are patterns.
    ///
    /// # Errors
    /// [`PatternError`] for the first one that is none.
    pub(crate) fn check(&self) -> Result<(), PatternError> {
        Rules::new(Path::new("/"), &self.exclude, None).map(|_| ())
    }
}

/// One path of a watch.
#[derive(Debug)]
pub(crate) struct Root {
    id: RootId,
    /// As it was asked for, made absolute.
    path: PathBuf,
    manner: Manner,
    site: Site,
    doors: Vec<Door>,
    ways: Vec<Wd>,
    /// When to look next, if it is polled.
    next_look: Option<Instant>,
    /// Why it is polled, or what else a person should know.
    note: Option<String>,
    batch: Batch,
    /// The way may lead somewhere else now.
    moved: bool,
    /// Ignore files above the path have changed.
    above_is_stale: bool,
    /// The system dropped events.
    events_lost: bool,
    /// Whether it was missing when that was told last.
    told_missing: bool,
}

/// What is at the end of the way.
#[derive(Debug)]
enum Site {
    Missing,
    File {
        real: PathBuf,
        print: Option<Fingerprint>,
    },
    Folder {
        tree: Box<Tree>,
        /// Its device and inode.
        identity: (u64, u64),
    },
}

/// A folder in which one name matters.
#[derive(Debug)]
struct Door {
    wd: Wd,
    name: OsString,
    purpose: Purpose,
}

impl Purpose {
    fn place(self, number: usize) -> Place {
        Place::Door(backend::Door {
            // A way of so many links cannot be gone.
            number: u16::try_from(number).unwrap_or(u16::MAX),
            content: self != Self::Way,
        })
    }
}

/// Why the name matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The way leads through it.
    Way,
    /// It is the file that is watched.
    File,
    /// It is an ignore file above the path.
    Rules,
}

/// Who is watched for events, if anybody.
pub(crate) type Eyes<'a> = Option<&'a mut Source>;

impl Root {
    /// A path that is not looked at yet.
    pub(crate) fn new(id: RootId, path: PathBuf, manner: Manner) -> Self {
        Self {
            id,
            path,
            manner,
            site: Site::Missing,
            doors: Vec::new(),
            ways: Vec::new(),
            next_look: None,
            note: None,
            batch: Batch::default(),
            moved: false,
            above_is_stale: false,
            events_lost: false,
            told_missing: false,
        }
    }

    /// Its number.
    pub(crate) fn id(&self) -> RootId {
        self.id
    }

    /// As it was asked for, made absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is nothing.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.site, Site::Missing)
    }

    /// Whether it is polled.
    pub(crate) fn is_polled(&self) -> bool {
        self.next_look.is_some()
    }

    /// When to look next, if it is polled.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        self.next_look
    }

    /// How many folders are looked at.
    pub(crate) fn folder_count(&self) -> u64 {
        match &self.site {
            Site::Missing | Site::File { .. } => 0,
            Site::Folder { tree, .. } => tree.folder_count(),
        }
    }

    /// How many files there are, as soon as they were looked at.
    pub(crate) fn file_count(&self) -> Option<u64> {
        match &self.site {
            Site::Missing => Some(0),
            Site::File { .. } => Some(1),
            Site::Folder { tree, .. } => tree.file_count(),
        }
    }

    /// What a person should know.
    pub(crate) fn note(&self) -> Option<String> {
        let unreadable = match &self.site {
            Site::Folder { tree, .. } => tree.unreadable().map(|(count, first)| match count {
                1 => format!("{} cannot be read and is not watched", first.display()),
                _ => format!(
                    "{count} folders cannot be read and are not watched, one of them {}",
                    first.display()
                ),
            }),
            _ => None,
        };
        let polled = self
            .note
            .as_ref()
            .map(|note| format!("{} is {note}", self.path.display()));
        let notes: Vec<String> = polled.into_iter().chain(unreadable).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    /// Whether so much happened that it should be told at once.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.is_full()
    }

    /// Looks at the files of one folder that have not been looked at. Returns whether there was one.
    pub(crate) fn look_at_next(&mut self) -> bool {
        match &mut self.site {
            Site::Folder { tree, .. } => tree.look_at_next(),
            _ => false,
        }
    }

    /// All events that the system had were read.
    pub(crate) fn events_are_read(&mut self) {
        if let Site::Folder { tree, .. } = &mut self.site {
            tree.events_are_read(self.batch.is_empty());
        }
    }

    /// What git holds if what happened is only a part of what it is about to do.
    pub(crate) fn git_lock(&self) -> Option<Lock> {
        let (within, real) = match &self.site {
            _ if self.batch.is_empty() => return None,
            Site::Missing => return None,
            Site::File { real, .. } => (None, real.as_path()),
            Site::Folder { tree, .. } => (tree.git_lock(), tree.real()),
        };
        within.or_else(|| repository::lock(&repository::top_of(real)?))
    }

    /// Ends every use of the source.
    pub(crate) fn close(&mut self, eyes: Eyes<'_>) {
        let mut eyes = eyes;
        self.leave_way(eyes.as_deref_mut());
        if let Site::Folder { tree, .. } = &mut self.site {
            tree.close_eyes(&mut Eye::new(eyes, self.id));
        }
    }

    fn to(&self, place: Place) -> Use {
        Use {
            root: self.id,
            place,
        }
    }

    /// Polls from now on, since the system allows no more.
    fn fall_back(&mut self, eyes: Eyes<'_>) {
        // Counted before they are given back.
        let needed = self.folder_count() + (self.doors.len() + self.ways.len()) as u64;
        self.close(eyes);
        let note = Exhausted::Watches { needed }.explain(platform::limits());
        self.poll_because(Some(note));
    }

    /// There are no events any more.
    pub(crate) fn lose_source(&mut self, why: &str) {
        if !self.is_polled() {
            self.close(None);
            self.poll_because(Some(why.to_owned()));
        }
    }

    /// Polls from now on.
    fn poll_because(&mut self, note: Option<String>) {
        // From now on this is all there is to compare with.
        while self.look_at_next() {}
        self.next_look = Some(Instant::now());
        self.note = note;
    }
}

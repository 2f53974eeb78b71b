//! What is put together until it is told: each path once, whatever happened to it, and not at all if nothing came of it.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use crate::snapshot::Fingerprint;

/// A batch of so many paths is told at once rather than growing further: more than any checkout brings in two seconds,
/// and a few megabytes.
const FULL: usize = 65_536;

/// What is said about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is new: it did not exist a moment before.
    Created,
    /// It was written, or something was moved to its place.
    Written,
    /// Somebody who could have written it has closed it.
    PerhapsWritten,
    /// It was removed or moved away.
    Gone,
}

/// What happened to one path since the last batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whether the first that happened was its creation.
    created: bool,
    /// Whether something happened that is a change whatever the file looks like.
    certain: bool,
    /// Whether it was found by comparing, which has brought the snapshot up to date as well.
    compared: bool,
}

/// What is known about a path before the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Unknown,
    /// It did not exist.
    Absent,
    /// It was this.
    Was(Fingerprint),
}

impl Seen {
    /// Whether something came of it, if the path is `now` this, or nothing.
    #[must_use]
    pub fn is_change(self, before: Before, now: Option<Fingerprint>) -> bool {
        let existed = !self.created && (self.compared || before != Before::Absent);
        match now {
            None => existed,
            Some(now) => !existed || self.certain || self.compared || before != Before::Was(now),
        }
    }
}

/// The paths of a batch, in the order in which something happened to them.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    paths: IndexMap<PathBuf, Seen>,
}

impl Batch {
    /// An event said something about a path.
    pub fn note(&mut self, path: PathBuf, kind: Kind) {
        self.add(path, kind, false);
    }

    /// A comparison has shown something about a path.
    pub fn note_compared(&mut self, path: PathBuf, kind: Kind) {
        self.add(path, kind, true);
    }

    fn add(&mut self, path: PathBuf, kind: Kind, compared: bool) {
        let seen = self.paths.entry(path).or_insert(Seen {
            created: kind == Kind::Created,
            certain: false,
            compared: false,
        });
        seen.certain |= kind != Kind::PerhapsWritten;
        seen.compared |= compared;
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether it is so large that it should be told without waiting for more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.paths.len() >= FULL
    }

    /// The paths and what happened to them.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, Seen)> {
        self.paths
            .iter()
            .map(|(path, seen)| (path.as_path(), *seen))
    }

    /// Leaves only those paths, given by their place.
    pub fn keep(&mut self, mut is_kept: impl FnMut(usize) -> bool) {
        let mut at = 0;
        self.paths.retain(|_, _| {
            at += 1;
            is_kept(at - 1)
        });
    }

    /// How many paths there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.paths.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Option<Fingerprint> = Some(print(1));
    const NEW: Option<Fingerprint> = Some(print(2));

    const fn print(number: u64) -> Fingerprint {
        Fingerprint::from_number(number)
    }

    /// Whether these events on one path are told, given what it was before and is after them.
    fn told(kinds: &[Kind], before: Before, now: Option<Fingerprint>) -> bool {
        let mut batch = Batch::default();
        for kind in kinds {
            batch.note(PathBuf::from("x"), *kind);
        }
        batch.iter().next().unwrap().1.is_change(before, now)
    }

    #[test]
    fn a_file_that_came_and_went_within_a_batch_is_not_told() {
        use Kind::{Created, Gone, Written};
        let kinds = [Created, Written, Gone];
        assert!(!told(&kinds, Before::Unknown, None));
        assert!(!told(&kinds, Before::Absent, None));
        assert!(told(&kinds, Before::Unknown, NEW), "it is there again");
    }

    #[test]
    fn a_file_that_is_gone_is_told_if_it_was_known() {
        assert!(told(&[Kind::Gone], Before::Unknown, None));
        assert!(told(&[Kind::Gone], Before::Was(print(1)), None));
        assert!(!told(&[Kind::Gone], Before::Absent, None));
        assert!(told(
            &[Kind::Gone, Kind::Created],
            Before::Was(print(1)),
            NEW
        ));
    }

    #[test]
    fn a_write_is_told_even_if_time_and_size_are_the_same() {
        assert!(told(&[Kind::Written], Before::Was(print(1)), OLD));
    }

    #[test]
    fn a_close_is_told_only_if_the_file_is_another_than_before() {
        let kinds = [Kind::PerhapsWritten];
        assert!(!told(&kinds, Before::Was(print(1)), OLD));
        assert!(told(&kinds, Before::Was(print(1)), NEW));
        assert!(told(&kinds, Before::Unknown, OLD));
        assert!(told(
            &[Kind::PerhapsWritten, Kind::Written],
            Before::Was(print(1)),
            OLD
        ));
    }

    #[test]
    fn what_a_comparison_found_is_told_although_the_snapshot_knows_it_by_now() {
        for (kind, before, now) in [
            (Kind::Gone, Before::Absent, None),
            (Kind::Written, Before::Was(print(2)), NEW),
            (Kind::Created, Before::Was(print(2)), NEW),
        ] {
            let mut batch = Batch::default();
            batch.note_compared(PathBuf::from("x"), kind);
            batch.note(PathBuf::from("x"), Kind::PerhapsWritten);
            assert!(
                batch.iter().next().unwrap().1.is_change(before, now),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn each_path_is_there_once_in_the_order_of_its_first_event() {
        let mut batch = Batch::default();
        for name in ["b", "a", "b", "c", "a"] {
            batch.note(PathBuf::from(name), Kind::Written);
        }
        batch.keep(|at| at != 1);
        let names: Vec<&Path> = batch.iter().map(|(path, _)| path).collect();
        assert_eq!(names, [Path::new("b"), Path::new("c")]);
    }
}

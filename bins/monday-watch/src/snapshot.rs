//! What a folder's files were when they were last looked at, so small that it can be kept for every file: about 20
//! bytes each, in one piece of memory for each folder.
//!
//! It answers what events cannot: what changed while the system dropped events, where there are no events at all, and
//! whether a file that was only closed by somebody who could have written has changed.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

/// What a file was: time of its last write, size and inode, as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of these three.
    #[must_use]
    pub fn new(written_nanos: i128, size: u64, inode: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write_i128(written_nanos);
        hasher.write_u64(size);
        hasher.write_u64(inode);
        Self(hasher.finish())
    }

    /// One that differs from those of other numbers, for tests.
    #[cfg(test)]
    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

impl From<&Metadata> for Fingerprint {
    fn from(metadata: &Metadata) -> Self {
        let nanos =
            i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Self::new(nanos, metadata.size(), metadata.ino())
    }
}

/// The files of one folder.
///
/// Sorted by name; each is a record of the name's length (2 bytes), the fingerprint (8 bytes) and the name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    records: Box<[u8]>,
    count: u32,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// How a file differs between two snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is only in the newer one.
    New,
    /// It is in both, and is another one or was written.
    Written,
    /// It is only in the older one.
    Gone,
}

/// The size of a record without its name.
const HEAD_BYTES: usize = 10;

impl Snapshot {
    /// Of these files, in any order.
    #[must_use]
    pub fn new(mut files: Vec<(OsString, Fingerprint)>) -> Self {
        files.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Self::of_sorted(files.iter().map(|(name, print)| (name.as_os_str(), *print)))
    }

    fn of_sorted<'a>(files: impl Iterator<Item = (&'a OsStr, Fingerprint)>) -> Self {
        let mut records = Vec::new();
        let mut count = 0;
        for (name, Fingerprint(print)) in files {
            // No file system has names of 64 KiB; one that had would not be looked at.
            let Ok(length) = u16::try_from(name.len()) else {
                continue;
            };
            records.extend_from_slice(&length.to_ne_bytes());
            records.extend_from_slice(&print.to_ne_bytes());
            records.extend_from_slice(name.as_bytes());
            count += 1;
        }
        Self {
            records: records.into_boxed_slice(),
            count,
        }
    }

    /// How many files there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count.into()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The files, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, Fingerprint)> {
        let mut rest = &*self.records;
        std::iter::from_fn(move || {
            let (length, tail) = rest.split_first_chunk::<2>()?;
            let (print, tail) = tail.split_first_chunk::<8>()?;
            let (name, tail) = tail.split_at_checked(u16::from_ne_bytes(*length).into())?;
            debug_assert_eq!(rest.len() - tail.len(), HEAD_BYTES + name.len());
            rest = tail;
            Some((
                OsStr::from_bytes(name),
                Fingerprint(u64::from_ne_bytes(*print)),
            ))
        })
    }

    /// What is different in `newer`.
    pub fn differences<'a>(
        &'a self,
        newer: &'a Self,
    ) -> impl Iterator<Item = (&'a OsStr, Difference)> {
        merged(self.iter(), newer.iter()).filter_map(|(name, old, new)| {
            let difference = match (old, new) {
                (None, _) => Difference::New,
                (_, None) => Difference::Gone,
                (Some(old), Some(new)) if old != new => Difference::Written,
                _ => return None,
            };
            Some((name, difference))
        })
    }

    /// Sets what these files are now, `None` meaning that they are gone, and returns what they were, in the order of
    /// their names. No name may come twice.
    pub fn update(
        &mut self,
        mut files: Vec<(OsString, Option<Fingerprint>)>,
    ) -> Vec<(OsString, Option<Fingerprint>, Option<Fingerprint>)> {
        files.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut updated = Vec::with_capacity(files.len());
        let news = files.iter().map(|(name, now)| (name.as_os_str(), *now));
        let all = merged(self.iter(), news).filter_map(|(name, old, new)| {
            let now = match new {
                None => old,
                Some(now) => {
                    updated.push((name.to_owned(), old, now));
                    now
                }
            };
            now.map(|now| (name, now))
        });
        let after = Self::of_sorted(all);
        *self = after;
        updated
    }
}

/// Two lists, both sorted by name, as one.
fn merged<'a, A, B>(
    old: impl Iterator<Item = (&'a OsStr, A)>,
    new: impl Iterator<Item = (&'a OsStr, B)>,
) -> impl Iterator<Item = (&'a OsStr, Option<A>, Option<B>)> {
    let (mut old, mut new) = (old.peekable(), new.peekable());
    std::iter::from_fn(move || {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return None,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let a = if order.is_le() { old.next() } else { None };
        let b = if order.is_ge() { new.next() } else { None };
        let name = a
            .as_ref()
            .map(|(name, _)| *name)
            .or(b.as_ref().map(|(name, _)| *name))?;
        Some((name, a.map(|(_, a)| a), b.map(|(_, b)| b)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Files = BTreeMap<Vec<u8>, u64>;

    fn name(bytes: &[u8]) -> OsString {
        OsStr::from_bytes(bytes).to_owned()
    }

    fn snapshot(files: &Files) -> Snapshot {
        let files = files.iter().rev();
        Snapshot::new(
            files
                .map(|(n, print)| (name(n), Fingerprint(*print)))
                .collect(),
        )
    }

    fn files() -> impl Strategy<Value = Files> {
        // Few names and prints, so that they meet.
        let name = proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(0xff)], 1..4);
        proptest::collection::btree_map(name, 0..3_u64, 0..12)
    }

    proptest! {
        #[test]
        fn a_snapshot_gives_back_what_it_was_made_of(files in files()) {
            let snapshot = snapshot(&files);
            prop_assert_eq!(snapshot.len(), files.len() as u64);
            let back: Files = snapshot.iter().map(|(n, p)| (n.as_bytes().to_vec(), p.0)).collect();
            prop_assert_eq!(back, files);
        }

        #[test]
        fn differences_are_exactly_what_is_different(old in files(), new in files()) {
            let (before, after) = (snapshot(&old), snapshot(&new));
            let found: BTreeMap<Vec<u8>, Difference> =
                before.differences(&after).map(|(n, d)| (n.as_bytes().to_vec(), d)).collect();
            for name in old.keys().chain(new.keys()) {
                let expected = match (old.get(name), new.get(name)) {
                    (None, _) => Some(Difference::New),
                    (_, None) => Some(Difference::Gone),
                    (a, b) if a != b => Some(Difference::Written),
                    _ => None,
                };
                prop_assert_eq!(found.get(name).copied(), expected);
            }
        }

        #[test]
        fn an_update_leaves_what_a_new_snapshot_would_be_and_says_what_was(old in files(), new in files()) {
            let mut updated = snapshot(&old);
            let mut expected = old.clone();
            let news: Vec<_> = new
                .iter()
                .map(|(n, print)| (name(n), (*print > 0).then_some(Fingerprint(*print))))
                .collect();
            for (n, print) in &new {
                if *print > 0 { expected.insert(n.clone(), *print) } else { expected.remove(n) };
            }
            for (n, was, _) in updated.update(news) {
                prop_assert_eq!(was.map(|p| p.0), old.get(n.as_bytes()).copied());
            }
            prop_assert_eq!(updated, snapshot(&expected));
        }
    }

    #[test]
    fn time_size_and_inode_all_count() {
        let print = Fingerprint::new(1, 2, 3);
        assert_eq!(print, Fingerprint::new(1, 2, 3));
        for other in [(0, 2, 3), (1, 0, 3), (1, 2, 0)] {
            assert_ne!(print, Fingerprint::new(other.0, other.1, other.2));
        }
    }
}

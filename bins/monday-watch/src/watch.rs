//! One watch: its paths, and when what changed at them is told.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Instant;

use monday_shared::protocol::watch::{Changed, Event, Mode, PATHS_NAMED, WatchSpec, WatchStatus};

use crate::backend::{Notice, Source};
use crate::debounce::Debounce;
use crate::repository::Lock;
use crate::root::{Eyes, Root};

/// The paths of an event have so many bytes together at most, so that its line keeps well below the limit of a message
/// even if every byte has to be escaped.
const NAMED_BYTES: usize = 64 * 1024;

/// One watch.
#[derive(Debug)]
pub(crate) struct Watch {
    spec: WatchSpec,
    roots: Vec<Root>,
    debounce: Debounce,
    /// What git holds and is not waited for any more.
    not_awaited: Option<Lock>,
    /// The mode that was told last.
    told_mode: Mode,
}

impl Watch {
    pub(crate) fn new(spec: WatchSpec, roots: Vec<Root>) -> Self {
        Self {
            told_mode: mode(&roots),
            debounce: Debounce::new(spec.debounce.0),
            not_awaited: None,
            spec,
            roots,
        }
    }

    pub(crate) fn spec(&self) -> &WatchSpec {
        &self.spec
    }

    pub(crate) fn roots_mut(&mut self) -> &mut [Root] {
        &mut self.roots
    }

    /// Something happened at a path: it is told once nothing more happens.
    pub(crate) fn note(&mut self, now: Instant) {
        self.debounce.note(now);
    }

    /// Takes one event.
    pub(crate) fn take(&mut self, notice: &Notice, source: &mut Source, now: Instant) {
        let root = self
            .roots
            .iter_mut()
            .find(|root| root.id() == notice.to.root);
        if root.is_some_and(|root| root.take(notice, Some(source))) {
            self.note(now);
        }
    }

    /// Follows what the events have led to.
    pub(crate) fn catch_up(&mut self, source: &mut Source) {
        for root in &mut self.roots {
            root.catch_up(Some(source));
        }
    }

    /// Whether it is time to tell what happened.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        if self.roots.iter().any(Root::is_full) {
            return true;
        }
        let is_due = self.debounce.due().is_some_and(|due| now >= due);
        if is_due && let Some(lock) = self.roots.iter().find_map(Root::git_lock) {
            if self.not_awaited.as_ref() != Some(&lock) && self.debounce.hold(now) {
                return false;
            }
            self.await_no_longer(lock);
        }
        self.debounce.take(now)
    }

    fn await_no_longer(&mut self, lock: Lock) {
        if self.not_awaited.as_ref() == Some(&lock) {
            return;
        }
        tracing::warn!(
            "{} is there and has been waited for: git is busy or was killed (then remove the file); what changes is told without waiting for it",
            lock.path.display()
        );
        self.not_awaited = Some(lock);
    }

    /// The system dropped events.
    pub(crate) fn lose_events(&mut self, now: Instant) {
        self.roots.iter_mut().for_each(Root::lose_events);
        self.note(now);
    }

    /// How it is watched, if that is another way than was told.
    pub(crate) fn other_mode(&mut self) -> Option<Event> {
        let mode = mode(&self.roots);
        (std::mem::replace(&mut self.told_mode, mode) != mode)
            .then(|| Event::Watching(self.status()))
    }

    /// When something is to be done without anything happening.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let looks = self.roots.iter().filter_map(Root::next_look).min();
        self.debounce.due().into_iter().chain(looks).min()
    }

    /// Looks at the polled paths whose time it is.
    pub(crate) fn look(&mut self, now: Instant) {
        let mut different = false;
        for root in &mut self.roots {
            if root.next_look().is_some_and(|at| now >= at) {
                different |= root.look();
            }
        }
        if different {
            self.note(Instant::now());
        }
    }

    /// Everything that is to be told now.
    pub(crate) fn flush(&mut self, eyes: Eyes<'_>) -> Vec<Event> {
        let mut eyes = eyes;
        let mut events = Vec::new();
        let mut all = Vec::new();
        let (mut overflow, mut unsure) = (false, false);
        for root in &mut self.roots {
            let news = root.flush(eyes.as_deref_mut());
            overflow |= news.overflow;
            unsure |= news.unsure;
            if let Some(missing) = news.missing {
                let (id, path) = (self.spec.id.clone(), root.path().display().to_string());
                events.push(if missing {
                    Event::Missing { id, path }
                } else {
                    Event::Returned { id, path }
                });
            }
            all.push(news.changed);
        }
        let changed = united(all);
        if !changed.is_empty() || unsure {
            events.push(Event::Changed(Changed {
                id: self.spec.id.clone(),
                paths: named(&changed),
                count: changed.len() as u64,
                overflow,
            }));
        }
        events
    }

    pub(crate) fn close(&mut self, source: Option<&mut Source>) {
        let mut source = source;
        for root in &mut self.roots {
            root.close(source.as_deref_mut());
        }
    }

    pub(crate) fn status(&self) -> WatchStatus {
        let shown = |root: &Root| root.path().display().to_string();
        let notes: Vec<String> = self.roots.iter().filter_map(Root::note).collect();
        WatchStatus {
            id: self.spec.id.clone(),
            paths: self.roots.iter().map(shown).collect(),
            missing: self
                .roots
                .iter()
                .filter(|root| root.is_missing())
                .map(shown)
                .collect(),
            folders: self.roots.iter().map(Root::folder_count).sum(),
            files: self.roots.iter().map(Root::file_count).sum(),
            mode: mode(&self.roots),
            note: (!notes.is_empty()).then(|| notes.join("; ")),
        }
    }
}

fn mode(roots: &[Root]) -> Mode {
    if roots.iter().any(Root::is_polled) {
        Mode::Poll
    } else if Source::IS_INOTIFY {
        Mode::Inotify
    } else {
        Mode::Events
    }
}

/// The paths of all, each once: one path of a watch may be below another one.
fn united(all: Vec<Vec<PathBuf>>) -> Vec<PathBuf> {
    if all.iter().filter(|paths| !paths.is_empty()).count() < 2 {
        return all.into_iter().flatten().collect();
    }
    let mut seen = HashSet::new();
    all.into_iter()
        .flatten()
        .filter(|path| seen.insert(path.clone()))
        .collect()
}

/// Those that an event names.
fn named(paths: &[PathBuf]) -> Vec<String> {
    let mut bytes = 0;
    paths
        .iter()
        .take(PATHS_NAMED)
        .map(|path| path.display().to_string())
        .take_while(|path| {
            bytes += path.len();
            bytes <= NAMED_BYTES
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn a_path_that_two_paths_of_a_watch_have_in_common_is_told_once() {
        let all = vec![paths(&["/a/b/x", "/a/y"]), paths(&["/a/b/x", "/a/b/z"])];
        assert_eq!(united(all), paths(&["/a/b/x", "/a/y", "/a/b/z"]));
    }

    #[test]
    fn an_event_names_a_hundred_paths_and_far_less_than_a_message_may_hold() {
        let many: Vec<PathBuf> = (0..1000).map(|n| PathBuf::from(format!("/{n}"))).collect();
        assert_eq!(named(&many).len(), PATHS_NAMED);
        let long = vec![PathBuf::from("\u{1}".repeat(4096)); PATHS_NAMED];
        let line = serde_json::to_string(&named(&long)).unwrap();
        assert!(line.len() < monday_shared::protocol::MAX_LINE_BYTES);
    }
}

//! A tree of the test's own, a watcher, and what it tells.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use monday_shared::duration::Span;
use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::watch::{Changed, Event, WatchSpec, WatchStatus};
use monday_shared::rpc::hub::{Delivery, Hub, Subscription};
use monday_watch::watcher::Watcher;
use tempfile::TempDir;

/// How long anything may take on a busy machine; only a failing test waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The id of the watch that most tests have.
pub(crate) const ID: &str = "w";

/// The debounce of tests whose changes are one step each.
const DEBOUNCE: Span = Span::from_millis(100);

/// That of tests whose changes have several steps: long enough that a test that is kept from running between two of
/// them does not see two batches.
const LONG_DEBOUNCE: Span = Span::from_millis(700);

/// A tree and a watcher.
pub(crate) struct World {
    dir: TempDir,
    debounce: Span,
    pub(crate) watcher: Watcher,
    events: Subscription<Event>,
}

impl World {
    /// An empty tree, and nothing watched yet.
    pub(crate) fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap())
    }

    /// The same for changes that have several steps and are one batch.
    pub(crate) fn patient() -> Self {
        Self {
            debounce: LONG_DEBOUNCE,
            ..Self::new()
        }
    }

    /// The same in memory, where there is such a place: for very many files.
    pub(crate) fn in_memory() -> Self {
        Self::in_dir(
            tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap()),
        )
    }

    fn in_dir(dir: TempDir) -> Self {
        fs::create_dir(dir.path().join("tree")).unwrap();
        let hub = Hub::new();
        let (_, events) = hub.subscribe(Bulk::Lossy);
        Self {
            dir,
            debounce: DEBOUNCE,
            watcher: Watcher::start(hub).unwrap(),
            events,
        }
    }

    /// A tree with these files, and the whole of it watched.
    pub(crate) async fn with(files: &[&str]) -> Self {
        Self::new().watching(files).await
    }

    /// These files are there, and the whole tree is watched.
    pub(crate) async fn watching(self, files: &[&str]) -> Self {
        for file in files {
            self.write(file, "first");
        }
        self.watch(&["."]).await;
        self
    }

    /// A path in the tree, without links.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let top = self.dir.path().canonicalize().unwrap().join("tree");
        if name == "." { top } else { top.join(name) }
    }

    /// Puts a file in its place in one step, after making the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let aside = self.dir.path().join("aside");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, path).unwrap();
    }

    /// A specification with these paths.
    pub(crate) fn spec(&self, paths: &[&str]) -> WatchSpec {
        let paths = paths.iter().map(|path| self.path(path)).collect();
        WatchSpec {
            debounce: self.debounce,
            ..WatchSpec::new(ID, paths)
        }
    }

    /// Watches these paths.
    pub(crate) async fn watch(&self, paths: &[&str]) -> WatchStatus {
        self.watch_so(self.spec(paths)).await
    }

    pub(crate) async fn watch_so(&self, spec: WatchSpec) -> WatchStatus {
        self.watcher.watch(vec![spec]).await.unwrap().remove(0)
    }

    /// Waits until every file has been looked at once. There is no event for it: nobody needs one.
    pub(crate) async fn know_files(&self) {
        while self.watcher.list().await.unwrap()[0].files.is_none() {
            tokio::task::yield_now().await;
        }
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Event {
        match tokio::time::timeout(PATIENCE, self.events.next()).await {
            Ok(Some(Delivery::Event(event))) => event.event.clone(),
            Ok(other) => panic!("instead of an event: {other:?}"),
            Err(elapsed) => panic!("no event came: {elapsed}"),
        }
    }

    /// The next batch of changes.
    pub(crate) async fn changed(&mut self) -> Changed {
        loop {
            if let Event::Changed(changed) = self.event().await {
                return changed;
            }
        }
    }

    /// The names in the next batch, which has to be small enough to name all.
    pub(crate) async fn names(&mut self) -> BTreeSet<String> {
        let changed = self.changed().await;
        assert_eq!(changed.count, changed.paths.len() as u64, "{changed:?}");
        assert!(!changed.overflow);
        changed.paths.iter().map(|path| self.name(path)).collect()
    }

    /// The names in all batches until this one was named.
    pub(crate) async fn names_until(&mut self, last: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        while !names.contains(last) {
            names.extend(
                self.changed()
                    .await
                    .paths
                    .iter()
                    .map(|path| self.name(path)),
            );
        }
        names
    }

    /// Nothing was told but this file, which is written now.
    pub(crate) async fn expect_only(&mut self, name: &str) {
        self.write(name, &format!("{:?}", std::time::Instant::now()));
        assert_eq!(self.names().await, set(&[name]));
    }

    /// How many changes were told until this file, which is written now.
    pub(crate) async fn count_until(&mut self, last: &str) -> u64 {
        self.write(last, "last");
        let path = self.path(last).display().to_string();
        let mut count = 0;
        loop {
            let changed = self.changed().await;
            count += changed.count;
            // It may not be named in a large batch, and is in one that has nothing else at the latest.
            if changed.paths.contains(&path) {
                return count;
            }
            self.write(last, "again");
        }
    }

    fn name(&self, path: &str) -> String {
        let top = self.path(".");
        let path = Path::new(path);
        path.strip_prefix(top)
            .map_or(path, |name| name)
            .display()
            .to_string()
    }
}

pub(crate) fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

//! All watches and the source of events: what is done when something happens, when time passes and when somebody asks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use monday_shared::protocol::watch::{Event, StatusReply, WatchSpec, WatchStatus};
use monday_shared::rpc::hub::Hub;

use crate::backend::{RootId, Source};
use crate::error::Error;
use crate::limit::Exhausted;
use crate::platform;
use crate::root::{Manner, Root};
use crate::watch::Watch;

/// How often events are read before anything else is done: about as much as the system's own queue holds.
const READINGS: usize = 16;

/// How long files are looked at before events are read again.
const LOOKING: Duration = Duration::from_millis(2);

/// The number of a watch. A watch that replaces another one takes its number over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u32);

/// All watches.
#[derive(Debug)]
pub(super) struct Core {
    /// Where events come from, or why there are none.
    source: Result<Source, String>,
    hub: Hub<Event>,
    watches: BTreeMap<Key, Watch>,
    owners: HashMap<RootId, Key>,
    last_root: u32,
    /// There may be files that have not been looked at yet.
    unlooked: bool,
}

impl Core {
    pub(super) fn new(hub: Hub<Event>) -> Self {
        let source = Source::open().map_err(|error| {
            if error.raw_os_error() == Some(nix::errno::Errno::EMFILE as i32) {
                Exhausted::Instances.explain(platform::limits())
            } else {
                format!("polled: the system does not tell what changes ({error})")
            }
        });
        Self {
            source,
            hub,
            watches: BTreeMap::new(),
            owners: HashMap::new(),
            last_root: 0,
            unlooked: false,
        }
    }

    /// Readable when there are events.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().ok().map(Source::fd)
    }

    /// When [`step`](Self::step) is to be called although no event came.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        if self.unlooked {
            return Some(now);
        }
        self.watches.values().filter_map(Watch::wake_at).min()
    }

    /// Begins watches, or replaces those of the same ids: all or, where one makes no sense, none.
    ///
    /// # Errors
    /// [`Error`] says which one makes no sense, and why.
    pub(super) fn watch(&mut self, specs: Vec<WatchSpec>) -> Result<Vec<WatchStatus>, Error> {
        let mut ids = HashSet::new();
        let mut checked = Vec::new();
        for spec in specs {
            if !ids.insert(spec.id.clone()) {
                return Err(Error::Twice { id: spec.id });
            }
            checked.push((self.roots_of(&spec)?, spec));
        }
        // What happened before is for those who watched before.
        self.read();
        Ok(checked
            .into_iter()
            .map(|(roots, spec)| self.begin(roots, spec))
            .collect())
    }

    /// The paths of a watch, if it makes sense. Nothing is looked at yet.
    fn roots_of(&mut self, spec: &WatchSpec) -> Result<Vec<Root>, Error> {
        let manner = Manner {
            exclude: spec.exclude.clone(),
            gitignore: spec.gitignore,
            poll: spec.poll,
        };
        manner.check()?;
        if spec.paths.is_empty() {
            return Err(Error::NoPaths {
                id: spec.id.clone(),
            });
        }
        let mut roots = Vec::new();
        for path in &spec.paths {
            let absolute = std::path::absolute(path).map_err(|source| Error::Path {
                path: path.clone(),
                source,
            })?;
            self.last_root += 1;
            roots.push(Root::new(RootId(self.last_root), absolute, manner.clone()));
        }
        Ok(roots)
    }

    fn begin(&mut self, mut roots: Vec<Root>, spec: WatchSpec) -> WatchStatus {
        let same = self
            .watches
            .iter()
            .find(|(_, watch)| watch.spec().id == spec.id);
        let same = same.map(|(key, watch)| (*key, watch));
        if let Some((_, watch)) = same
            && *watch.spec() == spec
        {
            return watch.status();
        }
        let last = self.watches.keys().next_back().map_or(0, |key| key.0);
        let key = same.map_or(Key(last + 1), |(key, _)| key);
        for root in &mut roots {
            self.owners.insert(root.id(), key);
            root.begin(self.source.as_mut().map_err(|why| why.as_str()));
        }
        let watch = Watch::new(spec, roots);
        let status = watch.status();
        self.unlooked = true;
        // The new one is in place before the old one goes, so that no change falls between.
        if let Some(old) = self.watches.insert(key, watch) {
            self.end(old);
        }
        self.hub.publish(Event::Watching(status.clone()));
        status
    }

    fn end(&mut self, mut watch: Watch) {
        for root in watch.roots_mut() {
            self.owners.remove(&root.id());
        }
        // What is known of it already is told.
        for event in watch.flush(self.source.as_mut().ok()) {
            self.hub.publish(event);
        }
        watch.close(self.source.as_mut().ok());
    }

    /// Ends watches and returns which of them there were.
    pub(super) fn unwatch(&mut self, ids: &[String]) -> Vec<String> {
        let is_meant = |watch: &Watch| ids.contains(&watch.spec().id);
        let keys = self.watches.iter().filter(|(_, watch)| is_meant(watch));
        let keys: Vec<Key> = keys.map(|(key, _)| *key).collect();
        let mut ended = Vec::new();
        for key in keys {
            if let Some(watch) = self.watches.remove(&key) {
                ended.push(watch.spec().id.clone());
                self.end(watch);
            }
        }
        if !ended.is_empty() {
            self.hub.publish(Event::Unwatched { ids: ended.clone() });
        }
        ended
    }

    pub(super) fn list(&self) -> Vec<WatchStatus> {
        self.watches.values().map(Watch::status).collect()
    }

    pub(super) fn status(&self) -> StatusReply {
        StatusReply {
            watches: self.list(),
            inotify_watches: self.source.as_ref().map_or(0, Source::len) as u64,
            inotify_limit: platform::limits().watches.map(|(_, value)| value),
        }
    }

    /// Does what is to be done now.
    pub(super) fn step(&mut self) {
        self.read();
        let now = Instant::now();
        for watch in self.watches.values_mut() {
            watch.look(now);
            if watch.is_due(now) {
                for event in watch.flush(self.source.as_mut().ok()) {
                    self.hub.publish(event);
                }
            }
            if let Some(event) = watch.other_mode() {
                self.hub.publish(event);
            }
        }
        self.look_at_files();
    }

    /// Reads events. What they have led to is watched as well afterwards.
    fn read(&mut self) {
        let Ok(source) = &mut self.source else {
            return;
        };
        let mut notices = Vec::new();
        for _ in 0..READINGS {
            let reading = match source.read(&mut notices) {
                Ok(reading) => reading,
                Err(error) => {
                    let why =
                        format!("polled: the system does not tell what changes any more ({error})");
                    self.lose_source(why);
                    return;
                }
            };
            let now = Instant::now();
            if reading.overflow {
                self.watches
                    .values_mut()
                    .for_each(|watch| watch.lose_events(now));
            }
            if !reading.some {
                let roots = self.watches.values_mut().flat_map(Watch::roots_mut);
                roots.for_each(Root::events_are_read);
                return;
            }
            for notice in notices.drain(..) {
                let owner = self.owners.get(&notice.to.root);
                if let Some(watch) = owner.and_then(|key| self.watches.get_mut(key)) {
                    watch.take(&notice, source, now);
                }
            }
            for watch in self.watches.values_mut() {
                watch.catch_up(source);
            }
        }
    }

    fn lose_source(&mut self, why: String) {
        tracing::error!("{why}");
        for root in self.watches.values_mut().flat_map(Watch::roots_mut) {
            root.lose_source(&why);
        }
        self.source = Err(why);
    }

    /// Looks at some of the files that have not been looked at, while nothing else is to be done.
    fn look_at_files(&mut self) {
        let until = Instant::now() + LOOKING;
        while self.unlooked && Instant::now() < until {
            let mut roots = self.watches.values_mut().flat_map(Watch::roots_mut);
            self.unlooked = roots.any(Root::look_at_next);
        }
    }
}

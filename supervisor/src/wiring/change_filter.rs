//! What a change means for an app: a reason to build and start it again, or only the trace of the build or of the app
//! itself. A pure state machine; the time is a parameter.
//!
//! What changes while the first build after a start goes on is taken for its product, unless it looks like a source.
//! Later, a file that a build writes into the watched tree is known by changing with every build: what changed while
//! each of [`BUILDS_OF_A_PRODUCT`] builds in a row went on is a product. Changes of products at such times mean nothing.
//! Until that is known, no change is lost: the build is done once more. What somebody else changed, at a time when no
//! build went on, is taken for a source for much longer: a person may well save during three builds in a row. And a
//! product that somebody else changed has to be written by the next build, or it is one no longer.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// How many builds in a row have to touch a file before it counts as their product.
const BUILDS_OF_A_PRODUCT: u32 = 3;

/// The same for what looks like a source.
const BUILDS_OF_A_SOURCE: u32 = 5;

/// So many builds in a row, each caused by nothing but what the one before it wrote as far as is known, and what the
/// next one writes is its product whatever its name: some builds give their products another name each time.
const BUILDS_BY_BUILDS: u32 = 2;

/// The same for a file that was changed at other times as well: a person, or a `make clean`.
const BUILDS_OF_AN_EDITED_PRODUCT: u32 = 10;

/// How many such files are known at most; then it begins anew.
const EDITED_FILES: usize = 10_000;

/// A change that is told so soon after a build ended was probably made by it: it took the watcher's debounce to be told.
const BEHIND_A_BUILD: Duration = Duration::from_secs(1);

/// So long after a build ended a change is told at most that it made, on a machine that is very busy.
const LONG_BEHIND_A_BUILD: Duration = Duration::from_secs(10);

/// A change so soon after the app's start was probably made by the app.
const BEHIND_A_START: Duration = Duration::from_secs(2);

/// So many restarts in a row, each caused by one and the same path soon after the start, are a loop. A person who saves
/// often never gets there.
const RESTARTS_OF_A_LOOP: u32 = 10;

/// What to do about a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Build and start again; a build that goes on is given up.
    Now,
    /// Let the build that goes on finish, then do it once more.
    AfterThisBuild,
    /// Nothing: builds make this change.
    Nothing,
    /// Nothing, and from now on nothing at all: this path makes the app start again and again.
    Suspend(String),
}

/// What the files themselves tell about a change.
pub trait Traces {
    /// Whether the path was written after the last build had ended, so not by it.
    fn by_somebody(&self, path: &str) -> bool;

    /// Whether the path is known to have been written between the beginning and the end of the last build.
    fn by_build(&self, path: &str) -> bool;

    /// Whether the path is known not to have been there before the first build.
    fn is_new(&self, path: &str) -> bool;

    /// Whether a person wrote it, as far as is known; asked only where nothing else decides.
    fn is_source(&self, path: &str) -> bool;
}

/// What is known of an app's changes.
#[derive(Debug, Default)]
pub struct ChangeFilter {
    /// Which build goes on or was the last.
    build: u64,
    building: bool,
    built: Option<Instant>,
    started: Option<Instant>,
    /// In which build a path changed last, and in how many in a row.
    touched: HashMap<String, (u64, u32)>,
    /// What was changed when no build went on.
    edited: HashSet<String>,
    /// What builds write.
    products: HashSet<String>,
    /// The products among them that no build has written since, and after which build somebody changed them.
    doubtful: HashMap<String, u64>,
    /// The number of the first build after the app was started.
    first: u64,
    /// How many builds in a row, up to which one, have caused the next.
    caused: (u64, u32),
    /// The one path that caused the last restarts, and how many.
    culprit: Option<(String, u32)>,
    suspended: bool,
}

impl ChangeFilter {
    /// Whether the build that goes on is the first one.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.build > 0 && self.build == self.first
    }

    /// Everything before the build is done, as a person asked for it: the next build is the first one.
    pub fn prepared(&mut self) {
        self.first = self.build + 1;
    }

    /// A build begins.
    pub fn build_begins(&mut self) {
        self.build += 1;
        self.building = true;
        // What an earlier build touched and the last one did not is no product.
        let last = self.build - 1;
        self.touched.retain(|_, (build, _)| *build >= last);
        let products = &mut self.products;
        self.doubtful.retain(|path, after| {
            let had_its_chance = *after < last;
            if had_its_chance {
                products.remove(path);
            }
            !had_its_chance
        });
    }

    /// The build was given up: the next one takes its place.
    pub fn build_is_given_up(&mut self, now: Instant) {
        if self.build == self.first {
            self.first += 1;
        }
        self.build_ends(now);
    }

    /// The build has ended, well or not.
    pub fn build_ends(&mut self, now: Instant) {
        self.building = false;
        self.built = Some(now);
    }

    /// The app was started.
    pub fn app_starts(&mut self, now: Instant) {
        self.started = Some(now);
    }

    /// A person asked for the app to be started again: everything is forgiven.
    pub fn reset(&mut self) {
        self.culprit = None;
        self.suspended = false;
    }

    /// These paths changed.
    pub fn changed(&mut self, paths: &[String], traces: &impl Traces, now: Instant) -> Verdict {
        if self.suspended {
            return Verdict::Nothing;
        }
        let soon = self.building || soon_after(self.built, now, BEHIND_A_BUILD);
        let late = soon_after(self.built, now, LONG_BEHIND_A_BUILD);
        let mut meaning: HashSet<&String> = paths.iter().collect();
        let mut known = 0;
        let mut by_person = false;
        for path in paths {
            let by_build = soon || (late && traces.by_build(path));
            if !by_build || traces.by_somebody(path) {
                self.edit(path);
                by_person = true;
                continue;
            }
            if self.is_product(path, traces) {
                self.touch(path);
                meaning.remove(path);
                continue;
            }
            let (enough, is_source) = if self.edited.contains(path) {
                by_person = true;
                (BUILDS_OF_AN_EDITED_PRODUCT, false)
            } else if traces.is_source(path) {
                by_person = true;
                (BUILDS_OF_A_SOURCE, true)
            } else {
                (BUILDS_OF_A_PRODUCT, false)
            };
            let times = self.touch(path);
            if times >= enough {
                self.products.insert(path.clone());
                meaning.remove(path);
            } else if times > 1 && (!is_source || times + 1 >= enough) {
                known += 1;
            }
        }
        if meaning.is_empty() && !paths.is_empty() {
            return Verdict::Nothing;
        }
        if self.is_caused_by_builds(by_person) {
            self.products.extend(meaning.into_iter().cloned());
            return Verdict::Nothing;
        }
        if self.building && known > 0 && known == meaning.len() {
            return Verdict::AfterThisBuild;
        }
        self.count_restart(&meaning, now)
    }

    /// Whether a path that changed while a build went on is written by builds.
    fn is_product(&mut self, path: &str, traces: &impl Traces) -> bool {
        if self.products.contains(path) {
            return true;
        }
        // What a person makes while no build goes on is known as edited.
        let is_new = (traces.is_new(path) || self.is_first())
            && !self.edited.contains(path)
            && !traces.is_source(path);
        if is_new {
            self.products.insert(path.to_owned());
        }
        is_new
    }

    /// Notes who caused the next build; returns whether builds have caused each other too often.
    fn is_caused_by_builds(&mut self, by_person: bool) -> bool {
        let (build, times) = self.caused;
        if by_person || self.build == 0 {
            self.caused = (self.build, 0);
        } else if build + 1 == self.build {
            self.caused = (self.build, times + 1);
        } else if build != self.build {
            self.caused = (self.build, 1);
        } else if times == 0 {
            // A person has changed something meanwhile, which the next build is for.
            return false;
        }
        self.caused.1 > BUILDS_BY_BUILDS
    }

    /// Notes that somebody changed the path.
    fn edit(&mut self, path: &str) {
        if self.edited.len() >= EDITED_FILES {
            self.edited.clear();
        }
        self.edited.insert(path.to_owned());
        if self.products.contains(path) {
            self.doubtful.entry(path.to_owned()).or_insert(self.build);
        }
    }

    /// Notes that the path changed in this build; returns in how many in a row it has.
    fn touch(&mut self, path: &str) -> u32 {
        let build = self.build;
        self.doubtful.remove(path);
        let entry = self.touched.entry(path.to_owned()).or_insert((build, 0));
        if entry.0 != build || entry.1 == 0 {
            *entry = (build, entry.1 + 1);
        }
        entry.1
    }

    fn count_restart(&mut self, paths: &HashSet<&String>, now: Instant) -> Verdict {
        let mut only = paths.iter();
        let single = match (only.next(), only.next()) {
            (Some(path), None) if soon_after(self.started, now, BEHIND_A_START) => (*path).clone(),
            _ => {
                self.culprit = None;
                return Verdict::Now;
            }
        };
        let times = match &self.culprit {
            Some((culprit, times)) if *culprit == single => times + 1,
            _ => 1,
        };
        if times > RESTARTS_OF_A_LOOP {
            self.suspended = true;
            return Verdict::Suspend(single);
        }
        self.culprit = Some((single, times));
        Verdict::Now
    }
}

fn soon_after(event: Option<Instant>, now: Instant, how_soon: Duration) -> bool {
    event.is_some_and(|event| now.saturating_duration_since(event) < how_soon)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// Says which paths were written after the build, and which are sources.
    struct Told(&'static [&'static str], &'static [&'static str]);

    impl Traces for Told {
        fn by_somebody(&self, path: &str) -> bool {
            self.0.contains(&path)
        }

        fn by_build(&self, path: &str) -> bool {
            !self.by_somebody(path) && path.starts_with("slow")
        }

        fn is_new(&self, path: &str) -> bool {
            path.starts_with("fresh")
        }

        fn is_source(&self, path: &str) -> bool {
            self.1.contains(&path)
        }
    }

    /// Nothing was written after the build.
    const BY_BUILD: &Told = &Told(&[], &[]);

    #[test]
    fn what_the_first_build_writes_is_its_product_and_what_a_person_saved_meanwhile_is_not() {
        let mut filter = ChangeFilter::default();
        let now = Instant::now();
        let traces = &Told(&[], &["main.c"]);
        filter.prepared();
        filter.build_begins();
        assert_eq!(
            filter.changed(&paths(&["main.o"]), traces, now),
            Verdict::Nothing
        );
        assert_eq!(
            filter.changed(&paths(&["prog", "main.c"]), traces, now),
            Verdict::Now
        );
        filter.build_is_given_up(now);
        // The one that takes its place is the first.
        filter.build_begins();
        assert_eq!(
            filter.changed(&paths(&["main.o", "new.o"]), traces, now),
            Verdict::Nothing
        );
        filter.build_ends(now);
        assert_eq!(
            filter.changed(&paths(&["prog"]), traces, now),
            Verdict::Nothing
        );
        filter.build_begins();
        assert_eq!(
            filter.changed(&paths(&["prog"]), traces, now),
            Verdict::Nothing
        );
        assert_eq!(
            filter.changed(&paths(&["fresh.o"]), traces, now),
            Verdict::Nothing
        );
        assert_eq!(
            filter.changed(&paths(&["unknown"]), traces, now),
            Verdict::Now
        );
    }

    #[test]
    fn a_product_that_somebody_touches_stays_one_as_long_as_builds_write_it() {
        let mut filter = ChangeFilter::default();
        let mut now = Instant::now();
        filter.prepared();
        for name in ["out", "new.c"] {
            filter.build_begins();
            filter.changed(&paths(&[name]), BY_BUILD, now);
            filter.build_is_given_up(now);
        }
        for _ in 0..20 {
            filter.build_begins();
            assert_eq!(
                filter.changed(&paths(&["out"]), BY_BUILD, now),
                Verdict::Nothing
            );
            filter.build_ends(now);
            now += Duration::from_secs(10);
            let saved = filter.changed(&paths(&["out", "new.c"]), BY_BUILD, now);
            assert_eq!(saved, Verdict::Now);
        }
        // A source that came while the first build went on counts during a build as well, once somebody has saved it.
        filter.build_begins();
        assert_eq!(
            filter.changed(&paths(&["new.c"]), BY_BUILD, now),
            Verdict::Now
        );
    }

    #[test]
    fn a_build_that_names_its_product_anew_each_time_does_not_build_for_ever() {
        let mut filter = ChangeFilter::default();
        let mut now = Instant::now();
        filter.prepared();
        let mut number = 0;
        let mut build = |filter: &mut ChangeFilter, now| {
            number += 1;
            filter.build_begins();
            filter.build_ends(now);
            filter.changed(&paths(&[&format!("out.{number}")]), BY_BUILD, now)
        };
        assert_eq!(build(&mut filter, now), Verdict::Nothing);
        for _ in 0..3 {
            now += Duration::from_secs(10);
            let saved = filter.changed(&paths(&["main.js"]), BY_BUILD, now);
            assert_eq!(saved, Verdict::Now);
            assert_eq!(build(&mut filter, now), Verdict::Now);
            assert_eq!(build(&mut filter, now), Verdict::Now);
            assert_eq!(build(&mut filter, now), Verdict::Nothing);
        }
    }

    #[test]
    fn a_source_that_is_saved_during_each_of_three_builds_is_no_product() {
        let mut filter = ChangeFilter::default();
        let now = Instant::now();
        let traces = &Told(&[], &["main.c"]);
        filter.prepared();
        for _ in 0..3 {
            filter.build_begins();
            let saved = filter.changed(&paths(&["main.c"]), traces, now);
            assert_eq!(saved, Verdict::Now);
            filter.build_is_given_up(now);
        }
    }

    #[test]
    fn what_a_busy_machine_tells_late_is_the_build_s_if_it_was_written_in_its_time() {
        let mut filter = ChangeFilter::default();
        let now = Instant::now();
        filter.prepared();
        filter.build_begins();
        filter.build_ends(now);
        let late = now + Duration::from_secs(5);
        let told = filter.changed(&paths(&["slow.o"]), BY_BUILD, late);
        assert_eq!(told, Verdict::Nothing);
        let told = filter.changed(&paths(&["main.c"]), BY_BUILD, late);
        assert_eq!(told, Verdict::Now);
    }

    #[test]
    fn without_a_build_there_is_no_product() {
        let mut filter = ChangeFilter::default();
        let now = Instant::now();
        filter.prepared();
        filter.build_ends(now);
        assert_eq!(filter.changed(&paths(&["a"]), BY_BUILD, now), Verdict::Now);
    }

    #[test]
    fn a_source_that_is_saved_right_after_each_build_is_no_product() {
        let mut filter = ChangeFilter::default();
        let now = Instant::now();
        let source = &Told(&["main.rs"], &[]);
        for _ in 0..20 {
            filter.build_begins();
            filter.build_ends(now);
            let verdict = filter.changed(&paths(&["main.rs", "out"]), source, now);
            assert_eq!(verdict, Verdict::Now);
        }
        assert_eq!(
            filter.changed(&paths(&["out"]), source, now),
            Verdict::Nothing
        );
    }

    #[test]
    fn a_source_may_be_saved_during_many_builds_and_an_edited_product_is_learned_at_last() {
        let mut filter = ChangeFilter::default();
        let now = Instant::now();
        assert_eq!(
            filter.changed(&paths(&["main.rs"]), BY_BUILD, now),
            Verdict::Now
        );
        let mut verdicts = Vec::new();
        for _ in 0..BUILDS_OF_AN_EDITED_PRODUCT {
            filter.build_begins();
            verdicts.push(filter.changed(&paths(&["main.rs"]), BY_BUILD, now));
            filter.build_ends(now);
        }
        let (last, before) = verdicts.split_last().unwrap();
        assert!(
            before.iter().all(|verdict| *verdict != Verdict::Nothing),
            "{before:?}"
        );
        assert_eq!(*last, Verdict::Nothing);
    }

    #[test]
    fn a_save_builds_again_and_one_during_a_build_gives_that_up() {
        let mut filter = ChangeFilter::default();
        let now = Instant::now();
        assert_eq!(filter.changed(&paths(&["a"]), BY_BUILD, now), Verdict::Now);
        filter.build_begins();
        assert_eq!(filter.changed(&paths(&["a"]), BY_BUILD, now), Verdict::Now);
    }

    #[test]
    fn what_every_build_writes_is_learned_and_no_change_is_lost_on_the_way() {
        let mut filter = ChangeFilter::default();
        let now = Instant::now();
        let mut verdicts = Vec::new();
        for _ in 0..4 {
            filter.build_begins();
            verdicts.push(filter.changed(&paths(&["out"]), BY_BUILD, now));
            filter.build_ends(now);
        }
        assert_eq!(
            verdicts,
            [
                Verdict::Now,
                Verdict::AfterThisBuild,
                Verdict::Nothing,
                Verdict::Nothing
            ]
        );
        // A person's change is told from it, also in one batch with it.
        assert_eq!(
            filter.changed(&paths(&["out", "a"]), BY_BUILD, now),
            Verdict::Now
        );
        let later = now + Duration::from_secs(10);
        assert_eq!(
            filter.changed(&paths(&["out"]), BY_BUILD, later),
            Verdict::Now
        );
    }

    #[test]
    fn what_is_told_right_after_a_build_counts_as_made_by_it() {
        let mut filter = ChangeFilter::default();
        let start = Instant::now();
        let mut last = Verdict::Now;
        for round in 0..3 {
            let begin = start + Duration::from_secs(60 * round);
            filter.build_begins();
            filter.build_ends(begin);
            last = filter.changed(
                &paths(&["out"]),
                BY_BUILD,
                begin + Duration::from_millis(150),
            );
        }
        assert_eq!(last, Verdict::Nothing);
    }

    #[test]
    fn an_app_that_writes_what_it_watches_is_suspended_and_a_busy_person_is_not() {
        let mut filter = ChangeFilter::default();
        let mut now = Instant::now();
        for _ in 0..RESTARTS_OF_A_LOOP {
            filter.app_starts(now);
            now += Duration::from_millis(500);
            assert_eq!(
                filter.changed(&paths(&["log"]), BY_BUILD, now),
                Verdict::Now
            );
        }
        filter.app_starts(now);
        assert_eq!(
            filter.changed(&paths(&["log"]), BY_BUILD, now),
            Verdict::Suspend("log".to_owned())
        );
        assert_eq!(
            filter.changed(&paths(&["a"]), BY_BUILD, now),
            Verdict::Nothing
        );
        filter.reset();
        assert_eq!(filter.changed(&paths(&["a"]), BY_BUILD, now), Verdict::Now);

        let mut filter = ChangeFilter::default();
        for _ in 0..100 {
            filter.app_starts(now);
            now += Duration::from_secs(3);
            assert_eq!(
                filter.changed(&paths(&["main.rs"]), BY_BUILD, now),
                Verdict::Now
            );
        }
    }
}

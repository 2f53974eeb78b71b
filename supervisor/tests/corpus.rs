//! What the fuzzers found worth keeping (`fuzz/corpus`) is checked in every test run as the fuzzers check it
//! (`fuzz/checks`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../fuzz/checks/env_file.rs"]
mod env_file;
#[path = "../fuzz/checks/reader.rs"]
mod reader;
#[path = "../fuzz/checks/template.rs"]
mod template;

use std::path::Path;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use proptest::prelude::{Strategy as _, any, prop};
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

/// The files of a trap as the fuzzer of the reader takes them: `monday.yaml` first, a NUL byte between them.
fn as_seed(trap: &Path) -> Vec<u8> {
    let mut files: Vec<_> = std::fs::read_dir(trap)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort_by_key(|path| (!path.ends_with("monday.yaml"), path.clone()));
    let texts: Vec<_> = files
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    texts.join(&0)
}

/// `MONDAY_BLESS=1 cargo test -p monday-supervisor --test corpus` writes the seeds.
#[test]
fn every_trap_is_a_seed_of_the_reader() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for trap in std::fs::read_dir(here.join("tests/traps")).unwrap() {
        let trap = trap.unwrap().path();
        let name = trap.file_name().unwrap().to_str().unwrap();
        let seed = here.join(format!("fuzz/corpus/reader/trap-{name}"));
        if std::env::var_os("MONDAY_BLESS").is_some() {
            std::fs::write(&seed, as_seed(&trap)).unwrap();
        }
        assert!(std::fs::read(&seed).ok() == Some(as_seed(&trap)), "{name}");
    }
}

/// Checks every file of a corpus.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        check(&std::fs::read(file.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
}

/// A fuzzer of texts passes over what is none.
fn as_text(check: fn(&str)) -> impl Fn(&[u8]) {
    move |bytes| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            check(text);
        }
    }
}

#[test]
fn the_reader_survives_its_corpus() {
    replay("reader", reader::check);
}

#[test]
fn the_template_renderer_survives_its_corpus() {
    replay("template", as_text(template::check));
}

#[test]
fn the_env_file_parser_survives_its_corpus() {
    replay("env_file", as_text(env_file::check));
}

/// How long the inputs near a corpus are tried: a second in every test run, longer where this variable says so:
/// `MONDAY_FUZZ_SECONDS=600 cargo test -p monday-supervisor --test corpus near`.
const SECONDS: &str = "MONDAY_FUZZ_SECONDS";

/// What no input may take, of the processor's time.
const LONGEST: Duration = Duration::from_secs(10);

/// A change of an input: where, how much of it is replaced, and by what of which other input.
type Change = (Index, usize, Index, Index, usize);

/// Applies changes to one of the inputs of a corpus.
fn changed(corpus: &[Vec<u8>], first: Index, changes: &[Change]) -> Vec<u8> {
    let mut input = first.get(corpus).clone();
    for (at, removed, other, from, taken) in changes {
        let at = at.index(input.len() + 1);
        let end = (at + removed).min(input.len());
        let other = other.get(corpus);
        let from = from.index(other.len() + 1);
        let piece = &other[from..(from + taken).min(other.len())];
        input.splice(at..end, piece.iter().copied());
    }
    input
}

/// Checks inputs that are near those of a corpus, until the time is over.
fn replay_near(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    let seconds = std::env::var(SECONDS).map_or(1, |text| text.parse().unwrap());
    let change = (
        any::<Index>(),
        0..40_usize,
        any::<Index>(),
        any::<Index>(),
        0..60_usize,
    );
    let near = (any::<Index>(), prop::collection::vec(change, 1..8));
    let mut runner = TestRunner::new(Config::default());
    let (start, mut count) = (Instant::now(), 0_u64);
    while start.elapsed() < Duration::from_secs(seconds) {
        let (first, changes) = near.new_tree(&mut runner).unwrap().current();
        let input = changed(&corpus, first, &changes);
        let before = processor_time();
        let sound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&input)));
        let shown = || input.escape_ascii().to_string();
        assert!(sound.is_ok(), "{target}: {}", shown());
        assert!(
            processor_time().saturating_sub(before) < LONGEST,
            "{target}: {}",
            shown()
        );
        count += 1;
    }
    assert!(count > 0, "{target}: no input in {seconds} seconds");
}

fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .unwrap()
        .into()
}

#[test]
fn the_reader_survives_what_is_near_its_corpus() {
    replay_near("reader", reader::check);
}

#[test]
fn the_template_renderer_survives_what_is_near_its_corpus() {
    replay_near("template", as_text(template::check));
}

#[test]
fn the_env_file_parser_survives_what_is_near_its_corpus() {
    replay_near("env_file", as_text(env_file::check));
}

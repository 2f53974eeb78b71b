//! SIGKILL after every step of writing, in both ways of writing, for every kind of change.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use monday_ipalias::hosts::step::Steps;
use monday_ipalias::ledger::Ledger;
use monday_shared::protocol::ipalias::NameSpec;
use nix::sys::signal::{Signal, raise};

use crate::namespace;
use crate::place::{Place, settings};

/// What the process that is killed was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// Putting its block into the file.
    Put,
    /// Making its block longer, with lines of others behind it.
    Renew,
    /// Taking its block out.
    Take,
}

const DEEDS: [Deed; 3] = [Deed::Put, Deed::Renew, Deed::Take];

const PREFIX: &str = "MONDAY_TEST_KILL_";

#[test]
#[ignore = "the process that is killed; the other tests start it"]
fn victim() {
    let Some(deed) = std::env::var_os(format!("{PREFIX}DEED")) else {
        return;
    };
    let var = |name: &str| std::env::var(format!("{PREFIX}{name}")).unwrap();
    let deed = DEEDS[deed.to_str().unwrap().parse::<usize>().unwrap()];
    let (hosts, runtime) = (PathBuf::from(var("HOSTS")), PathBuf::from(var("RUNTIME")));
    let last_step: usize = var("STEP").parse().unwrap();
    // Steps are counted from when the deed begins.
    let armed = Arc::new(AtomicUsize::new(0));
    let steps = {
        let (armed, done) = (Arc::clone(&armed), AtomicUsize::new(0));
        Steps::told_to(move |_| {
            if armed.load(Ordering::Relaxed) == 1
                && done.fetch_add(1, Ordering::Relaxed) == last_step
            {
                raise(Signal::SIGKILL).unwrap();
            }
        })
    };
    let in_place = var("IN_PLACE") == "true";
    let mut ledger = Ledger::open(settings(&hosts, &runtime, in_place, steps)).unwrap();
    let specs = |names: &[&str]| {
        names
            .iter()
            .map(|name| NameSpec::new(*name))
            .collect::<Vec<_>>()
    };
    if deed != Deed::Put {
        ledger.assign(&specs(&["api.local", "db.local"])).unwrap();
    }
    if deed == Deed::Renew {
        let file = OpenOptions::new().append(true).open(&hosts).unwrap();
        (&file).write_all(BEHIND).unwrap();
    }
    armed.store(1, Ordering::Relaxed);
    match deed {
        Deed::Put => drop(ledger.assign(&specs(&["api.local", "db.local"])).unwrap()),
        Deed::Renew => drop(ledger.assign(&specs(&["a-longer-name.svc.local"])).unwrap()),
        Deed::Take => ledger.close().unwrap(),
    }
}

/// What others write behind the block meanwhile.
const BEHIND: &[u8] = b"10.0.0.9 behind\r\n\xff\xfe not utf-8\n";

/// Starts the victim and returns whether it was killed.
fn kill_at(place: &Place, deed: Deed, in_place: bool, step: usize) -> bool {
    let number = DEEDS.iter().position(|other| *other == deed).unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::victim", "--ignored", "--quiet"])
        .env(format!("{PREFIX}DEED"), number.to_string())
        .env(format!("{PREFIX}HOSTS"), &place.hosts)
        .env(format!("{PREFIX}RUNTIME"), place.runtime())
        .env(format!("{PREFIX}IN_PLACE"), in_place.to_string())
        .env(format!("{PREFIX}STEP"), step.to_string())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    let killed = status.signal() == Some(Signal::SIGKILL as i32);
    assert!(
        killed || status.success(),
        "{deed:?}, step {step}: {status}"
    );
    killed
}

/// The originals that are hard to keep.
fn originals() -> Vec<Vec<u8>> {
    vec![
        b"127.0.0.1 localhost\n".to_vec(),
        b"127.0.0.1 localhost\r\n::1 localhost\r\n\xff\xc0 \x80\r\n# no end".to_vec(),
        // A large one.
        [b"10.0.0.1 somebody\n".repeat(8_000), b"the end".to_vec()].concat(),
    ]
}

fn foreign(original: &[u8], deed: Deed) -> Vec<u8> {
    let mut expected = original.to_vec();
    if deed == Deed::Renew {
        // The ending that our block gave to the last line is needed once others stand behind it.
        if !expected.ends_with(b"\n") {
            let crlf = original.windows(2).filter(|two| two == b"\r\n").count();
            expected.extend_from_slice(if crlf > 1 { b"\r\n" } else { b"\n" });
        }
        expected.extend_from_slice(BEHIND);
    }
    expected
}

/// Compares two contents, and says where they differ without printing all of them.
fn assert_same(found: &[u8], expected: &[u8], when: &str) {
    let same = found
        .iter()
        .zip(expected)
        .take_while(|(a, b)| a == b)
        .count();
    let around = |bytes: &[u8]| {
        let from = same.saturating_sub(40);
        let part = &bytes[from..bytes.len().min(same + 200)];
        String::from_utf8_lossy(part).into_owned()
    };
    assert!(
        found == expected,
        "{when}: from byte {same} on, {:?} was found, and {:?} expected",
        around(found),
        around(expected)
    );
}

/// Makes the file what it was, without ever emptying it: a reader is looking.
fn reset(hosts: &Path, original: &[u8]) {
    let file = OpenOptions::new().write(true).open(hosts).unwrap();
    file.write_all_at(original, 0).unwrap();
    file.set_len(original.len() as u64).unwrap();
}

/// Reads the file all the time until the end of the test, and fails it if the file was empty or missing once.
struct Reader {
    stop: Arc<AtomicBool>,
    reading: Option<JoinHandle<()>>,
}

impl Reader {
    fn start(hosts: &Path) -> Self {
        let (hosts, stop) = (hosts.to_owned(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let reading = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                assert!(
                    !std::fs::read(&hosts).unwrap().is_empty(),
                    "the file was empty"
                );
            }
        });
        Self {
            stop,
            reading: Some(reading),
        }
    }

    fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.reading.take().unwrap().join().unwrap();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Kills at every step of every deed.
fn kill_at_every_step(place: &Place, original: &[u8], in_place: bool) {
    let reader = Reader::start(&place.hosts);
    for deed in DEEDS {
        let expected = foreign(original, deed);
        let mut kills = 0;
        loop {
            reset(&place.hosts, original);
            let killed = kill_at(place, deed, in_place, kills);
            if killed && kills % 2 == 0 {
                // The next start cleans up, as the first thing that it does.
                let next = Ledger::open(place.settings(in_place, Steps::default())).unwrap();
                assert_same(
                    &place.content(),
                    &expected,
                    &format!("{deed:?}, killed after step {kills}, next start"),
                );
                next.close().unwrap();
            } else {
                place.clean();
            }
            assert_same(
                &place.content(),
                &expected,
                &format!("{deed:?}, killed after step {kills}"),
            );
            assert_eq!(
                place.files_beside(),
                Vec::<String>::new(),
                "{deed:?}, step {kills}"
            );
            let leases = std::fs::read_dir(place.runtime().join("leases"))
                .unwrap()
                .count();
            assert_eq!(leases, 0, "{deed:?}, step {kills}");
            if !killed {
                break;
            }
            kills += 1;
        }
        // Cutting the block off the end is nearly one step; the others have many.
        let least = if deed == Deed::Take { 2 } else { 4 };
        assert!(kills >= least, "{deed:?} has only {kills} steps");
    }
    reader.end();
}

#[test]
fn a_kill_at_any_step_of_swapping_the_file_leaves_nothing_behind() {
    for original in originals() {
        let place = Place::new(&original);
        kill_at_every_step(&place, &original, false);
    }
}

#[test]
fn a_kill_at_any_step_of_writing_in_place_leaves_nothing_behind() {
    for original in originals() {
        let place = Place::new(&original);
        kill_at_every_step(&place, &original, true);
    }
}

#[test]
fn a_kill_at_any_step_with_a_mount_point_leaves_nothing_behind() {
    if !namespace::enter("kill::a_kill_at_any_step_with_a_mount_point_leaves_nothing_behind") {
        return;
    }
    for original in originals() {
        let place = Place::new(&original);
        let path = place.hosts.to_str().unwrap();
        // The file mounted on itself: a mount point of the same filesystem and inode.
        namespace::mount(&["--bind", path, path]);
        kill_at_every_step(&place, &original, false);
    }
}

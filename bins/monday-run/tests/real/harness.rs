//! Starts the executable, listens to its events, and looks for survivors.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use monday_shared::protocol::run::{Event, Line, Phase, State};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// How long anything may take on a busy machine; only a failing test waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const MARK: &str = "MONDAY_RUN_TEST_MARK";

/// A folder and a mark of the test's own. Dropping it kills what is left.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    mark: String,
}

impl World {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            dir: tempfile::tempdir().unwrap(),
            mark: format!("{}-{number}", std::process::id()),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The executable with these arguments, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monday-run"));
        command
            .args(args)
            .env(MARK, &self.mark)
            .env_remove("MONDAY_LOG")
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a script to its end, and returns status and standard output.
    pub(crate) fn output(&self, args: &[&str]) -> (ExitStatus, Vec<u8>) {
        let mut child = self.command(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut bytes = Vec::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        (child.wait().unwrap(), bytes)
    }

    /// Starts the executable with `--output json`.
    pub(crate) fn start(&self, args: &[&str]) -> Run {
        Run::start(self.command(&[&["--output", "json"], args].concat()))
    }

    /// The living processes of this test, other than the executable itself.
    pub(crate) fn survivors(&self) -> Vec<String> {
        let wanted = format!("{MARK}={}", self.mark);
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let path = entry.path();
            let Ok(environment) = std::fs::read(path.join("environ")) else {
                continue;
            };
            if environment
                .split(|&b| b == 0)
                .any(|v| v == wanted.as_bytes())
            {
                let words = std::fs::read(path.join("cmdline")).unwrap_or_default();
                let words = String::from_utf8_lossy(&words).replace('\0', " ");
                found.push(format!("{} {words}", entry.file_name().to_string_lossy()));
            }
        }
        found
    }

    /// No process of this test is alive.
    pub(crate) fn assert_empty(&self) {
        let survivors = self.survivors();
        assert!(survivors.is_empty(), "survivors: {survivors:#?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for survivor in self.survivors() {
            let pid = survivor.split(' ').next().and_then(|pid| pid.parse().ok());
            if let Some(pid) = pid {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

/// A running executable.
pub(crate) struct Run {
    pub(crate) child: Child,
    events: mpsc::Receiver<Event>,
    /// All of standard output that has arrived, stream after stream.
    pub(crate) shown: Vec<u8>,
}

impl Run {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines {
                let line = line.unwrap();
                let event = serde_json::from_str(&line)
                    .unwrap_or_else(|error| panic!("{error} in event {line}"));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            events,
            shown: Vec::new(),
        }
    }

    /// The next event; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Event> {
        match self.events.recv_timeout(PATIENCE) {
            Ok(event) => {
                if let Event::Output(output) = &event {
                    let last = output.lines.len() - 1;
                    for (at, Line(line)) in output.lines.iter().enumerate() {
                        self.shown.extend_from_slice(line);
                        let ended = at < last || !(output.partial || output.unterminated);
                        self.shown.extend(ended.then_some(b'\n'));
                    }
                }
                Some(event)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("no event came"),
        }
    }

    /// Waits until this text was shown.
    pub(crate) fn wait_for(&mut self, text: &str) {
        while !self.text().contains(text) {
            assert!(
                self.next().is_some(),
                "ended without {text:?}: {}",
                self.text()
            );
        }
    }

    /// Waits for that phase.
    pub(crate) fn wait_for_phase(&mut self, phase: Phase) -> State {
        loop {
            match self.next() {
                Some(Event::State(state)) if state.phase == phase => return state,
                Some(_) => {}
                None => panic!("ended without {phase:?}"),
            }
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for the end, and returns the status as a shell gives it.
    pub(crate) fn end(mut self) -> (i32, String) {
        while self.next().is_some() {}
        let status = self.child.wait().unwrap();
        (status.code().unwrap(), self.text())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A test that failed half way; one that did not has waited for it.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Looks again and again, for what cannot be waited for, until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not so in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The numbers of the children that a process has at this moment.
pub(crate) fn children_of(parent: u32) -> HashSet<u32> {
    use monday_shared::platform::process_tree::{Roots, Table};
    let family = Table::read().unwrap().family(Roots {
        parents: &[parent],
        ..Roots::default()
    });
    family.iter().map(|process| process.id.pid).collect()
}

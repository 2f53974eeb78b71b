//! Starts the executable and listens to its events.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use monday_shared::protocol::run::{Phase, State};
use monday_shared::protocol::watch::{Changed, Event};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// How long anything may take on a busy machine; only a failing test waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of the test's own, in which there is a folder `tree`.
pub(crate) struct World {
    pub(crate) dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap())
    }

    /// The same in memory, where there is such a place: for very many files.
    pub(crate) fn in_memory() -> Self {
        Self::in_dir(
            tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap()),
        )
    }

    fn in_dir(dir: TempDir) -> Self {
        fs::create_dir(dir.path().join("tree")).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a file in its place in one step, after making the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(self.path("aside"), text).unwrap();
        fs::rename(self.path("aside"), path).unwrap();
    }

    /// The executable with these arguments, in the folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.wrapped(&[], args)
    }

    /// The same through other programs.
    pub(crate) fn wrapped(&self, wrapper: &[&str], args: &[&str]) -> Command {
        let executable = env!("CARGO_BIN_EXE_monday-watch");
        let words: Vec<&str> = wrapper
            .iter()
            .copied()
            .chain([executable])
            .chain(args.iter().copied())
            .collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .current_dir(self.dir.path())
            // Nobody's own ignore file for git.
            .env("HOME", self.dir.path())
            .env("XDG_CONFIG_HOME", self.dir.path())
            .env_remove("MONDAY_LOG")
            .stdin(Stdio::null());
        command
    }

    /// Starts the executable with `--output json` and waits until it is ready.
    pub(crate) fn start(&self, args: &[&str]) -> Run {
        Run::start(self.command(&[&["--output", "json"], args].concat()))
    }

    /// Runs the executable to its end: status, standard output and standard error.
    pub(crate) fn output(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.command(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }
}

/// A running executable.
pub(crate) struct Run {
    pub(crate) child: Child,
    lines: mpsc::Receiver<String>,
    /// All that COMMAND has written so far.
    pub(crate) shown: String,
}

impl Run {
    pub(crate) fn start(command: Command) -> Self {
        let mut run = Self::start_anyhow(command);
        match run.event() {
            Event::Ready { .. } => run,
            other => panic!("the first event is {other:?}"),
        }
    }

    /// Without waiting for anything.
    pub(crate) fn start_anyhow(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            shown: String::new(),
        }
    }

    /// The next line on standard output; `None` at the end.
    pub(crate) fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("no line came"),
        }
    }

    pub(crate) fn event(&mut self) -> Event {
        let line = self.line().expect("it ended");
        let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
        if let Event::Output(output) = &event {
            for line in &output.lines {
                self.shown.push_str(&line.text());
                self.shown.push('\n');
            }
        }
        event
    }

    pub(crate) fn changed(&mut self) -> Changed {
        loop {
            if let Event::Changed(changed) = self.event() {
                return changed;
            }
        }
    }

    pub(crate) fn state(&mut self, phase: Phase) -> State {
        loop {
            match self.event() {
                Event::State(state) if state.phase == phase => return state,
                _ => {}
            }
        }
    }

    /// Waits until COMMAND has written that.
    pub(crate) fn wait_for(&mut self, text: &str) {
        while !self.shown.contains(text) {
            self.event();
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for the end: the status, and what it wrote to standard error if that was piped.
    pub(crate) fn end(&mut self) -> (i32, String) {
        while self.line().is_some() {}
        let mut stderr = String::new();
        if let Some(mut pipe) = self.child.stderr.take() {
            pipe.read_to_string(&mut stderr).unwrap();
        }
        (self.child.wait().unwrap().code().unwrap(), stderr)
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

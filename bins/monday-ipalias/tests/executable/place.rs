//! A folder with a hosts file, and the executable over it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use monday_ipalias::hosts::file::HowToWrite;
use monday_ipalias::hosts::step::Steps;
use monday_ipalias::lease::LeaseFolder;
use monday_ipalias::report;
use monday_ipalias::settings::Settings;
use nix::sys::signal::Signal;
use serde_json::Value;

/// Longer than anything takes; only a test that fails waits for so long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The folder.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) hosts: PathBuf,
}

impl Place {
    pub(crate) fn new(content: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        let hosts = folder.path().join("etc/hosts");
        fs::write(&hosts, content).unwrap();
        Self { folder, hosts }
    }

    pub(crate) fn runtime(&self) -> PathBuf {
        let runtime = self.folder.path().join("runtime");
        fs::create_dir_all(&runtime).unwrap();
        runtime
    }

    pub(crate) fn settings(&self, in_place: bool, steps: Steps) -> Settings {
        settings(&self.hosts, &self.runtime(), in_place, steps)
    }

    /// Removes what the dead have left, as `monday-ipalias clean` does.
    pub(crate) fn clean(&self) {
        report::clean(self.settings(false, Steps::default()), false).unwrap();
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        fs::read(&self.hosts).unwrap()
    }

    /// The names of all files beside the hosts file.
    pub(crate) fn files_beside(&self) -> Vec<String> {
        let folder = fs::read_dir(self.hosts.parent().unwrap()).unwrap();
        folder
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "hosts")
            .collect()
    }

    /// The executable over this file, with these words behind the flags.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monday-ipalias"));
        command
            .arg("--hosts-file")
            .arg(&self.hosts)
            .args(words)
            .env("XDG_RUNTIME_DIR", private(self.runtime()))
            .env_remove("MONDAY_LOG")
            .stdin(Stdio::null());
        command
    }

    /// Runs the executable to its end.
    pub(crate) fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Starts the executable with these words and waits until it is ready.
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        Running::start(self.command(&[&["--output", "json"], words].concat()))
    }
}

/// The settings of a ledger over that file.
pub(crate) fn settings(hosts: &Path, runtime: &Path, in_place: bool, steps: Steps) -> Settings {
    let leases = LeaseFolder::at(runtime.join("leases")).unwrap();
    Settings {
        how: HowToWrite {
            in_place,
            spare_folder: Some(leases.path().to_owned()),
            steps,
            ..HowToWrite::default()
        },
        ..Settings::new(hosts.to_owned(), leases)
    }
}

fn private(folder: PathBuf) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    folder
}

/// The executable, running. It is killed if a test forgets it.
pub(crate) struct Running {
    child: Child,
    events: Receiver<String>,
    /// Its ready event.
    pub(crate) ready: Value,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut running = Self {
            child,
            events,
            ready: Value::Null,
        };
        running.ready = running.next_event();
        assert_eq!(running.ready["event"], "ready");
        running
    }

    pub(crate) fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    pub(crate) fn next_event(&self) -> Value {
        let line = self
            .events
            .recv_timeout(DEADLINE)
            .expect("an event was expected");
        serde_json::from_str(&line).unwrap()
    }

    /// The address of its first name.
    pub(crate) fn first_ip(&self) -> String {
        self.ready["names"][0]["ip"].as_str().unwrap().to_owned()
    }

    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    pub(crate) fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().unwrap()
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub(crate) fn end_by(self, signal: Signal) -> ExitStatus {
        nix::sys::signal::kill(self.pid(), signal).unwrap();
        self.wait()
    }

    pub(crate) fn end(self) -> ExitStatus {
        self.end_by(Signal::SIGTERM)
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

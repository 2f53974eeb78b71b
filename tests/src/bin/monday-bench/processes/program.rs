//! A program that is measured: started, read, ended with all that it started.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Doing as _, Error};

/// A program that runs. Dropping it ends it.
pub(super) struct Program {
    name: String,
    child: Child,
    stdout: BufReader<ChildStdout>,
}

/// Where a program of that name is on PATH.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

impl Program {
    /// Starts it in that folder, with a runtime folder below it.
    pub(super) fn start(mut command: Command, folder: &Path) -> Result<Self, Error> {
        let name = command.get_program().to_string_lossy().into_owned();
        let runtime = folder.join("r");
        std::fs::create_dir_all(&runtime).doing("make a runtime folder")?;
        command
            .current_dir(folder)
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        let mut child = command.spawn().doing(format!("start {name}"))?;
        let stdout = child.stdout.take().ok_or_else(|| Error::Contender {
            program: name.clone(),
            problem: "it has no standard output".to_owned(),
        })?;
        Ok(Self {
            name,
            child,
            stdout: BufReader::with_capacity(1024 * 1024, stdout),
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads lines until this many contained the text; returns the last of them.
    pub(super) fn until(&mut self, text: &str, times: usize) -> Result<String, Error> {
        let mut seen = 0;
        let mut line = String::new();
        while seen < times {
            line.clear();
            let read = self.stdout.read_line(&mut line);
            if read.doing(format!("read from {}", self.name))? == 0 {
                return Err(self.failed(&format!("it ended before it said `{text}`")));
            }
            seen += usize::from(line.contains(text));
        }
        Ok(line)
    }

    /// Reads until so many line feeds came. What it takes to count them is taken from all contenders alike.
    #[allow(clippy::naive_bytecount, reason = "no dependency for one loop")]
    pub(super) fn lines(&mut self, mut wanted: usize) -> Result<(), Error> {
        let mut chunk = vec![0; 1024 * 1024];
        while wanted > 0 {
            let read = self.stdout.read(&mut chunk);
            let read = read.doing(format!("read from {}", self.name))?;
            if read == 0 {
                return Err(self.failed(&format!("it ended with {wanted} lines missing")));
            }
            let bytes = chunk.get(..read).unwrap_or_default();
            let came = bytes.iter().filter(|byte| **byte == b'\n').count();
            wanted = wanted.saturating_sub(came);
        }
        Ok(())
    }

    fn failed(&self, problem: &str) -> Error {
        Error::Contender {
            program: self.name.clone(),
            problem: problem.to_owned(),
        }
    }

    /// Asks it to end and waits for that.
    pub(super) fn end(mut self) {
        self.ask();
        // What it still says is of no interest, but it shall not wait for a reader.
        let _ = std::io::copy(&mut self.stdout, &mut std::io::sink());
        let _ = self.child.wait();
    }

    fn ask(&self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // The group: a program that leaves its children alone shall not leave them here.
            let _ = kill(Pid::from_raw(-pid), Signal::SIGTERM);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.ask();
            let _ = self.child.wait();
        }
    }
}

/// The proportional memory (Pss, `proc_pid_smaps(5)`) of these processes together, in MB.
pub(super) fn memory(pids: impl IntoIterator<Item = u32>) -> f64 {
    let of = |pid: u32| -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().trim_end_matches("kB").trim().parse().ok()
    };
    pids.into_iter().filter_map(of).sum::<f64>() / 1024.0
}

//! One process of a test: its lines as they come, its end, and nothing of it left behind.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::lines::Lines;
use crate::wait::{Deadline, ProcessFd};

/// A process with pipes on all three of its standard streams.
#[derive(Debug)]
pub struct Process {
    child: Child,
    handle: Option<ProcessFd>,
    shown: String,
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
}

/// What a process was when it had ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its status as a shell gives it: 128 + signal for a death by signal.
    pub code: i32,
    /// All that it wrote to standard output.
    pub stdout: String,
    /// All that it wrote to standard error.
    pub stderr: String,
}

impl Process {
    /// Starts a command.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let shown = shown(&command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
        Self {
            handle: ProcessFd::open(child.id()),
            shown,
            stdin: child.stdin.take(),
            stdout: Lines::of(child.stdout.take().expect("it was piped")),
            stderr: Lines::of(child.stderr.take().expect("it was piped")),
            child,
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal. It has not been waited for, so the number is still its own.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a pid is a small number");
        kill(Pid::from_raw(pid), signal)
            .unwrap_or_else(|error| panic!("cannot send {signal} to {}: {error}", self.shown));
    }

    /// Closes its standard input.
    pub fn close_stdin(&mut self) {
        drop(self.stdin.take());
    }

    /// Writes to its standard input.
    ///
    /// # Panics
    /// If it was closed.
    pub fn write_stdin(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin.write_all(bytes).expect("standard input is read");
    }

    /// The next line on standard output.
    ///
    /// # Panics
    /// If none comes.
    pub fn next_line(&mut self) -> String {
        match self.stdout.next(Deadline::patient()) {
            Ok(line) => line,
            Err(error) => self.fail(&format!("no further line on standard output ({error})")),
        }
    }

    /// The next line on standard output, as JSON.
    ///
    /// # Panics
    /// If none comes or it is not JSON.
    pub fn next_json(&mut self) -> Value {
        let line = self.next_line();
        match serde_json::from_str(&line) {
            Ok(value) => value,
            Err(error) => self.fail(&format!("this line is not JSON ({error}): {line}")),
        }
    }

    /// The first line on standard output, which has to be the event `ready`.
    ///
    /// # Panics
    /// If it is something else.
    pub fn ready(&mut self) -> Value {
        let first = self.next_json();
        if first["event"] != "ready" {
            self.fail(&format!("the first line is not the event `ready`: {first}"));
        }
        first
    }

    /// The next event on standard output that fits, others being passed over; `what` names it for the failure.
    ///
    /// # Panics
    /// If none comes.
    pub fn event_where(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Deadline::patient();
        loop {
            let line = match self.stdout.next(deadline) {
                Ok(line) => line,
                Err(error) => self.fail(&format!("no event came that is {what} ({error})")),
            };
            match serde_json::from_str(&line) {
                Ok(event) if fits(&event) => return event,
                Ok(_) => {}
                Err(error) => self.fail(&format!("this line is not JSON ({error}): {line}")),
            }
        }
    }

    /// The next event of that name on standard output, others being passed over.
    ///
    /// # Panics
    /// If none comes.
    pub fn event(&mut self, name: &str) -> Value {
        self.event_where(&format!("`{name}`"), |event| event["event"] == name)
    }

    /// The next line on standard output that contains the text, others being passed over.
    ///
    /// # Panics
    /// If none comes.
    pub fn line_with(&mut self, text: &str) -> String {
        let deadline = Deadline::patient();
        loop {
            match self.stdout.next(deadline) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(error) => self.fail(&format!(
                    "no line with `{text}` on standard output ({error})"
                )),
            }
        }
    }

    /// The next line on standard error that contains the text, others being passed over.
    ///
    /// # Panics
    /// If none comes.
    pub fn error_line_with(&mut self, text: &str) -> String {
        let deadline = Deadline::patient();
        loop {
            match self.stderr.next(deadline) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(error) => self.fail(&format!(
                    "no line with `{text}` on standard error ({error})"
                )),
            }
        }
    }

    /// Waits for its end and returns its status as a shell gives it.
    ///
    /// # Panics
    /// If it does not end.
    pub fn wait(&mut self) -> i32 {
        self.wait_until(Deadline::patient())
    }

    /// The same, where the end has to come within a time.
    ///
    /// # Panics
    /// If it does not end by then.
    pub fn wait_within(&mut self, span: Duration) -> i32 {
        self.wait_until(Deadline::within(span))
    }

    fn wait_until(&mut self, deadline: Deadline) -> i32 {
        let ended = self
            .handle
            .as_ref()
            .is_none_or(|handle| handle.wait(deadline));
        if !ended {
            self.fail("it does not end");
        }
        code(self.child.wait().expect("a child can be waited for"))
    }

    /// Closes its standard input, waits for its end and for all that it wrote.
    ///
    /// # Panics
    /// If it does not end, or if something else keeps its streams open.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        self.close_stdin();
        self.finish_open()
    }

    /// The same, with standard input left open until the end.
    ///
    /// # Panics
    /// If it does not end, or if something else keeps its streams open.
    #[must_use]
    pub fn finish_open(mut self) -> Finished {
        let code = self.wait();
        let deadline = Deadline::patient();
        let (Ok(stdout), Ok(stderr)) = (self.stdout.all(deadline), self.stderr.all(deadline))
        else {
            self.fail("it has ended, but its output has not: somebody else holds the pipe");
        };
        Finished {
            code,
            stdout,
            stderr,
        }
    }

    /// Everything that it wrote, for a failure.
    #[must_use]
    pub fn transcript(&mut self) -> String {
        let mut text = format!("{} (pid {})\n", self.shown, self.child.id());
        let _ = write!(text, "--- standard output\n{}", self.stdout.text());
        let _ = write!(text, "--- standard error\n{}---", self.stderr.text());
        text
    }

    /// Fails the test with everything that this process wrote.
    ///
    /// # Panics
    /// Always.
    pub fn fail(&mut self, why: &str) -> ! {
        let transcript = self.transcript();
        panic!("{why}\n{transcript}")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What it started itself is ended with its world.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// Checks the status.
    ///
    /// # Panics
    /// With all that was written, if it is another one.
    #[must_use]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "\n--- standard output\n{}--- standard error\n{}---",
            self.stdout, self.stderr
        );
        self
    }
}

/// A status as a shell gives it.
fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .expect("a process that has ended has a status")
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(std::ffi::OsStr::to_string_lossy));
    words.join(" ")
}

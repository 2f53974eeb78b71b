//! COMMAND as a process, from its start until nothing of it is left.
//!
//! It leads a process group of its own, and on Linux what runs away from that group comes to us, since we are a subreaper. When
//! it ends by itself, what it left in its group ends too; what it put into a session of its own (a build daemon) goes on.
//! When it is stopped, all of it ends.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use monday_shared::platform::inherited::{Inherited, nobody_to_wait_for};
use monday_shared::platform::process_tree::{
    Process as Relative, Roots, Table, kill_round, signal_group,
};
use monday_shared::platform::{die_with_parent, unblock_signals};
use monday_shared::protocol::run::Exit;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

/// How long what COMMAND leaves behind may take when it is asked to end.
const REST_GRACE: Duration = Duration::from_secs(1);

/// The pause between two rounds of killing grows from this …
const FIRST_KILL_PAUSE: Duration = Duration::from_millis(5);

/// … to this.
const LONGEST_KILL_PAUSE: Duration = Duration::from_millis(100);

/// A process that did not die of KILL in this time hangs in the kernel and is given up.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// No stop takes longer; it keeps an endless time-out from being added to a clock that ends before.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);

/// COMMAND while something of it is left.
#[derive(Debug)]
pub(super) struct Process {
    leader: u32,
    exit: Option<Exit>,
    stage: Stage,
    /// Whether everything below us is to end, and not only its group.
    wholly: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Running,
    /// It was asked to end and has until then.
    Asked {
        deadline: Instant,
        rest_asked: bool,
    },
    Killing {
        since: Instant,
        next: Instant,
        pause: Duration,
    },
}

/// How COMMAND is started.
#[derive(Clone, Debug)]
pub(super) struct Start<'a> {
    /// The program and its arguments.
    pub(super) words: &'a [OsString],
    /// What it finds in its environment; `None` takes a variable away.
    pub(super) env: Vec<(&'static str, Option<String>)>,
    /// Whether its output comes to us, and not where ours goes.
    pub(super) captured: bool,
}

/// The ends of the pipes that COMMAND writes into.
#[derive(Debug)]
pub(super) struct Captured {
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

impl Process {
    /// Starts COMMAND. To be called from a thread that lives as long as the process: on Linux the end of that thread kills
    /// COMMAND.
    ///
    /// # Errors
    /// What fork(2) and exec(3) say.
    pub(super) fn start(start: &Start<'_>) -> io::Result<(Self, Option<Captured>)> {
        let (program, arguments) = start
            .words
            .split_first()
            .ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .process_group(0)
            // This was about our readiness, not about the command's.
            .env_remove("NOTIFY_SOCKET");
        for (name, value) in &start.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut captured = None;
        if start.captured {
            let (stdout, stdout_writer) = io::pipe()?;
            let (stderr, stderr_writer) = io::pipe()?;
            command.stdout(stdout_writer).stderr(stderr_writer);
            captured = Some(Captured {
                stdout: stdout.into(),
                stderr: stderr.into(),
            });
        }
        unblock_signals(&mut command);
        die_with_parent(&mut command, Signal::SIGKILL);
        let child = command.spawn()?;
        let process = Self {
            leader: child.id(),
            exit: None,
            stage: Stage::Running,
            wholly: false,
        };
        // It is waited for by number, with all that comes to us.
        Ok((process, captured))
    }

    /// The process number of COMMAND itself.
    pub(super) fn leader(&self) -> u32 {
        self.leader
    }

    /// Sends a signal to its group.
    pub(super) fn signal(&self, signal: Signal) {
        // As long as it was not waited for, its number names it and its group and nothing else.
        if self.exit.is_none()
            && let Err(error) = signal_group(self.leader, signal)
        {
            tracing::warn!(%error, "{signal} cannot be sent to COMMAND");
        }
    }

    /// Asks all of it to end, and kills it when it has not after that time. A second call can only shorten the time.
    pub(super) fn stop(&mut self, signal: Signal, timeout: Duration, now: Instant) {
        self.wholly = true;
        let until = now + timeout.min(LONGEST_TIMEOUT);
        match &mut self.stage {
            Stage::Killing { .. } => {}
            Stage::Asked { deadline, .. } => {
                *deadline = until.min(*deadline);
                self.signal(signal);
            }
            Stage::Running => {
                self.signal(signal);
                self.stage = Stage::Asked {
                    deadline: until,
                    rest_asked: false,
                };
            }
        }
    }

    /// When [`go_on`](Self::go_on) is to be called although no child ended.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        match self.stage {
            Stage::Running => None,
            Stage::Asked { deadline, .. } => Some(deadline),
            Stage::Killing { next, .. } => Some(next),
        }
    }

    /// Does what is to be done now. Returns how COMMAND ended, once nothing of it is left.
    /// Those who were `inherited` are not COMMAND's.
    pub(super) fn go_on(&mut self, now: Instant, inherited: &mut Inherited) -> Option<Exit> {
        self.reap(inherited);
        let rest = self.rest(inherited);
        if let Some(exit) = self.exit
            && rest.is_empty()
        {
            return Some(exit);
        }
        match &mut self.stage {
            Stage::Running => {
                if self.exit.is_some() {
                    self.stage = Stage::Asked {
                        deadline: now + REST_GRACE,
                        rest_asked: true,
                    };
                    ask(&rest);
                }
                None
            }
            Stage::Asked {
                deadline,
                rest_asked,
            } => {
                if self.exit.is_some() && !*rest_asked {
                    *rest_asked = true;
                    *deadline = (*deadline).min(now + REST_GRACE);
                    ask(&rest);
                }
                if now < *deadline {
                    return None;
                }
                self.stage = Stage::Killing {
                    since: now,
                    next: now + FIRST_KILL_PAUSE,
                    pause: FIRST_KILL_PAUSE,
                };
                self.kill(&rest);
                None
            }
            Stage::Killing { since, next, pause } => {
                if now >= *since + KILL_PATIENCE {
                    tracing::error!("{} processes of COMMAND cannot be ended", rest.len());
                    return Some(self.exit.unwrap_or(Exit::Signal(Signal::SIGKILL as i32)));
                }
                if now >= *next {
                    *pause = (*pause * 2).min(LONGEST_KILL_PAUSE);
                    *next = now + *pause;
                    self.kill(&rest);
                }
                None
            }
        }
    }

    /// Waits for every child that has ended.
    fn reap(&mut self, inherited: &mut Inherited) {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            let (pid, exit) = match status {
                WaitStatus::Exited(pid, code) => (pid, Exit::Code(code)),
                WaitStatus::Signaled(pid, signal, _) => (pid, Exit::Signal(signal as i32)),
                WaitStatus::StillAlive => return,
                _ => continue,
            };
            let pid = pid.as_raw().unsigned_abs();
            inherited.ended(pid);
            if pid == self.leader {
                self.exit = Some(exit);
            }
        }
    }

    /// Who is to end besides COMMAND itself.
    fn rest(&self, inherited: &Inherited) -> Vec<Relative> {
        if self.exit.is_none() && matches!(self.stage, Stage::Running) {
            // Nobody has to look as long as nothing is to end.
            return Vec::new();
        }
        if cfg!(target_os = "linux") && self.exit.is_some() && nobody_to_wait_for() {
            // Everybody who is left of COMMAND has come to us, or will when its parent ends, who then is left too.
            return Vec::new();
        }
        let own = [std::process::id()];
        let groups = [self.leader];
        let table = match Table::read() {
            Ok(table) => table,
            Err(error) => {
                tracing::warn!(%error, "what COMMAND has left behind cannot be looked for");
                return Vec::new();
            }
        };
        let mut rest = table.family(Roots {
            parents: if self.wholly { &own } else { &[] },
            groups: &groups,
            except: inherited.pids(),
        });
        rest.retain(|process| process.id.pid != self.leader || self.exit.is_none());
        rest
    }

    fn kill(&self, rest: &[Relative]) {
        self.signal(Signal::SIGKILL);
        // Whoever is denied is met again, and given up in the end.
        let _ = kill_round(rest);
    }
}

fn ask(rest: &[Relative]) {
    for process in rest {
        // Who is gone needs no signal; who is suspended could not follow it.
        let _ = process.id.send(Signal::SIGTERM);
        let _ = process.id.send(Signal::SIGCONT);
    }
}

/// The status as the system gives it.
pub(super) fn status_of(exit: Exit) -> ExitStatus {
    ExitStatus::from_raw(match exit {
        Exit::Code(code) => (code & 0xff) << 8,
        Exit::Signal(signal) => signal,
    })
}

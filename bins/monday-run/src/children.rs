//! All processes below us: we start one, adopt what it leaves behind, notice every end, and end what is left.
//!
//! On Linux we are a subreaper: an orphaned descendant becomes our child. So two questions have exact answers that no
//! list of processes could give, for a list is old when it is read: *who ended* (wait for any child, so that nothing
//! stays a zombie) and *is anybody left* (there is no child to wait for). This module is therefore the only one of
//! the process that may wait for children.
//!
//! Elsewhere orphans are not given to us; the groups that we began are then all that can be looked through.

use std::collections::HashMap;
use std::io;

use monday_shared::platform;
use monday_shared::platform::inherited::{Inherited, nobody_to_wait_for};
use monday_shared::platform::private_hosts::Kept;
use monday_shared::platform::process_tree::{
    self, Process, Roots, Sent, Table, kill_round, signal_group,
};
use monday_shared::protocol::run::Exit;
use nix::sys::signal::Signal;
use rustix::process::{WaitOptions, WaitStatus, wait};
use tokio::sync::oneshot;

use crate::spawn::{Output, SpawnError, Spawned, Surroundings, spawn};
use crate::spec::CheckedSpec;

/// Whether everything below us comes to be our child at last.
const ORPHANS_COME_TO_US: bool = cfg!(target_os = "linux");

/// The processes below us.
#[derive(Debug)]
pub(crate) struct Children {
    own_pid: u32,
    /// They are not the command's.
    inherited: Inherited,
    /// The command, from its start until its end was noticed: as long as this holds, its number names it and its
    /// group and nothing else.
    leader: Option<u32>,
    /// The group of the last command, which may outlive it.
    group: Option<u32>,
    /// When the group was asked to end, in the unit of process start times.
    group_asked: Option<u64>,
    /// Only the command's group is ended; what else it started lives on.
    group_only: bool,
    /// What keeps the hosts file of the command, and of what it has started, in its place.
    hosts: Option<Kept>,
    /// Programs that run beside the command, by number.
    helpers: HashMap<u32, Beside>,
}

/// A program that runs beside the command.
#[derive(Debug)]
struct Beside {
    /// Who waits for its end.
    ended: oneshot::Sender<Exit>,
    /// What keeps its hosts file in its place.
    _hosts: Option<Kept>,
}

/// What one look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Who is alive.
    pub(crate) alive: Vec<Process>,
    /// Who of them belongs to somebody else, so that no signal reaches it.
    pub(crate) denied: Vec<Process>,
}

/// A child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its number.
    pub(crate) pid: u32,
    /// How.
    pub(crate) exit: Exit,
}

impl Children {
    /// Becomes the one that orphans are given to.
    ///
    /// # Errors
    /// What prctl(2) says.
    pub(crate) fn new() -> io::Result<Self> {
        let inherited = Inherited::now()?;
        platform::become_subreaper()?;
        Ok(Self {
            own_pid: std::process::id(),
            inherited,
            leader: None,
            group: None,
            group_asked: None,
            group_only: false,
            hosts: None,
            helpers: HashMap::new(),
        })
    }

    /// Starts the command. To be called from a thread that lives as long as the process.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub(crate) fn spawn(
        &mut self,
        spec: &CheckedSpec,
        surroundings: &Surroundings,
    ) -> Result<Spawned, SpawnError> {
        let output = if spec.pty() {
            Output::Terminal
        } else {
            Output::Pipes
        };
        let mut spawned = spawn(spec, surroundings, output)?;
        self.hosts = spawned.hosts.take();
        self.leader = Some(spawned.pid);
        self.group = Some(spawned.pid);
        self.group_asked = None;
        self.group_only = spec.keep_children();
        Ok(spawned)
    }

    /// Starts a program beside the command, which is none of its family, and returns how it ends. To be called from
    /// a thread that lives as long as the process.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub(crate) fn spawn_helper(
        &mut self,
        spec: &CheckedSpec,
        surroundings: &Surroundings,
        output: Output,
    ) -> Result<(Spawned, oneshot::Receiver<Exit>), SpawnError> {
        let mut spawned = spawn(spec, surroundings, output)?;
        let (ended, exit) = oneshot::channel();
        let beside = Beside {
            ended,
            _hosts: spawned.hosts.take(),
        };
        self.helpers.insert(spawned.pid, beside);
        Ok((spawned, exit))
    }

    /// Kills a helper with its group, if it is alive. What it left behind counts as the command's.
    pub(crate) fn kill_helper(&self, pid: u32) {
        if self.helpers.contains_key(&pid) {
            // It was not waited for, so the number is its own, and KILL does not fail for one's own child.
            let _ = signal_group(pid, Signal::SIGKILL);
        }
    }

    /// Notices every child that ended. To be called whenever SIGCHLD came.
    pub(crate) fn reap(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let pid = pid.as_raw_nonzero().get().unsigned_abs();
                    let Some(exit) = exit(status) else { continue };
                    if let Some(helper) = self.helpers.remove(&pid) {
                        // Nobody may want to know any more.
                        let _ = helper.ended.send(exit);
                    }
                    if self.leader == Some(pid) {
                        self.leader = None;
                    }
                    self.inherited.ended(pid);
                    ended.push(Ended { pid, exit });
                }
                Err(rustix::io::Errno::INTR) => {}
                // Nobody else ended, or nobody else is there.
                Ok(None) | Err(_) => return ended,
            }
        }
    }

    /// Whether programs run beside the command.
    pub(crate) fn has_helpers(&self) -> bool {
        !self.helpers.is_empty()
    }

    /// The command has ended, and what it left behind in its group lives on too.
    pub(crate) fn keep_group(&mut self) {
        self.group = None;
    }

    /// Who is left of the command and of all that it ever started.
    pub(crate) fn left(&self) -> Left {
        let others = self.helpers.len() + self.inherited.pids().len();
        let alone = self.leader.is_none() && others == 0;
        if ORPHANS_COME_TO_US && alone && nobody_to_wait_for() {
            return Left::default();
        }
        let groups: Vec<u32> = self.group.into_iter().collect();
        let except: Vec<u32> = self
            .helpers
            .keys()
            .chain(self.inherited.pids())
            .copied()
            .collect();
        let family = Table::read().map(|table| {
            let mut family = table.family(Roots {
                parents: &[self.own_pid],
                // With orphans coming to us the group adds nobody, and its number may be somebody else's by now.
                groups: if ORPHANS_COME_TO_US { &[] } else { &groups },
                except: &except,
            });
            if self.group_only {
                family.retain(|process| self.is_of_group(process));
            }
            family
        });
        match family {
            Ok(alive) => Left {
                alive,
                denied: Vec::new(),
            },
            Err(error) => {
                tracing::warn!(%error, "cannot list processes; only the command's own group can be ended");
                Left::default()
            }
        }
    }

    /// Sends the signal to the command's group.
    ///
    /// # Errors
    /// What kill(2) says.
    pub(crate) fn signal_group(&self, signal: Signal) -> io::Result<Sent> {
        let Some(leader) = self.leader else {
            return Ok(Sent::Gone);
        };
        signal_group(leader, signal)
    }

    /// Asks the command's group to end, and wakes up who is suspended in it, so that it can follow.
    ///
    /// # Errors
    /// What kill(2) says.
    pub(crate) fn ask_group(&mut self, signal: Signal) -> io::Result<Sent> {
        // Before the signal, so that nobody who came too late for it is taken for one who got it.
        self.group_asked = process_tree::now();
        let asked = self.signal_group(signal)?;
        self.signal_group(Signal::SIGCONT)?;
        Ok(asked)
    }

    /// Asks everybody who is left to end, other than members of the group who were asked with it: a second signal means
    /// "at once" to many programs.
    pub(crate) fn ask_rest(&self, signal: Signal) {
        for process in self.left().alive {
            if !self.was_asked(&process) {
                // Who is gone needs no signal, and who is somebody else's is met again when it is to be killed.
                let _ = process.id.send(signal);
                let _ = process.id.send(Signal::SIGCONT);
            }
        }
    }

    /// Whether the process was asked with its group. One that was born at about that time may not have been: it came
    /// too late, or had still its parent's signal handlers, which forgot about it.
    fn was_asked(&self, process: &Process) -> bool {
        self.is_of_group(process)
            && self
                .group_asked
                .is_some_and(|asked| process.id.started + process_tree::tenth_of_a_second() < asked)
    }

    /// Kills everybody who is left, once. What was forked meanwhile is for the next time.
    pub(crate) fn kill(&self) -> Left {
        if let Some(leader) = self.leader {
            // The whole group in one piece; what fails here is met again below.
            let _ = signal_group(leader, Signal::SIGKILL);
        }
        let Left { alive, .. } = self.left();
        let denied = kill_round(&alive);
        Left { alive, denied }
    }

    /// Whether the process is of the command's group.
    pub(crate) fn is_of_group(&self, process: &Process) -> bool {
        Some(process.group) == self.group
    }
}

fn exit(status: WaitStatus) -> Option<Exit> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Some(Exit::Code(code)),
        (None, Some(signal)) => Some(Exit::Signal(signal)),
        (None, None) => None,
    }
}

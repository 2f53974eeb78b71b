//! Who descends from whom, and how to signal a process without ever hitting another one that got its number.
//!
//! A process number is used again after its process is gone. So a process is named by an [`Identity`], number and
//! start time, and [`Identity::send`] reaches that process or none. What is read here is a picture that is old the
//! moment it is taken: a process may fork while it is being looked for. Whoever wants a tree to be gone takes a new
//! picture and kills what it shows until it shows nothing ([`kill_round`]).
//!
//! On Linux a subreaper ([`become_subreaper`](super::become_subreaper)) keeps every descendant below itself, also those that double-forked
//! or called setsid. Elsewhere orphans go to the system's first process; the group is then all that ties them to us.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::io;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgrp};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as system;

#[cfg(any(not(target_os = "linux"), test))]
mod other;
#[cfg(not(target_os = "linux"))]
use other as system;

/// One process for all time, not only as long as its number is not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The process number.
    pub pid: u32,
    /// When it started, in a unit of the system's own (clock ticks since boot on Linux): only good for comparing.
    pub started: u64,
}

/// What a picture of the system says about one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Which one it is.
    pub id: Identity,
    /// The number of its parent.
    pub parent: u32,
    /// The number of its process group.
    pub group: u32,
    /// The number of its session; 0 where the system does not tell.
    pub session: u32,
    /// It has ended and only waits for its parent to notice.
    pub zombie: bool,
    /// The name of its program, shortened to what the system keeps (15 bytes on Linux).
    pub name: String,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id.pid, self.name)
    }
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was delivered.
    Delivered,
    /// The process is gone.
    Gone,
    /// The process belongs to somebody else.
    Denied,
}

impl Identity {
    /// The process that has this number now, if one has.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        system::identity(pid)
    }

    /// Whether this process is still there (a zombie is).
    #[must_use]
    pub fn exists(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends the signal to exactly this process.
    ///
    /// # Errors
    /// What the system says, other than that the process is gone or somebody else's.
    pub fn send(self, signal: Signal) -> io::Result<Sent> {
        sent(system::send(self, signal))
    }
}

/// Whether exactly this process was started with a variable of that name and such a value in its environment. `false`
/// where that cannot be known, as for processes of other users.
#[must_use]
pub fn environment_has(id: Identity, name: &str, is_such: impl Fn(&str) -> bool) -> bool {
    let environment = system::environment(id.pid);
    let has = environment.split(|&byte| byte == 0).any(|variable| {
        std::str::from_utf8(variable)
            .ok()
            .and_then(|variable| variable.strip_prefix(name)?.strip_prefix('='))
            .is_some_and(&is_such)
    });
    // Looked at after: the number may have become another's between the picture and the reading.
    has && id.exists()
}

/// This moment in the unit of [`Identity::started`], where that unit can be told.
#[must_use]
pub fn now() -> Option<u64> {
    system::now()
}

/// A tenth of a second in the unit of [`Identity::started`].
#[must_use]
pub fn tenth_of_a_second() -> u64 {
    system::ticks_per_second() / 10
}

/// Turns the errors that are answers into answers.
fn sent(outcome: Result<(), Errno>) -> io::Result<Sent> {
    match outcome {
        Ok(()) => Ok(Sent::Delivered),
        Err(Errno::ESRCH) => Ok(Sent::Gone),
        Err(Errno::EPERM) => Ok(Sent::Denied),
        Err(errno) => Err(errno.into()),
    }
}

/// Where a family begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Roots<'a> {
    /// The descendants of these processes, themselves not included.
    pub parents: &'a [u32],
    /// The members of these groups and sessions and their descendants.
    pub groups: &'a [u32],
    /// Not these and nothing below them.
    pub except: &'a [u32],
}

/// A picture of all processes of the system.
#[derive(Clone, Debug, Default)]
pub struct Table(Vec<Process>);

impl Table {
    /// Takes the picture.
    ///
    /// # Errors
    /// The list of processes cannot be read. Processes that vanish meanwhile are no error.
    pub fn read() -> io::Result<Self> {
        system::processes().map(Self)
    }

    /// A picture from somewhere else, for tests.
    #[must_use]
    pub fn from_processes(processes: Vec<Process>) -> Self {
        Self(processes)
    }

    /// Every living process that is meant.
    #[must_use]
    pub fn living(&self, is_meant: impl Fn(&Process) -> bool) -> Vec<Process> {
        let living = self.0.iter().filter(|process| !process.zombie);
        living
            .filter(|process| is_meant(process))
            .cloned()
            .collect()
    }

    /// The children of `parent` that have ended and wait for it to notice, without those of `except`: what an adopting
    /// parent has to wait for by number, so that it does not take the ends of its own children from whoever waits for
    /// those.
    #[must_use]
    pub fn ended_children(&self, parent: u32, except: &[u32]) -> Vec<u32> {
        self.0
            .iter()
            .filter(|p| p.zombie && p.parent == parent && !except.contains(&p.id.pid))
            .map(|p| p.id.pid)
            .collect()
    }

    /// Every living process that belongs to the roots. Zombies are left out: there is nothing left to do to them.
    #[must_use]
    pub fn family(&self, roots: Roots<'_>) -> Vec<Process> {
        let mut children: HashMap<u32, Vec<&Process>> = HashMap::new();
        for process in &self.0 {
            children.entry(process.parent).or_default().push(process);
        }
        let excepted: HashSet<u32> = roots.except.iter().copied().collect();
        let mut found: HashSet<u32> = roots.parents.iter().copied().collect();
        let mut members = Vec::new();
        let of_group = self
            .0
            .iter()
            .filter(|p| roots.groups.contains(&p.group) || roots.groups.contains(&p.session));
        let of_parents = roots.parents.iter().filter_map(|pid| children.get(pid));
        let mut queue: VecDeque<&Process> = of_group.chain(of_parents.flatten().copied()).collect();
        while let Some(process) = queue.pop_front() {
            let pid = process.id.pid;
            if excepted.contains(&pid) || !found.insert(pid) {
                continue;
            }
            if !process.zombie {
                members.push(process.clone());
            }
            queue.extend(children.get(&pid).into_iter().flatten());
        }
        members
    }
}

/// Kills these processes once, whole groups first: a group dies in one piece, so none of its members can fork a way
/// out between two kills. Returns those that belong to somebody else. What was forked meanwhile is for the next round.
///
/// Groups that the calling process belongs to are never signalled as a group.
#[must_use = "whoever is denied will not end"]
pub fn kill_round(processes: &[Process]) -> Vec<Process> {
    let own_group = u32::try_from(getpgrp().as_raw()).unwrap_or(0);
    let mut groups = HashSet::new();
    for process in processes {
        // 0 would mean our own group and 1 everybody. The member proves that the group is still the one it was.
        let foreign = process.group > 1 && process.group != own_group;
        if foreign && groups.insert(process.group) && process.id.exists() {
            // Whatever fails here is met again below, process by process.
            let _ = signal_group(process.group, Signal::SIGKILL);
        }
    }
    processes
        .iter()
        .filter(|process| matches!(process.id.send(Signal::SIGKILL), Ok(Sent::Denied)))
        .cloned()
        .collect()
}

/// Sends the signal to a whole process group. The caller knows that the group is the one it means: it holds a member
/// as a child that it has not waited for, or has just seen one.
///
/// # Errors
/// What the system says, other than that the group is gone or somebody else's.
pub fn signal_group(group: u32, signal: Signal) -> io::Result<Sent> {
    match i32::try_from(group) {
        Ok(group) if group > 1 => sent(killpg(Pid::from_raw(group), signal)),
        // No process group that is meant here has such a number.
        _ => Ok(Sent::Gone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, group: u32) -> Process {
        Process {
            id: Identity { pid, started: 1 },
            parent,
            group,
            session: group,
            zombie: false,
            name: "x".to_owned(),
        }
    }

    fn pids(members: &[Process]) -> Vec<u32> {
        let mut pids: Vec<u32> = members.iter().map(|p| p.id.pid).collect();
        pids.sort_unstable();
        pids
    }

    #[test]
    fn a_family_is_every_descendant_and_every_member_of_the_group() {
        let table = Table::from_processes(vec![
            process(10, 1, 10),
            process(11, 10, 10),
            process(20, 11, 20),
            process(21, 20, 21),
            process(30, 1, 11),
            process(31, 30, 31),
            process(40, 1, 40),
        ]);
        let family = table.family(Roots {
            parents: &[10],
            groups: &[11],
            except: &[],
        });
        assert_eq!(pids(&family), [11, 20, 21, 30, 31]);
    }

    #[test]
    fn what_is_excepted_is_left_out_with_everything_below_it() {
        let table = Table::from_processes(vec![
            process(11, 10, 11),
            process(12, 10, 12),
            process(13, 12, 12),
        ]);
        let family = table.family(Roots {
            parents: &[10],
            groups: &[12],
            except: &[12],
        });
        // 13 is of the excepted one's group but asked for by group: it is found that way.
        assert_eq!(pids(&family), [11, 13]);
        let family = table.family(Roots {
            parents: &[10],
            groups: &[],
            except: &[12],
        });
        assert_eq!(pids(&family), [11]);
    }

    #[test]
    fn a_zombie_is_no_member_but_what_is_below_it_is() {
        let mut zombie = process(11, 10, 11);
        zombie.zombie = true;
        let table = Table::from_processes(vec![zombie, process(12, 11, 11)]);
        let family = table.family(Roots {
            parents: &[10],
            ..Roots::default()
        });
        assert_eq!(pids(&family), [12]);
        assert_eq!(table.ended_children(10, &[]), [11]);
        assert!(table.ended_children(10, &[11]).is_empty());
    }

    #[test]
    fn a_circle_of_parents_ends() {
        let table = Table::from_processes(vec![process(11, 12, 11), process(12, 11, 11)]);
        let family = table.family(Roots {
            parents: &[11],
            ..Roots::default()
        });
        assert_eq!(pids(&family), [12]);
    }

    #[test]
    fn this_process_is_in_the_picture_and_has_an_identity() {
        let own = std::process::id();
        let table = Table::read().unwrap();
        let seen = table.0.iter().find(|p| p.id.pid == own).unwrap();
        assert_eq!(Identity::of(own), Some(seen.id));
        assert!(seen.id.exists());
        assert!(!seen.zombie);
    }

    #[test]
    fn a_process_with_the_same_number_and_another_start_is_never_signalled() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let id = Identity::of(child.id()).unwrap();
        let other = Identity {
            started: id.started + 1,
            ..id
        };
        assert_eq!(other.send(Signal::SIGKILL).unwrap(), Sent::Gone);
        assert!(child.try_wait().unwrap().is_none());
        assert_eq!(id.send(Signal::SIGKILL).unwrap(), Sent::Delivered);
        assert!(!child.wait().unwrap().success());
        assert!(!id.exists());
    }

    #[test]
    fn a_process_started_between_before_and_after() {
        let before = now().unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let started = Identity::of(child.id()).unwrap().started;
        let after = now().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!((before..=after).contains(&started));
        assert!(tenth_of_a_second() > 0);
    }

    #[test]
    fn a_round_of_killing_ends_what_it_is_given_and_nothing_of_our_own_group() {
        // The child is of this very process's group: killing that as a group would end the test.
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let table = Table::read().unwrap();
        let members: Vec<Process> = table
            .family(Roots {
                parents: &[std::process::id()],
                ..Roots::default()
            })
            .into_iter()
            .filter(|p| p.id.pid == child.id())
            .collect();
        assert_eq!(members.len(), 1);
        assert!(kill_round(&members).is_empty());
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn the_groups_zero_and_one_are_never_signalled() {
        for group in [0, 1, u32::MAX] {
            assert_eq!(signal_group(group, Signal::SIGKILL).unwrap(), Sent::Gone);
        }
    }
}

//! Our children: the sidecars, and the strays that a dead monday-run leaves to us because we are a subreaper.
//!
//! Every child that was not started through here is a stray, and a stray is ended with everything below it. That
//! includes what COMMAND leaves behind when it daemonises something: it ends with the project at the latest.

use std::collections::HashSet;
use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use monday_shared::platform::process_tree::{Process, Roots, Table, environment_has, kill_round};
use monday_shared::protocol::fwd::WATCHER_VARIABLE;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// Whose children are whose. Clones are the same nursery.
#[derive(Clone, Debug, Default)]
pub struct Nursery {
    /// Held while a child is made or strays are looked for: a sidecar must never be seen between its fork and its
    /// entry here.
    sidecars: Arc<Mutex<HashSet<u32>>>,
}

/// A sidecar's place in the nursery; dropping it gives the place up. To be dropped after the child was waited for.
#[derive(Debug)]
pub struct Place {
    nursery: Nursery,
    pid: u32,
}

impl Nursery {
    /// Starts a sidecar, or COMMAND, and enters it. Needs a runtime.
    ///
    /// # Errors
    /// What fork(2) and exec(3) say.
    pub fn spawn(&self, command: Command) -> io::Result<(tokio::process::Child, Place)> {
        let mut sidecars = self.sidecars.lock().unwrap_or_else(PoisonError::into_inner);
        let child = tokio::process::Command::from(command).spawn()?;
        // There is a pid as long as the child was not waited for.
        let pid = child.id().unwrap_or_default();
        sidecars.insert(pid);
        let place = Place {
            nursery: self.clone(),
            pid,
        };
        Ok((child, place))
    }

    /// Ends all strays and returns how many there were. Returns when none is left.
    pub async fn end_strays(&self) -> usize {
        let mut ended = 0;
        loop {
            let nursery = self.clone();
            // Waiting for a killed process is short, but it blocks.
            let round = tokio::task::spawn_blocking(move || nursery.end_strays_once()).await;
            match round {
                Ok(Ok(0)) | Err(_) => return ended,
                Ok(Ok(round)) => ended += round,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "left-over processes cannot be looked for");
                    return ended;
                }
            }
        }
    }

    /// One round: what it kills may have forked meanwhile, or may leave us its own children.
    fn end_strays_once(&self) -> io::Result<usize> {
        let sidecars = self.sidecars.lock().unwrap_or_else(PoisonError::into_inner);
        let mut except: Vec<u32> = sidecars.iter().copied().collect();
        let own = std::process::id();
        let table = Table::read()?;
        // It puts back what a killed monday-fwd has changed in clusters, and ends when that is done.
        let puts_back = |child: &Process| environment_has(child.id, WATCHER_VARIABLE, |_| true);
        let watchers = table.living(|child| child.parent == own && puts_back(child));
        except.extend(watchers.iter().map(|watcher| watcher.id.pid));
        // What has ended already, and was given to us by whoever died: nobody else waits for it.
        for pid in table.ended_children(own, &except) {
            if let Ok(pid) = i32::try_from(pid) {
                let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
            }
        }
        let strays = table.family(Roots {
            parents: &[own],
            groups: &[],
            except: &except,
        });
        let untouchable = kill_round(&strays);
        // Waited for outside the lock: nothing else waits for these, so their numbers stay theirs.
        drop(sidecars);
        let ours = |stray: &&Process| stray.parent == own && !untouchable.contains(stray);
        for stray in strays.iter().filter(ours) {
            if let Ok(pid) = i32::try_from(stray.id.pid) {
                // An error means that it is gone already.
                let _ = waitpid(Pid::from_raw(pid), None);
            }
        }
        Ok(strays.len() - untouchable.len())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sidecars = self
            .nursery
            .sidecars
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        sidecars.remove(&self.pid);
    }
}

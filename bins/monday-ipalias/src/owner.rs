//! Who owns a block or a lease: a process that can still be recognised after its pid was given to another.

use std::fmt;
use std::hash::Hasher as _;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use monday_shared::socket::runtime_dir::Fnv;
use serde::{Deserialize, Serialize};

use crate::platform;

/// A process, told apart from every other one that ever has its pid: by when it started and in which boot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// Its pid.
    pub pid: u32,
    /// When it started, in the operating system's own unit; 0 where that cannot be found out.
    pub started: u64,
    /// Which boot of the machine that was; `-` where that cannot be found out.
    pub boot: String,
}

impl Owner {
    /// This process.
    #[must_use]
    pub fn this_process() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            started: platform::process_start(pid).unwrap_or(0),
            boot: platform::boot_id().unwrap_or_else(|| "-".to_owned()),
        }
    }

    /// Whether it still runs. In doubt it does: what belongs to a living process must not be taken away.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        if self.boot != "-" && platform::boot_id().is_some_and(|boot| boot != self.boot) {
            return false;
        }
        if !platform::process_exists(self.pid) {
            return false;
        }
        let started = platform::process_start(self.pid);
        self.started == 0 || started.is_none_or(|started| started == self.started)
    }
}

/// The name of one life of one `monday-ipalias`, unlike that of any other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceId(String);

/// A text is not an instance's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an instance's name has 16 hexadecimal digits")]
pub struct NotAnInstance;

impl InstanceId {
    /// A new name.
    #[must_use]
    pub fn new(owner: &Owner) -> Self {
        // One process may hold several instances, as tests do.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut hasher = Fnv::default();
        hasher.write(owner.boot.as_bytes());
        hasher.write(&owner.started.to_le_bytes());
        hasher.write(&owner.pid.to_le_bytes());
        hasher.write(&COUNT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        Self(format!("{:016x}", hasher.finish()))
    }
}

impl FromStr for InstanceId {
    type Err = NotAnInstance;

    fn from_str(text: &str) -> Result<Self, NotAnInstance> {
        let hexadecimal = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        if text.len() == 16 && text.chars().all(hexadecimal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnInstance)
        }
    }
}

impl TryFrom<String> for InstanceId {
    type Error = NotAnInstance;

    fn try_from(text: String) -> Result<Self, NotAnInstance> {
        text.parse()
    }
}

impl From<InstanceId> for String {
    fn from(id: InstanceId) -> Self {
        id.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn this_process_lives_and_one_of_another_start_or_boot_does_not() {
        let this = Owner::this_process();
        assert!(this.is_alive());
        let earlier = Owner {
            started: this.started + 1,
            ..this.clone()
        };
        assert!(!earlier.is_alive(), "the pid was given to another process");
        let before_reboot = Owner {
            boot: "00000000-0000-0000-0000-000000000000".to_owned(),
            ..this
        };
        assert!(!before_reboot.is_alive());
    }

    #[test]
    fn a_killed_process_is_dead_even_before_its_parent_has_waited_for_it() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let owner = Owner {
            pid: child.id(),
            started: platform::process_start(child.id()).unwrap(),
            ..Owner::this_process()
        };
        assert!(owner.is_alive());
        child.kill().unwrap();
        // End of file tells that it is gone; nobody has waited for it yet, so it is a zombie.
        std::io::Read::read_to_end(child.stdout.as_mut().unwrap(), &mut Vec::new()).unwrap();
        while owner.is_alive() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!owner.is_alive());
    }

    #[test]
    fn instances_of_one_process_have_different_names() {
        let owner = Owner::this_process();
        let (one, two) = (InstanceId::new(&owner), InstanceId::new(&owner));
        assert_ne!(one, two);
        assert_eq!(one.to_string().parse(), Ok(one));
        assert!("../../etc/passwd".parse::<InstanceId>().is_err());
    }
}

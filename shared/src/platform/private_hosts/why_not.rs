//! Why a command cannot have a hosts file of its own, and which switch it is.

use std::io;

use nix::errno::Errno;

/// At what it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Making the namespaces.
    Unshare,
    /// Giving the user its number in the new namespace.
    Map,
    /// Keeping mounts from leaving the namespace.
    Detach,
    /// Mounting the file.
    Mount,
}

/// A failure between fork and exec. Only one number gets out of there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) stage: Stage,
    pub(super) errno: Errno,
}

/// Above every error number of the operating system (they end below 4096, as the kernel's own `IS_ERR` relies on).
const BASE: i32 = 1 << 20;
const STEP: i32 = 4096;

const STAGES: [Stage; 4] = [Stage::Unshare, Stage::Map, Stage::Detach, Stage::Mount];

impl Failure {
    /// As an error that crosses from the child to its parent. Allocates nothing.
    #[cfg(any(target_os = "linux", test))]
    pub(super) fn into_error(self) -> io::Error {
        io::Error::from_raw_os_error(BASE + self.stage as i32 * STEP + self.errno as i32)
    }

    pub(super) fn of(error: &io::Error) -> Option<Self> {
        let code = error.raw_os_error()?.checked_sub(BASE)?;
        let stage = STAGES.get(usize::try_from(code / STEP).ok()?)?;
        Some(Self {
            stage: *stage,
            errno: Errno::from_raw(code % STEP),
        })
    }
}

/// Why a command cannot have a hosts file of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    /// A switch of the kernel forbids it.
    #[error(
        "ordinary users may not make namespaces here: the switch {switch} is {value}; `sudo sysctl {switch}={allowing}` allows it"
    )]
    Switch {
        /// Its name, for sysctl(8).
        switch: &'static str,
        /// What it is set to.
        value: String,
        /// What would allow it.
        allowing: &'static str,
    },
    /// There may be namespaces, but as many as are allowed are in use.
    #[error(
        "no more namespaces can be made here: all {value} that the switch {switch} allows are in use; end what uses them, or raise it"
    )]
    Exhausted {
        /// The switch's name, for sysctl(8).
        switch: &'static str,
        /// What it is set to.
        value: String,
    },
    /// `AppArmor` lets only programs with a profile use namespaces.
    #[error(
        "AppArmor keeps programs without a profile from using namespaces here: the switch {APPARMOR} is {value}; `sudo sysctl {APPARMOR}=0` allows it to all, a profile with `userns,` to monday-run alone"
    )]
    AppArmor {
        /// What the switch is set to.
        value: String,
    },
    /// A filter of system calls, as containers have one.
    #[error(
        "a filter forbids this process to make namespaces ({errno}), as it is usual in containers; allow it there (`--security-opt seccomp=unconfined`, or a profile that allows unshare and mount)"
    )]
    Filter {
        /// What the kernel said.
        errno: Errno,
    },
    /// The kernel was built without them.
    #[error("this kernel has no user namespaces (it was built without CONFIG_USER_NS)")]
    Kernel,
    /// There is nothing to mount over.
    #[error(
        "there is no {} to put another file in the place of; create it",
        super::SYSTEM_HOSTS
    )]
    NoHostsFile,
    /// It is not Linux.
    #[error("only Linux can give a command a hosts file of its own")]
    NotLinux,
    /// Something else.
    #[error("cannot {what}: {errno}")]
    Other {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
}

const APPARMOR: &str = "kernel.apparmor_restrict_unprivileged_userns";

/// Debian's own switch, and that of kernels derived from its.
const USERNS_CLONE: &str = "kernel.unprivileged_userns_clone";

/// How many namespaces of a kind a user may have (namespaces(7)).
const LIMITS: [&str; 2] = ["user.max_user_namespaces", "user.max_mnt_namespaces"];

impl WhyNot {
    /// What the error of starting a command with [`PrivateHosts`](super::PrivateHosts) means, if it comes from there.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        Failure::of(error).map(|failure| explain(failure, &read_switch, is_filtered()))
    }
}

fn read_switch(name: &str) -> Option<String> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    let value = std::fs::read_to_string(path).ok()?;
    Some(value.trim().to_owned())
}

/// Whether a filter of system calls is on this process (`Seccomp` in /proc/self/status, proc(5)).
fn is_filtered() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        status
            .lines()
            .any(|line| line.strip_prefix("Seccomp:").map(str::trim) == Some("2"))
    })
}

/// Finds the reason behind an error number that stands for many.
fn explain(failure: Failure, switch: &dyn Fn(&str) -> Option<String>, filtered: bool) -> WhyNot {
    let Failure { stage, errno } = failure;
    let forbidden = matches!(errno, Errno::EPERM | Errno::EACCES);
    if stage == Stage::Unshare && matches!(errno, Errno::ENOSPC | Errno::EUSERS) {
        let limits = LIMITS.map(|name| (name, switch(name)));
        for (name, value) in &limits {
            if value.as_deref() == Some("0") {
                return WhyNot::Switch {
                    switch: name,
                    value: "0".to_owned(),
                    allowing: "10000",
                };
            }
        }
        // The smaller one is the one that is in the way.
        let number = |value: &Option<String>| value.as_deref().and_then(|v| v.parse::<u64>().ok());
        let smallest = limits
            .into_iter()
            .min_by_key(|(_, value)| number(value).unwrap_or(u64::MAX));
        if let Some((switch, Some(value))) = smallest {
            return WhyNot::Exhausted { switch, value };
        }
    }
    if forbidden {
        if stage == Stage::Unshare
            && let Some(value) = switch(USERNS_CLONE).filter(|value| value == "0")
        {
            return WhyNot::Switch {
                switch: USERNS_CLONE,
                value,
                allowing: "1",
            };
        }
        // It may let the namespace be made, and forbid everything in it.
        if let Some(value) = switch(APPARMOR).filter(|value| value != "0") {
            return WhyNot::AppArmor { value };
        }
        if filtered {
            return WhyNot::Filter { errno };
        }
    }
    match (stage, errno) {
        (Stage::Unshare, Errno::EINVAL | Errno::ENOSYS) => WhyNot::Kernel,
        (Stage::Mount, Errno::ENOENT) => WhyNot::NoHostsFile,
        (stage, errno) => WhyNot::Other {
            what: match stage {
                Stage::Unshare => "make a namespace (unshare)",
                Stage::Map => "keep the user's number in a new namespace (uid_map, gid_map)",
                Stage::Detach => "keep mounts within a namespace (mount --make-rslave /)",
                Stage::Mount => "mount a file over the hosts file in a namespace (mount --bind)",
            },
            errno,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(stage: Stage, errno: Errno, switches: &[(&str, &str)], filtered: bool) -> String {
        let switch = |name: &str| {
            switches
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        explain(Failure { stage, errno }, &switch, filtered).to_string()
    }

    #[test]
    fn the_switch_that_forbids_it_is_named_with_the_command_that_allows_it() {
        let closed = [
            ("user.max_user_namespaces", "0"),
            ("user.max_mnt_namespaces", "100"),
        ];
        let text = reason(Stage::Unshare, Errno::ENOSPC, &closed, false);
        assert!(
            text.contains("sudo sysctl user.max_user_namespaces=10000"),
            "{text}"
        );

        let debian = [("kernel.unprivileged_userns_clone", "0")];
        let text = reason(Stage::Unshare, Errno::EPERM, &debian, true);
        assert!(
            text.contains("sudo sysctl kernel.unprivileged_userns_clone=1"),
            "{text}"
        );

        // Ubuntu lets the namespace be made and takes all rights away in it.
        let ubuntu = [
            ("kernel.unprivileged_userns_clone", "1"),
            ("kernel.apparmor_restrict_unprivileged_userns", "1"),
        ];
        for (stage, errno) in [
            (Stage::Unshare, Errno::EPERM),
            (Stage::Map, Errno::EPERM),
            (Stage::Mount, Errno::EACCES),
        ] {
            let text = reason(stage, errno, &ubuntu, false);
            assert!(
                text.contains("sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_limit_that_is_reached_is_told_from_one_that_forbids() {
        let small = [
            ("user.max_user_namespaces", "3"),
            ("user.max_mnt_namespaces", "100"),
        ];
        let text = reason(Stage::Unshare, Errno::ENOSPC, &small, false);
        assert!(
            text.contains("all 3 that the switch user.max_user_namespaces"),
            "{text}"
        );
    }

    #[test]
    fn without_a_switch_the_other_reasons_are_told_apart() {
        let open = [("kernel.apparmor_restrict_unprivileged_userns", "0")];
        for (stage, errno, filtered, said) in [
            (Stage::Unshare, Errno::EPERM, true, "containers"),
            (
                Stage::Unshare,
                Errno::EPERM,
                false,
                "cannot make a namespace",
            ),
            (Stage::Unshare, Errno::EINVAL, false, "CONFIG_USER_NS"),
            (Stage::Mount, Errno::ENOENT, false, "/etc/hosts"),
            (Stage::Mount, Errno::EINVAL, false, "mount --bind"),
            (Stage::Map, Errno::EPERM, false, "uid_map"),
        ] {
            let text = reason(stage, errno, &open, filtered);
            assert!(text.contains(said), "{text}");
        }
    }

    #[test]
    fn a_failure_crosses_as_a_number_and_other_errors_are_not_taken_for_one() {
        for stage in STAGES {
            let failure = Failure {
                stage,
                errno: Errno::EPERM,
            };
            assert_eq!(Failure::of(&failure.into_error()), Some(failure));
        }
        assert_eq!(Failure::of(&io::Error::from_raw_os_error(2)), None);
        assert_eq!(Failure::of(&io::Error::other("x")), None);
        assert_eq!(Failure::of(&io::Error::from_raw_os_error(i32::MAX)), None);
    }
}

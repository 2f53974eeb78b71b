//! This machine: what is installed, where sockets go, who may write names, bind ports and watch folders.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use monday_shared::protocol::ipalias;
use monday_shared::socket::runtime_dir::runtime_dir;

use super::Finding;
use super::inotify::{self, InotifyUse};
use crate::commands::version::{Installed, OWN};
use crate::config::project::Hosts;
use crate::escalate::decide::{Facts, Tool};
use crate::escalate::{Query, Wish, facts};
use crate::sidecar::locate::Locator;

/// A port that only root may bind where the system has its usual settings.
const LOW_PORT: u16 = 80;

/// An address of monday's range that no name is ever given.
const PROBE_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 77, 255, 254);

/// With fewer inotify watches one large project can use them up; older kernels allow 8,192.
const FEW_WATCHES: u64 = 65_536;

/// With fewer free inotify instances a few editors use them up.
const FEW_INSTANCES: u64 = 16;

/// What large projects set their machines to; it costs memory only as far as it is used.
const USUAL_WATCHES: u64 = 524_288;
const USUAL_INSTANCES: u64 = 1024;

/// Whether all executables are there, and of one version.
pub(super) fn executables() -> Vec<Finding> {
    let check = "executables";
    let together =
        "install all of monday's executables into one folder, or name theirs in MONDAY_BIN_DIR";
    let mut findings = Vec::new();
    for it in Installed::all() {
        findings.push(match (&it.path, &it.version) {
            (None, _) => {
                Finding::problem(check, format!("{} is not there", it.name)).advise(together)
            }
            (Some(path), None) => {
                let message = format!(
                    "{} does not say its version, so it cannot be run",
                    path.display()
                );
                Finding::problem(check, message).advise(together)
            }
            (Some(path), Some(version)) if version != OWN => {
                let message = format!(
                    "{} has version {version}, and this is {OWN}",
                    path.display()
                );
                Finding::problem(check, message).advise("install all of them from one version")
            }
            _ => continue,
        });
    }
    if findings.is_empty() {
        findings.push(Finding::ok(check, format!("all are there, version {OWN}")));
    }
    findings
}

/// Whether there is a place for sockets.
pub(super) fn runtime_folder() -> Finding {
    match runtime_dir() {
        Ok(path) => Finding::ok("sockets", format!("in {}", path.display())),
        Err(error) => Finding::problem("sockets", error.to_string()),
    }
}

/// Whether host names can be set, and ports below 1024 bound.
pub(super) fn names_and_ports(hosts_file: &Path) -> Vec<Finding> {
    let Ok(helper) = Locator::from_env().find(ipalias::NAME) else {
        // That was said before.
        return Vec::new();
    };
    let facts = facts::gather(&Query {
        wish: Wish::Auto,
        hosts: Hosts::Auto,
        hosts_file: hosts_file.to_owned(),
        has_names: true,
        low_port: Some(LOW_PORT),
        helper: helper.clone(),
        may_ask: true,
    });
    let setup = format!(
        "to do without a password, see `{} setup --print`",
        helper.display()
    );
    vec![
        names(&facts, hosts_file, &setup),
        private(&facts),
        ports(&facts, &setup),
    ]
}

/// Whether apps can have a hosts file of their own, which is the way out where nothing may become root.
fn private(facts: &Facts) -> Finding {
    let check = "private names";
    match &facts.private {
        Ok(()) => Finding::ok(
            check,
            "apps can have a hosts file of their own (`hosts: private`)",
        ),
        Err(why) => Finding::warning(
            check,
            format!("apps cannot have a hosts file of their own: {why}"),
        ),
    }
}

/// How a finding is made.
type Judge = fn(&'static str, String) -> Finding;

fn names(facts: &Facts, hosts_file: &Path, setup: &str) -> Finding {
    let check = "host names";
    let file = hosts_file.display();
    if facts.hosts_writable {
        return Finding::ok(check, format!("{file} can be written"));
    }
    if let Some(why) = facts.hosts_fixed {
        let (place, verdict) = match &facts.private {
            Ok(()) => (
                "only the apps of a project see its names",
                Finding::warning as Judge,
            ),
            Err(_) => ("addresses work, names do not", Finding::problem as Judge),
        };
        let message = format!("nobody can write {file}, root included ({why}): {place}");
        return verdict(check, message);
    }
    match way(facts) {
        Some((tool, true)) => Finding::ok(
            check,
            format!("{file} is written through {tool}, without a password"),
        ),
        Some((tool, false)) => {
            let message = format!(
                "{file} is written through {tool}, which may ask for your password when a project starts"
            );
            Finding::warning(check, message).advise(setup)
        }
        None => {
            let advice = format!("install sudo or doas, or let your user write {file}");
            match &facts.private {
                Ok(()) => {
                    let message = format!(
                        "{file} cannot be written: only the apps of a project see its names"
                    );
                    Finding::warning(check, message).advise(advice)
                }
                Err(why) => {
                    let message = format!(
                        "{file} cannot be written, and apps cannot have a hosts file of their own ({why}): addresses work, names do not"
                    );
                    Finding::problem(check, message).advise(advice)
                }
            }
        }
    }
}

fn ports(facts: &Facts, setup: &str) -> Finding {
    let check = "low ports";
    if facts.low_port_allowed {
        return Finding::ok(check, "ports below 1024 can be listened on");
    }
    match way(facts) {
        Some((tool, true)) => Finding::ok(check, format!("ports below 1024 are bound through {tool}, without a password (not with `hosts: private`)")),
        Some((tool, false)) => {
            let message = format!("ports below 1024 are bound through {tool}, which may ask for your password (not with `hosts: private`)");
            Finding::warning(check, message).advise(setup)
        }
        None => Finding::warning(check, "ports below 1024 cannot be listened on")
            .advise("use ports from 1024 on in `ports`")
            .advise(format!("or allow them to everybody: `sysctl net.ipv4.ip_unprivileged_port_start={LOW_PORT}` as root")),
    }
}

/// How monday-ipalias can become root, and whether without a password.
fn way(facts: &Facts) -> Option<(&'static str, bool)> {
    match (&facts.sudo, &facts.doas) {
        (Tool::Silent(_), _) => Some(("sudo", true)),
        (_, Tool::Silent(_)) => Some(("doas", true)),
        (Tool::Asks(_), _) => Some(("sudo", false)),
        (_, Tool::Asks(_)) => Some(("doas", false)),
        _ => None,
    }
}

/// Whether the addresses that names get are there.
pub(super) fn addresses() -> Finding {
    match TcpListener::bind((PROBE_ADDRESS, 0)) {
        Ok(_) => Finding::ok("addresses", "127.77.0.0/16 can be used"),
        Err(error) => Finding::problem(
            "addresses",
            format!("cannot listen on {PROBE_ADDRESS}: {error}"),
        )
        .advise("on Linux the whole of 127.0.0.0/8 belongs to `lo`: is it up? `ip link set lo up`"),
    }
}

/// Whether enough folders can be watched; nothing where the system has no such limits.
pub(super) fn watching() -> Vec<Finding> {
    inotify::measure()
        .iter()
        .flat_map(|used| [watches(used), instances(used)])
        .collect()
}

fn watches(used: &InotifyUse) -> Finding {
    let message = format!(
        "{} of {} inotify watches are used by your programs",
        used.watches, used.max_watches
    );
    let free = used.max_watches.saturating_sub(used.watches);
    limit(
        "watches",
        message,
        free < FEW_WATCHES,
        "max_user_watches",
        USUAL_WATCHES.max(used.max_watches * 2),
    )
}

fn instances(used: &InotifyUse) -> Finding {
    let message = format!(
        "{} of {} inotify instances are used by your programs",
        used.instances, used.max_instances
    );
    let free = used.max_instances.saturating_sub(used.instances);
    limit(
        "watches",
        message,
        free < FEW_INSTANCES,
        "max_user_instances",
        USUAL_INSTANCES.max(used.max_instances * 2),
    )
}

fn limit(check: &'static str, message: String, is_low: bool, name: &str, more: u64) -> Finding {
    if !is_low {
        return Finding::ok(check, message);
    }
    Finding::warning(check, message)
        .advise(format!("raise the limit: `sudo sysctl fs.inotify.{name}={more}`"))
        .advise(format!(
            "and keep it: `echo fs.inotify.{name}={more} | sudo tee -a /etc/sysctl.d/90-inotify.conf`"
        ))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn facts() -> Facts {
        Facts {
            is_root: false,
            hosts_writable: false,
            hosts_fixed: None,
            low_port_allowed: false,
            sudo: Tool::Missing,
            doas: Tool::Missing,
            terminal: false,
            private: Err("no".to_owned()),
        }
    }

    #[test]
    fn names_are_judged_by_the_best_way_there_is() {
        let judged = |facts: Facts| names(&facts, Path::new("/etc/hosts"), "setup").verdict;
        let silent = Tool::Silent("/bin/doas".into());
        let asks = Tool::Asks("/bin/sudo".into());
        assert_eq!(judged(facts()), Verdict::Problem);
        assert_eq!(
            judged(Facts {
                private: Ok(()),
                ..facts()
            }),
            Verdict::Warning
        );
        assert_eq!(
            judged(Facts {
                sudo: asks.clone(),
                ..facts()
            }),
            Verdict::Warning
        );
        assert_eq!(
            judged(Facts {
                sudo: asks,
                doas: silent,
                ..facts()
            }),
            Verdict::Ok
        );
        assert_eq!(
            judged(Facts {
                hosts_writable: true,
                ..facts()
            }),
            Verdict::Ok
        );
        let fixed = Facts {
            hosts_fixed: Some("it is on a read-only file system"),
            sudo: Tool::Silent("/bin/sudo".into()),
            ..facts()
        };
        assert_eq!(judged(fixed.clone()), Verdict::Problem);
        assert_eq!(
            judged(Facts {
                private: Ok(()),
                ..fixed
            }),
            Verdict::Warning
        );
    }

    #[test]
    fn limits_that_are_nearly_used_up_come_with_the_command_that_raises_them() {
        let used = InotifyUse {
            watches: 8_000,
            max_watches: 8_192,
            instances: 3,
            max_instances: 128,
        };
        let found = watches(&used);
        assert_eq!(found.verdict, Verdict::Warning);
        assert!(
            found.advice[0].contains("fs.inotify.max_user_watches=524288"),
            "{found:?}"
        );
        assert_eq!(instances(&used).verdict, Verdict::Ok);
    }
}

//! What became of a name, in the words of the protocol.

use std::net::IpAddr;
use std::path::Path;

use monday_shared::protocol::ipalias::{HostsStatus, NameStatus};

use crate::companion::Companion;
use crate::error::as_root;
use crate::hosts::adoption::is_of_the_go_tool;
use crate::hosts::view::{Mapping, View};
use crate::machine::{is_own, own_name};
use crate::plan::Assigned;
use monday_shared::hostname::Hostname;

/// The hosts file that is meant where none is named.
pub const DEFAULT_FILE: &str = "/etc/hosts";

/// A name as it is, given what the hosts file says about it (every block included).
#[must_use]
pub fn name_status(
    spelling: &str,
    name: &Hostname,
    has: &Assigned,
    hosts: &View,
    file: &Path,
    companion: Companion,
) -> NameStatus {
    let ip = IpAddr::V4(has.ip);
    let beside = companion(has.ip).map(IpAddr::V6);
    let leads_there = |said: IpAddr| said == ip || Some(said) == beside;
    let mut said = hosts.of(name).map(|mapping| mapping.ip).peekable();
    let resolves = said.peek().is_some() && said.all(leads_there);
    let foreign = hosts
        .foreign(name)
        .find(|mapping| !leads_there(mapping.ip))
        .map(|mapping| foreign_note(mapping, hosts, file));
    let notes: Vec<String> = has.note.iter().cloned().chain(foreign).collect();
    NameStatus {
        name: spelling.to_owned(),
        ip,
        note: (!notes.is_empty()).then(|| notes.join("; ")),
        resolves,
    }
}

fn foreign_note(mapping: &Mapping, hosts: &View, file: &Path) -> String {
    let Mapping { line, ip, name, .. } = mapping;
    let says = format!(
        "line {line} of {} gives {name} the address {ip}",
        file.display()
    );
    let own = own_name();
    let mut on_the_line = hosts.mappings().iter().filter(|other| other.line == *line);
    if on_the_line.any(|other| is_own(&own, &other.name)) {
        return format!("{says}, as this machine's own line: use another name");
    }
    if is_of_the_go_tool(*ip) {
        let command = as_root(&format!("adopt {name}"), file);
        return format!(
            "{says}, as the older Go tool of the same name leaves it: `{command}` takes it over"
        );
    }
    format!("{says} and was left as it is: remove it, or use another name")
}

/// Whether the hosts file holds the names.
#[must_use]
pub fn hosts_status(file: &Path, trouble: Option<&str>) -> HostsStatus {
    let file = file.display().to_string();
    match trouble {
        None => HostsStatus::Written { file },
        Some(reason) => HostsStatus::Unwritable {
            file,
            reason: reason.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::companion;
    use std::collections::BTreeSet;

    fn status(hosts: &str, note: Option<&str>) -> NameStatus {
        let name: Hostname = "api.local".parse().unwrap();
        let has = Assigned {
            ip: [127, 77, 0, 1].into(),
            ports: BTreeSet::new(),
            note: note.map(str::to_owned),
        };
        let view = View::new(hosts.as_bytes(), None).unwrap();
        let file = Path::new(DEFAULT_FILE);
        name_status("API.local", &name, &has, &view, file, companion::v4_mapped)
    }

    #[test]
    fn a_name_resolves_if_every_line_leads_to_its_address() {
        assert!(status("127.77.0.1 api.local\n", None).resolves);
        assert!(status("127.77.0.1 api.local\n::ffff:127.77.0.1 api.local\n", None).resolves);
        assert!(!status("", None).resolves);
        assert!(!status("127.77.0.1 api.local\n::1 api.local\n", None).resolves);
        assert_eq!(status("", None).name, "API.local");
    }

    #[test]
    fn a_foreign_line_is_named_with_its_number_beside_other_notes() {
        let note = status("\n10.0.0.3 API.LOCAL\n", Some("port 80 is taken"))
            .note
            .unwrap();
        assert!(
            note.starts_with("port 80 is taken; line 2 of /etc/hosts"),
            "{note}"
        );
        assert!(note.contains("10.0.0.3") && !note.contains("adopt"));
        assert_eq!(status("127.77.0.1 api.local\n", None).note, None);
    }

    #[test]
    fn a_line_of_the_go_tool_is_named_with_the_command_that_takes_it_over() {
        let note = status("127.0.1.3 api.local\n", None).note.unwrap();
        assert!(
            note.contains("`sudo /") && note.contains(" adopt api.local` takes it over"),
            "{note}"
        );
    }

    #[test]
    fn the_machines_own_line_is_not_to_be_taken_over() {
        let note = status(&format!("127.0.1.1 {} api.local\n", own_name()), None)
            .note
            .unwrap();
        assert!(
            note.contains("own line") && !note.contains("adopt"),
            "{note}"
        );
    }
}

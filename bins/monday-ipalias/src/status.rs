//! What became of a name, in the words of the protocol.

use std::net::IpAddr;
use std::path::Path;

use monday_shared::protocol::ipalias::{HostsStatus, NameStatus};

use crate::hostname::Hostname;
use crate::hosts::view::{Mapping, View};
use crate::plan::Assigned;

/// A name as it is, given what the hosts file says about it (every block included).
#[must_use]
pub fn name_status(
    spelling: &str,
    name: &Hostname,
    has: &Assigned,
    hosts: &View,
    file: &Path,
) -> NameStatus {
    let ip = IpAddr::V4(has.ip);
    let mut said = hosts.of(name).map(|mapping| mapping.ip).peekable();
    let resolves = said.peek().is_some() && said.all(|said| said == ip);
    let foreign = hosts
        .foreign(name)
        .find(|mapping| mapping.ip != ip)
        .map(|mapping| foreign_note(mapping, file));
    let notes: Vec<String> = has.note.iter().cloned().chain(foreign).collect();
    NameStatus {
        name: spelling.to_owned(),
        ip,
        note: (!notes.is_empty()).then(|| notes.join("; ")),
        resolves,
    }
}

fn foreign_note(mapping: &Mapping, file: &Path) -> String {
    let Mapping { line, ip, name, .. } = mapping;
    format!(
        "line {line} of {} gives {name} the address {ip} and was left as it is: remove it, or use another name",
        file.display()
    )
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
    use std::collections::BTreeSet;

    fn status(hosts: &str, note: Option<&str>) -> NameStatus {
        let name: Hostname = "api.local".parse().unwrap();
        let has = Assigned {
            ip: [127, 77, 0, 1].into(),
            ports: BTreeSet::new(),
            note: note.map(str::to_owned),
        };
        let view = View::new(hosts.as_bytes(), None).unwrap();
        name_status("API.local", &name, &has, &view, Path::new("/etc/hosts"))
    }

    #[test]
    fn a_name_resolves_if_every_line_leads_to_its_address() {
        assert!(status("127.77.0.1 api.local\n", None).resolves);
        assert!(!status("", None).resolves);
        assert!(!status("127.77.0.1 api.local\n::1 api.local\n", None).resolves);
        assert_eq!(status("", None).name, "API.local");
    }

    #[test]
    fn a_foreign_line_is_named_with_its_number_beside_other_notes() {
        let note = status("\n127.0.1.3 API.LOCAL\n", Some("port 80 is taken"))
            .note
            .unwrap();
        assert!(
            note.starts_with("port 80 is taken; line 2 of /etc/hosts"),
            "{note}"
        );
        assert!(note.contains("127.0.1.3"));
        assert_eq!(status("127.77.0.1 api.local\n", None).note, None);
    }
}

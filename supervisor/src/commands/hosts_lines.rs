//! What dead instances of monday-ipalias, and the older Go tool, have left in the hosts file.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::escalate::CALLER_VARIABLES;

/// A name that monday-ipalias gave an address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Line {
    /// The name.
    pub name: String,
    /// The process that asked for it.
    pub pid: u32,
    /// Whether that process is alive.
    pub running: bool,
    /// Whether it is in the hosts file.
    pub in_hosts_file: bool,
}

#[derive(Deserialize)]
struct Listing {
    names: Vec<Line>,
}

/// Asks monday-ipalias: `list`, or `clean`, started with these words before it.
///
/// # Errors
/// It cannot be run, fails, or says what nobody understands; in words.
pub fn ask(
    prefix: &[OsString],
    helper: &Path,
    verb: &str,
    hosts_file: Option<&Path>,
) -> Result<Vec<Line>, String> {
    let mut words: Vec<OsString> = prefix.to_vec();
    words.push(helper.into());
    words.extend([verb, "--output", "json"].map(OsString::from));
    if let Some(file) = hosts_file {
        words.extend(["--hosts-file".into(), file.into()]);
    }
    let mut command = Command::new(&words[0]);
    for variable in CALLER_VARIABLES {
        // It works for us, not for whoever opened the root shell that we may have been started from.
        command.env_remove(variable);
    }
    let said = command
        .args(&words[1..])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run {}: {error}", words[0].display()))?;
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).trim().to_owned());
    }
    let listing: Listing = serde_json::from_slice(&said.stdout)
        .map_err(|error| format!("{} says something else: {error}", helper.display()))?;
    Ok(listing.names)
}

/// The names that monday is to serve and that stand on lines of somebody else, which come first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// On lines as the older Go tool writes them, 127.0.1.x.
    pub of_the_go_tool: BTreeSet<String>,
    /// On any others.
    pub of_others: BTreeSet<String>,
    /// On the line of the machine's own name, which Debian and Ubuntu put on 127.0.1.1: to be left alone.
    pub of_the_machine: BTreeSet<String>,
}

impl Foreign {
    /// Looks through a hosts file. `machine` is the machine's own name.
    #[must_use]
    pub fn find(hosts_file: &str, wanted: &BTreeSet<String>, machine: &str) -> Self {
        let mut found = Self::default();
        let mut in_block = false;
        for line in hosts_file.lines() {
            if let Some(marker) = line.strip_prefix("# monday-ipalias ") {
                in_block = marker.starts_with("begin");
            }
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
            let (Some(address), false) = (address, in_block) else {
                continue;
            };
            let names: Vec<String> = words.map(str::to_ascii_lowercase).collect();
            let is_the_machine = names.iter().any(|name| name.eq_ignore_ascii_case(machine));
            let is_the_go_tool = match address {
                IpAddr::V4(ip) => ip.octets()[..3] == [127, 0, 1],
                IpAddr::V6(_) => false,
            };
            let place = match (is_the_machine, is_the_go_tool) {
                (true, _) => &mut found.of_the_machine,
                (_, true) => &mut found.of_the_go_tool,
                _ => &mut found.of_others,
            };
            place.extend(names.into_iter().filter(|name| wanted.contains(name)));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ours_on_lines_of_others_are_told_apart_by_whose_they_are() {
        let wanted = ["api.local", "db.local", "web.local", "box.local"]
            .map(str::to_owned)
            .into();
        let file = "127.0.0.1 localhost api.local\n127.0.1.1 box box.local\n127.0.1.2 API.local other # db.local\n\
                    127.0.1.3\tweb.local\n# monday-ipalias begin x\n127.77.0.1 db.local\n# monday-ipalias end x\n";
        let found = Foreign::find(file, &wanted, "box");
        let set = |names: &[&str]| -> BTreeSet<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        assert_eq!(found.of_the_go_tool, set(&["api.local", "web.local"]));
        assert_eq!(found.of_others, set(&["api.local"]));
        assert_eq!(found.of_the_machine, set(&["box.local"]));
    }
}

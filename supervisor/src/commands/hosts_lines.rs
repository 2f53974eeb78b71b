//! What dead instances of monday-ipalias, and the older Go tool, have left in the hosts file.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

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
    let said = Command::new(&words[0])
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

/// The names on lines as the Go tool writes them, 127.0.1.x, that monday is to serve: on others such a line may be
/// anybody's (Debian and Ubuntu give 127.0.1.1 to the machine's own name).
#[must_use]
pub fn of_the_go_tool(hosts_file: &str, wanted: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for line in hosts_file.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let address = words.next().and_then(|word| word.parse::<Ipv4Addr>().ok());
        if address.is_some_and(|ip| ip.octets()[..3] == [127, 0, 1]) {
            let names = words.map(str::to_ascii_lowercase);
            found.extend(names.filter(|name| wanted.contains(name)));
        }
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_on_lines_of_the_go_tool_are_its_leftovers() {
        let wanted = ["api.local", "db.local", "web.local"]
            .map(str::to_owned)
            .into();
        let file = "127.0.0.1 localhost api.local\n127.0.1.1 debian\n127.0.1.2 API.local other # db.local\n\
                    127.0.1.3\tweb.local\n127.77.0.1 db.local\n";
        assert_eq!(of_the_go_tool(file, &wanted), ["api.local", "web.local"]);
    }
}

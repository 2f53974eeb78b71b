//! The host names that get an address: one address per name, whoever uses it.

use super::{App, Forward};

/// A host name that gets an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostname {
    /// The name, in lower case.
    pub name: String,
    /// The ports that our own routes will bind on its address. An app binds ports that nobody declares.
    pub ports: Vec<u16>,
    /// The apps and forwards that use it, in the order of the files.
    pub used_by: Vec<String>,
}

/// Every name once, forwards' after apps', with all of its ports.
pub(super) fn all(apps: &[App], forwards: &[Forward]) -> Vec<Hostname> {
    let of_apps = apps
        .iter()
        .filter_map(|app| Some((app.hostname.as_deref()?, app.name.as_str(), Vec::new())));
    let of_forwards = forwards.iter().filter_map(|forward| {
        let ports = forward.ports.iter().map(|pair| pair.listen).collect();
        Some((forward.hostname.as_deref()?, forward.name.as_str(), ports))
    });
    let mut names: Vec<Hostname> = Vec::new();
    for (name, user, ports) in of_apps.chain(of_forwards) {
        let at = names
            .iter()
            .position(|known| known.name == name)
            .unwrap_or_else(|| {
                names.push(Hostname {
                    name: name.to_owned(),
                    ports: Vec::new(),
                    used_by: Vec::new(),
                });
                names.len() - 1
            });
        let hostname = &mut names[at];
        hostname.used_by.push(user.to_owned());
        for port in ports {
            if !hostname.ports.contains(&port) {
                hostname.ports.push(port);
            }
        }
    }
    names
}

//! What address everything has, once names are assigned and listeners are open.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use monday_shared::address_env::{self, Variable};

use crate::plan::{Plan, Route, Target};

/// The addresses of a project.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    names: HashMap<String, IpAddr>,
    routes: HashMap<String, SocketAddr>,
    tunnels: HashMap<String, SocketAddr>,
    ports_from: Option<PathBuf>,
    /// Why host names have no address.
    refused: HashMap<String, String>,
    /// Why nobody binds ports that we may not bind.
    no_root: Option<String>,
}

impl Addresses {
    /// A host name got an address.
    pub fn name(&mut self, name: &str, ip: IpAddr) {
        self.refused.remove(name);
        self.names.insert(name.to_owned(), ip);
    }

    /// A host name got none.
    pub fn refuse(&mut self, name: &str, why: &str) {
        self.refused.insert(name.to_owned(), why.to_owned());
    }

    /// Why a host name has no address.
    #[must_use]
    pub fn why_refused(&self, name: &str) -> Option<&str> {
        self.refused.get(name).map(String::as_str)
    }

    /// Nobody is root for us.
    pub fn without_root(&mut self, why: Option<&str>) {
        self.no_root = why.map(str::to_owned);
    }

    /// Why nobody binds ports that we may not bind.
    #[must_use]
    pub fn why_no_root(&self) -> Option<&str> {
        self.no_root.as_deref()
    }

    /// The monday-ipalias with that control socket gives the addresses.
    pub fn given_by(&mut self, socket: &Path) {
        self.ports_from = Some(socket.to_owned());
    }

    /// Who binds the port of a route that we may not bind.
    #[must_use]
    pub fn ports_from(&self, route: &Route) -> Option<PathBuf> {
        self.ports_from.clone().filter(|_| route.listen.is_low())
    }

    /// A host name is not the project's any more.
    pub fn forget_name(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// A route listens.
    pub fn route(&mut self, id: &str, listen: SocketAddr) {
        self.routes.insert(id.to_owned(), listen);
    }

    /// A tunnel listens.
    pub fn tunnel(&mut self, id: &str, listen: SocketAddr) {
        self.tunnels.insert(id.to_owned(), listen);
    }

    /// Where a tunnel listens.
    #[must_use]
    pub fn of_tunnel(&self, id: &str) -> Option<SocketAddr> {
        self.tunnels.get(id).copied()
    }

    /// The address of a host name.
    #[must_use]
    pub fn of_name(&self, name: &str) -> Option<IpAddr> {
        self.names.get(name).copied()
    }

    /// Where a route leads. A host name of the project itself is given as its address: so the route works where the
    /// hosts file cannot be written. Nothing: its tunnel is not there.
    #[must_use]
    pub fn target(&self, route: &Route) -> Option<String> {
        let target = match &route.target {
            Target::Address(target) => target,
            Target::Tunnel { .. } => {
                return self.tunnels.get(&route.id).map(ToString::to_string);
            }
        };
        let known = target
            .rsplit_once(':')
            .and_then(|(host, port)| Some((self.of_name(&host.to_ascii_lowercase())?, port)));
        Some(match known {
            Some((ip @ IpAddr::V6(_), port)) => format!("[{ip}]:{port}"),
            Some((ip, port)) => format!("{ip}:{port}"),
            None => target.clone(),
        })
    }

    /// What every app of the project finds in its environment about every named thing of the project.
    #[must_use]
    pub fn environment(&self, plan: &Plan) -> Vec<Variable> {
        let apps = plan.apps.iter().filter_map(|app| {
            let ip = self.of_name(app.hostname.as_deref()?)?;
            Some(address_env::host(&app.name, ip))
        });
        let forwards = plan.forwards.iter().flat_map(|forward| {
            let listeners: Vec<_> = plan
                .routes_of(&forward.name)
                .filter_map(|route| {
                    let address = self.routes.get(&route.id)?;
                    Some((route.listen.port.to_string(), *address))
                })
                .collect();
            address_env::listeners(&forward.name, &listeners)
        });
        apps.chain(forwards).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Listen;

    fn route(target: &str) -> Route {
        Route {
            id: "api:80".to_owned(),
            forward: "api".to_owned(),
            listen: Listen {
                hostname: None,
                port: 80,
            },
            target: Target::Address(target.to_owned()),
            connect_wait: None,
            half_close_linger: None,
            faults: vec![],
        }
    }

    #[test]
    fn a_name_of_the_project_leads_to_its_address_and_any_other_is_left_to_the_resolver() {
        let mut addresses = Addresses::default();
        addresses.name("back.demo.test", IpAddr::from([127, 77, 0, 9]));
        let target = |text| addresses.target(&route(text)).unwrap();
        assert_eq!(target("back.demo.test:9090"), "127.77.0.9:9090");
        assert_eq!(target("Back.Demo.Test:9090"), "127.77.0.9:9090");
        assert_eq!(target("db.example.com:5432"), "db.example.com:5432");
        assert_eq!(target("[::1]:5432"), "[::1]:5432");
    }
}

//! What address everything has, once names are assigned and listeners are open.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use monday_shared::address_env::{self, Variable};

use crate::plan::{Plan, Route, Target};

/// The addresses of a project.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    of_names: HashMap<String, IpAddr>,
    of_routes: HashMap<String, SocketAddr>,
}

impl Addresses {
    /// A host name got an address.
    pub fn name(&mut self, name: &str, ip: IpAddr) {
        self.of_names.insert(name.to_owned(), ip);
    }

    /// A route listens.
    pub fn route(&mut self, id: &str, listen: SocketAddr) {
        self.of_routes.insert(id.to_owned(), listen);
    }

    /// The address of a host name.
    #[must_use]
    pub fn of_name(&self, name: &str) -> Option<IpAddr> {
        self.of_names.get(name).copied()
    }

    /// Where a route leads. A host name of the project itself is given as its address: so the route works where the
    /// hosts file cannot be written.
    #[must_use]
    pub fn target(&self, route: &Route) -> String {
        let Target::Address(target) = &route.target;
        let known = target
            .rsplit_once(':')
            .and_then(|(host, port)| Some((self.of_name(&host.to_ascii_lowercase())?, port)));
        match known {
            Some((ip @ IpAddr::V6(_), port)) => format!("[{ip}]:{port}"),
            Some((ip, port)) => format!("{ip}:{port}"),
            None => target.clone(),
        }
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
                    let address = self.of_routes.get(&route.id)?;
                    Some((route.listen.port.to_string(), *address))
                })
                .collect();
            address_env::listeners(&forward.name, &listeners)
        });
        apps.chain(forwards).collect()
    }
}

//! The environment variables that tell a program where a named thing of the project is.
//!
//! `MONDAY_ADDR_<NAME>` is `IP:port`, `MONDAY_HOST_<NAME>` the IP and `MONDAY_PORT_<NAME>` the port. A thing with
//! several ports gives those of its first port, and `MONDAY_ADDR_<NAME>_<L>` for each, L being the port as it was
//! asked for. One that listens on a Unix-domain socket has its path in `MONDAY_SOCKET_<NAME>`.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// One environment variable: its name and its value.
pub type Variable = (String, String);

/// A name as it occurs in a variable: upper case, every character other than `A`-`Z` and `0`-`9` as `_`.
#[must_use]
pub fn variable_name(name: &str) -> String {
    name.chars()
        .map(|c| match c.to_ascii_uppercase() {
            upper @ ('A'..='Z' | '0'..='9') => upper,
            _ => '_',
        })
        .collect()
}

/// The variables of a thing that listens; `listeners` are (the port as asked for, the real address), in order.
///
/// With a single listener there is no `MONDAY_ADDR_<NAME>_<L>`, for it would only say the same again.
#[must_use]
pub fn listeners(name: &str, listeners: &[(String, SocketAddr)]) -> Vec<Variable> {
    let name = variable_name(name);
    let Some((_, first)) = listeners.first() else {
        return Vec::new();
    };
    let mut variables = vec![
        (format!("MONDAY_ADDR_{name}"), first.to_string()),
        (format!("MONDAY_HOST_{name}"), first.ip().to_string()),
        (format!("MONDAY_PORT_{name}"), first.port().to_string()),
    ];
    if listeners.len() > 1 {
        variables.extend(listeners.iter().map(|(port, address)| {
            (
                format!("MONDAY_ADDR_{name}_{}", variable_name(port)),
                address.to_string(),
            )
        }));
    }
    variables
}

/// The variable of a thing that listens on a Unix-domain socket.
#[must_use]
pub fn socket(name: &str, path: &Path) -> Variable {
    (
        format!("MONDAY_SOCKET_{}", variable_name(name)),
        path.display().to_string(),
    )
}

/// The variable of a thing that has an address of its own but no port that we know of.
#[must_use]
pub fn host(name: &str, ip: IpAddr) -> Variable {
    (
        format!("MONDAY_HOST_{}", variable_name(name)),
        ip.to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_upper_case_with_underscores() {
        assert_eq!(variable_name("user-api.svc 2"), "USER_API_SVC_2");
        assert_eq!(variable_name("größe"), "GR__E");
    }

    #[test]
    fn the_first_of_several_ports_gives_the_plain_variables() {
        let one = |port: u16| (port.to_string(), SocketAddr::from(([127, 77, 0, 1], port)));
        assert_eq!(
            listeners("db", &[one(5432)]),
            [
                ("MONDAY_ADDR_DB".into(), "127.77.0.1:5432".into()),
                ("MONDAY_HOST_DB".into(), "127.77.0.1".into()),
                ("MONDAY_PORT_DB".into(), "5432".into()),
            ]
        );
        let names: Vec<String> = listeners("db", &[one(80), one(81)])
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(
            names,
            [
                "MONDAY_ADDR_DB",
                "MONDAY_HOST_DB",
                "MONDAY_PORT_DB",
                "MONDAY_ADDR_DB_80",
                "MONDAY_ADDR_DB_81"
            ]
        );
        assert!(listeners("db", &[]).is_empty());
    }
}

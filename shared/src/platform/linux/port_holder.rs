//! Who listens on a port, from /proc/net/tcp and /proc/PID/fd (proc(5)).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::holder::Holder;

/// The state `TCP_LISTEN` in /proc/net/tcp.
const LISTENING: &str = "0A";

/// The process that keeps `ip:port` from being bound: one that listens on that address or on the wildcard. Of other
/// users' processes only the address is known, unless we are root.
#[must_use]
pub fn holder_of_port(ip: IpAddr, port: u16) -> Option<Holder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let (inode, address) = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, ip, port))?;
    let owner = owner_of_socket(inode);
    Some(Holder {
        address: (address, port).into(),
        pid: owner.as_ref().map(|(pid, _)| *pid),
        process: owner.map(|(_, name)| name),
    })
}

/// The socket in that table that holds the port, and the address it listens on.
fn listening_inode(table: &str, ip: IpAddr, port: u16) -> Option<(u64, IpAddr)> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let (address, local_port) = local.split_once(':')?;
        if *state != LISTENING || u16::from_str_radix(local_port, 16).ok()? != port {
            return None;
        }
        let address = parse_address(address)?;
        (address == ip || address.is_unspecified() || ip.is_unspecified())
            .then_some((inode.parse().ok()?, address))
    })
}

/// Addresses are printed as 32-bit words in the machine's byte order.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let words: Vec<[u8; 4]> = (0..hex.len() / 8)
        .map(|at| {
            let word = u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?;
            Some(word.to_ne_bytes())
        })
        .collect::<Option<_>>()?;
    match words.as_slice() {
        [word] => Some(Ipv4Addr::from(*word).into()),
        [_, _, _, _] => {
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

fn owner_of_socket(inode: u64) -> Option<(u32, String)> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?;
    processes.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let holds = fs::read_dir(process.path().join("fd"))
            .ok()?
            .flatten()
            .any(|fd| {
                fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str())
            });
        if !holds {
            return None;
        }
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        Some((pid, name.trim_end().to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_listener_is_found_with_its_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let holder = holder_of_port(address.ip(), address.port()).unwrap();
        assert_eq!(holder.address, address);
        assert_eq!(holder.pid, Some(std::process::id()));
        assert!(holder_of_port(IpAddr::from([127, 9, 9, 9]), address.port()).is_none());
    }

    #[test]
    fn a_wildcard_listener_holds_every_loopback_address() {
        for wildcard in ["0.0.0.0:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(wildcard) else {
                continue; // a machine without IPv6
            };
            let port = listener.local_addr().unwrap().port();
            let holder = holder_of_port(IpAddr::from([127, 77, 1, 2]), port).unwrap();
            assert!(holder.address.ip().is_unspecified());
        }
    }

    #[test]
    fn addresses_are_read_in_both_families() {
        assert_eq!(
            parse_address("0100007F"),
            Some(IpAddr::from([127, 0, 0, 1]))
        );
        assert_eq!(
            parse_address("00000000000000000000000000000000"),
            Some(Ipv6Addr::UNSPECIFIED.into())
        );
        assert_eq!(parse_address("xyz"), None);
    }
}

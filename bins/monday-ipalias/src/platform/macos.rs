//! macOS: two files exchange their names by a call of its own, names want an IPv6 line, and addresses have to be added to `lo0` before they can be bound.
//!
//! Thin on purpose: what is decided about either is in [`crate::companion`] and [`crate::alias`].

mod exchange;

pub(crate) use exchange::exchange;

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use nix::ifaddrs::getifaddrs;

use crate::alias::{self, Interface};
use crate::companion::{self, Companion};

/// The IPv6 line beside a name's own.
pub(crate) const COMPANION: Companion = companion::v4_mapped;

/// The loopback interface.
const LOOPBACK: &str = "lo0";

/// By its path, since nobody else's search path is used by what may run as root.
const IFCONFIG: &str = "/sbin/ifconfig";

/// The interface that addresses are added to.
#[allow(clippy::unnecessary_wraps, reason = "there is none elsewhere")]
pub(crate) fn loopback() -> Option<Arc<dyn Interface>> {
    Some(Arc::new(Lo0))
}

#[derive(Debug)]
struct Lo0;

impl Interface for Lo0 {
    fn addresses(&self) -> io::Result<BTreeSet<Ipv4Addr>> {
        let addresses = getifaddrs()?
            .filter(|entry| entry.interface_name == LOOPBACK)
            .filter_map(|entry| Some(entry.address?.as_sockaddr_in()?.ip()));
        Ok(addresses.collect())
    }

    fn add(&self, ip: Ipv4Addr) -> io::Result<()> {
        ifconfig(&alias::words_to_add(LOOPBACK, ip))
    }

    fn remove(&self, ip: Ipv4Addr) -> io::Result<()> {
        ifconfig(&alias::words_to_remove(LOOPBACK, ip))
    }
}

fn ifconfig(words: &[String]) -> io::Result<()> {
    let output = Command::new(IFCONFIG)
        .args(words)
        .env_clear()
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(if said.contains("permission denied") {
        io::Error::new(io::ErrorKind::PermissionDenied, said)
    } else {
        io::Error::other(said)
    })
}

//! Which name gets which address: a decision over what is known, without any input or output of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use monday_shared::protocol::ipalias::NameSpec;

use crate::error::Error;
use crate::hosts::view::View;
use crate::lease::Lease;
use crate::pick::candidates;
use crate::probe::Busy;
use crate::range::{Range, avoided};
use monday_shared::hostname::Hostname;

/// How many addresses are passed over because of their ports before the first one is taken as it is. Whatever holds
/// the port on so many addresses holds it on all that matter.
const BUSY_LIMIT: usize = 64;

/// A name that wants an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The ports that will be bound on it.
    pub ports: BTreeSet<u16>,
    /// The address that it had before.
    pub before: Option<Ipv4Addr>,
}

/// What a name has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// Its address.
    pub ip: Ipv4Addr,
    /// The ports that will be bound on it.
    pub ports: BTreeSet<u16>,
    /// What a person should know about how it came by it.
    pub note: Option<String>,
}

/// The names of an instance.
pub type Table = BTreeMap<Hostname, Assigned>;

/// What is known.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// Where addresses come from.
    pub range: Range,
    /// What we have.
    pub own: &'a Table,
    /// What other instances have.
    pub leases: &'a [Lease],
    /// What the hosts file says, our own block left out.
    pub hosts: &'a View,
}

/// Reads wishes: names that occur twice become one that wants the ports of both.
///
/// # Errors
/// [`Error::Hostname`] and [`Error::Address`] for what cannot be wished for.
pub fn wishes(specs: &[NameSpec]) -> Result<BTreeMap<Hostname, Wish>, Error> {
    let mut wishes: BTreeMap<Hostname, Wish> = BTreeMap::new();
    for spec in specs {
        let name: Hostname = spec.name.parse().map_err(|flaw| Error::Hostname {
            name: spec.name.clone(),
            flaw,
        })?;
        let before = spec.ip.map(|ip| own_address(&name, ip)).transpose()?;
        let wish = wishes.entry(name).or_default();
        wish.ports.extend(&spec.ports);
        wish.before = wish.before.or(before);
    }
    Ok(wishes)
}

fn own_address(name: &Hostname, ip: IpAddr) -> Result<Ipv4Addr, Error> {
    let refused = |why| Error::Address {
        name: name.clone(),
        ip,
        why,
    };
    let IpAddr::V4(v4) = ip else {
        return Err(refused("nobody here: only 127.0.0.0/8 is given out"));
    };
    match avoided(v4) {
        Some(who) => Err(refused(who)),
        None => Ok(v4),
    }
}

/// Decides about every wish, or about none.
///
/// A name that we have keeps its address. Otherwise it gets, in this order: the one it had before, the one that it has
/// in another project that runs (one name leads to one place), the one that somebody's own line of the hosts file
/// gives it in our range, the first one from its hash on that is free and on which its ports can be bound.
///
/// # Errors
/// [`Error::Taken`] if another project has the same name and port, [`Error::Exhausted`] if no address is left.
pub fn decide(
    wishes: &BTreeMap<Hostname, Wish>,
    world: World<'_>,
    probe: &dyn Fn(Ipv4Addr, u16) -> Option<Busy>,
) -> Result<Table, Error> {
    for (name, wish) in wishes {
        refuse_taken(name, wish, world.leases)?;
    }
    let mut decided = Table::new();
    for (name, wish) in wishes {
        let assigned = decide_one(name, wish, world, &decided, probe)?;
        decided.insert(name.clone(), assigned);
    }
    Ok(decided)
}

fn refuse_taken(name: &Hostname, wish: &Wish, leases: &[Lease]) -> Result<(), Error> {
    for lease in leases {
        let theirs = lease.names.iter().filter(|leased| leased.name == *name);
        let mut ports = theirs.flat_map(|leased| &leased.ports);
        if let Some(port) = ports.find(|port| wish.ports.contains(port)) {
            return Err(Error::Taken {
                name: name.clone(),
                port: *port,
                by: lease.holder(),
                pid: lease.owner.pid,
            });
        }
    }
    Ok(())
}

fn decide_one(
    name: &Hostname,
    wish: &Wish,
    world: World<'_>,
    decided: &Table,
    probe: &dyn Fn(Ipv4Addr, u16) -> Option<Busy>,
) -> Result<Assigned, Error> {
    let assigned = |ip, note| Assigned {
        ip,
        ports: wish.ports.clone(),
        note,
    };
    let belongs_to_another = |ip: Ipv4Addr| {
        let ours = world.own.iter().chain(decided);
        let theirs = world.leases.iter().flat_map(|lease| &lease.names);
        ours.into_iter()
            .any(|(other, has)| other != name && has.ip == ip)
            || theirs
                .into_iter()
                .any(|leased| leased.name != *name && leased.ip == ip)
            || world.hosts.used_by_another_name(ip, name)
    };
    if let Some(has) = world.own.get(name) {
        let again = assigned(has.ip, has.note.clone());
        // Whoever only asks for the name's address does not give its ports away.
        return Ok(if wish.ports.is_empty() {
            has.clone()
        } else {
            again
        });
    }
    let mut lost = None;
    if let Some(before) = wish.before {
        if !belongs_to_another(before) {
            return Ok(assigned(before, None));
        }
        lost = Some(format!(
            "{before}, which it had before, belongs to another name now"
        ));
    }
    if let Some(shared) = shared_address(name, world) {
        return Ok(assigned(shared, None));
    }
    let from_foreign_line = world
        .hosts
        .foreign(name)
        .find_map(|mapping| match mapping.ip {
            IpAddr::V4(ip) if world.range.contains(ip) && avoided(ip).is_none() => Some(ip),
            _ => None,
        });
    let mut free = from_foreign_line
        .into_iter()
        .chain(candidates(name, world.range))
        .filter(|ip| !belongs_to_another(*ip));
    let Some(first) = free.next() else {
        return Err(Error::Exhausted {
            name: name.clone(),
            range: world.range,
        });
    };
    let busy_on = |ip| wish.ports.iter().find_map(|port| probe(ip, *port));
    let Some(busy) = busy_on(first) else {
        return Ok(assigned(first, lost));
    };
    let other = if busy.everywhere() {
        None
    } else {
        free.take(BUSY_LIMIT).find(|ip| busy_on(*ip).is_none())
    };
    Ok(match other {
        Some(other) => assigned(other, Some(format!("not its usual address: {busy}"))),
        // Another address would not help. Whoever is going to bind the port will say the same.
        None => assigned(first, Some(busy.to_string())),
    })
}

/// The address that another instance has for the same name. A lease and a block can be forged, so one that is never
/// given out is not believed.
fn shared_address(name: &Hostname, world: World<'_>) -> Option<Ipv4Addr> {
    let leased = world.leases.iter().flat_map(|lease| &lease.names);
    leased
        .filter(|leased| leased.name == *name)
        .map(|leased| leased.ip)
        .chain(world.hosts.of_another_instance(name))
        .find(|ip| avoided(*ip).is_none())
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

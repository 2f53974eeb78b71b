//! Addresses that have to be added to the loopback interface before they can be bound, and be taken away again.
//!
//! On Linux there is nothing to do: all of 127.0.0.0/8 is there. Elsewhere `lo0` has 127.0.0.1 only, and each further
//! address is an alias that root adds. An alias is written into the lease before it is added, so that whoever finds the
//! lease of a dead process knows what it has left on the interface. Of two instances that use one address the last one
//! takes the alias away. An alias that was there without any of us stays.
//!
//! What is here decides; [`held`] keeps count for one instance.

pub mod held;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::net::Ipv4Addr;

use crate::lease::Lease;
use crate::range::avoided;

/// An interface that addresses are added to.
pub trait Interface: Debug + Send + Sync {
    /// The addresses that it has.
    ///
    /// # Errors
    /// What the operating system says.
    fn addresses(&self) -> io::Result<BTreeSet<Ipv4Addr>>;

    /// Adds one.
    ///
    /// # Errors
    /// What the operating system says.
    fn add(&self, ip: Ipv4Addr) -> io::Result<()>;

    /// Takes one away.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove(&self, ip: Ipv4Addr) -> io::Result<()>;
}

/// Which of the addresses that are wanted are to be had as aliases of ours: those that the interface does not have, and
/// those that another instance of us has added.
#[must_use]
pub fn ours(
    wanted: &BTreeSet<Ipv4Addr>,
    present: &BTreeSet<Ipv4Addr>,
    living: &[Lease],
) -> BTreeSet<Ipv4Addr> {
    let shared = aliases_of(living);
    wanted
        .iter()
        .copied()
        .filter(|ip| !present.contains(ip) || shared.contains(ip))
        .collect()
}

/// Which aliases can go: those that were ours or a dead one's, and that nobody who lives has or wants. A lease is a file
/// that its user could have written, so nothing is taken away that we would never have added.
#[must_use]
pub fn abandoned<'a>(
    left: impl IntoIterator<Item = &'a Ipv4Addr>,
    living: &[Lease],
) -> BTreeSet<Ipv4Addr> {
    let needed = aliases_of(living);
    left.into_iter()
        .copied()
        .filter(|ip| avoided(*ip).is_none() && !needed.contains(ip))
        .collect()
}

fn aliases_of(leases: &[Lease]) -> BTreeSet<Ipv4Addr> {
    leases
        .iter()
        .flat_map(|lease| &lease.aliases)
        .copied()
        .collect()
}

/// What ifconfig(8) is told to add an alias. The mask of one host keeps routes as they are.
#[must_use]
pub fn words_to_add(interface: &str, ip: Ipv4Addr) -> Vec<String> {
    let ip = ip.to_string();
    [interface, "alias", &ip, "255.255.255.255"]
        .map(str::to_owned)
        .to_vec()
}

/// What ifconfig(8) is told to take an alias away.
#[must_use]
pub fn words_to_remove(interface: &str, ip: Ipv4Addr) -> Vec<String> {
    let ip = ip.to_string();
    [interface, "-alias", &ip].map(str::to_owned).to_vec()
}

/// Brings the interface from what it has to what it should have. What cannot be done is told by address; the rest is
/// done.
pub fn apply(
    interface: &dyn Interface,
    add: &BTreeSet<Ipv4Addr>,
    remove: &BTreeSet<Ipv4Addr>,
) -> Vec<(Ipv4Addr, io::Error)> {
    let present = match interface.addresses() {
        Ok(present) => present,
        Err(error) => {
            // Without knowing what is there, adding what may be there says so by itself.
            tracing::warn!(%error, "cannot tell which addresses the loopback interface has");
            remove.clone()
        }
    };
    let adding = add.difference(&present).map(|ip| (*ip, interface.add(*ip)));
    let removing = remove
        .intersection(&present)
        .map(|ip| (*ip, interface.remove(*ip)));
    adding
        .chain(removing)
        .filter_map(|(ip, done)| Some((ip, done.err()?)))
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError};

    use crate::owner::{InstanceId, Owner};

    /// An interface that only remembers.
    #[derive(Debug, Default)]
    pub(crate) struct Remembered {
        pub(crate) has: Mutex<BTreeSet<Ipv4Addr>>,
        pub(crate) forbids: bool,
    }

    impl Remembered {
        fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<Ipv4Addr>> {
            self.has.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Interface for Remembered {
        fn addresses(&self) -> io::Result<BTreeSet<Ipv4Addr>> {
            Ok(self.lock().clone())
        }

        fn add(&self, ip: Ipv4Addr) -> io::Result<()> {
            if self.forbids {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            assert!(self.lock().insert(ip), "{ip} was added twice");
            Ok(())
        }

        fn remove(&self, ip: Ipv4Addr) -> io::Result<()> {
            assert!(self.lock().remove(&ip), "{ip} was not there");
            Ok(())
        }
    }

    fn ips(last: &[u8]) -> BTreeSet<Ipv4Addr> {
        last.iter()
            .map(|last| Ipv4Addr::new(127, 77, 0, *last))
            .collect()
    }

    fn lease(aliases: &[u8]) -> Lease {
        let owner = Owner::this_process();
        Lease {
            instance: InstanceId::new(&owner),
            owner,
            started_by: None,
            hosts_file: "/etc/hosts".into(),
            names: Vec::new(),
            aliases: ips(aliases),
        }
    }

    #[test]
    fn an_alias_is_ours_unless_it_was_there_without_us() {
        assert_eq!(
            ours(&ips(&[1, 2, 3]), &ips(&[2, 3]), &[lease(&[3])]),
            ips(&[1, 3])
        );
    }

    #[test]
    fn the_last_one_takes_an_alias_away() {
        assert_eq!(abandoned(&ips(&[1, 2]), &[lease(&[2])]), ips(&[1]));
        assert_eq!(abandoned(&ips(&[1, 2]), &[]), ips(&[1, 2]));
    }

    #[test]
    fn a_forged_lease_takes_nothing_away_that_is_not_ours_to_give() {
        let forged = [
            [127, 0, 0, 1],
            [127, 0, 1, 1],
            [10, 0, 0, 1],
            [127, 77, 0, 0],
        ]
        .map(Ipv4Addr::from);
        assert_eq!(abandoned(&forged, &[]), BTreeSet::new());
    }

    #[test]
    fn what_is_there_is_not_added_and_what_is_not_there_is_not_taken_away() {
        let interface = Remembered::default();
        *interface.lock() = ips(&[1, 2]);
        assert_eq!(apply(&interface, &ips(&[2, 3]), &ips(&[1, 9])).len(), 0);
        assert_eq!(*interface.lock(), ips(&[2, 3]));
    }

    #[test]
    fn what_cannot_be_added_is_told_by_address() {
        let interface = Remembered {
            forbids: true,
            ..Remembered::default()
        };
        let failed = apply(&interface, &ips(&[1]), &BTreeSet::new());
        assert_eq!(failed[0].0, Ipv4Addr::new(127, 77, 0, 1));
        assert_eq!(failed[0].1.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn ifconfig_is_told_the_interface_the_address_and_the_mask_of_one_host() {
        let ip = Ipv4Addr::new(127, 77, 0, 1);
        assert_eq!(
            words_to_add("lo0", ip),
            ["lo0", "alias", "127.77.0.1", "255.255.255.255"]
        );
        assert_eq!(words_to_remove("lo0", ip), ["lo0", "-alias", "127.77.0.1"]);
    }
}

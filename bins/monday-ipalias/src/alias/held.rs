//! The aliases that one instance has.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::{Interface, abandoned, apply, ours};
use crate::error::Error;
use crate::lease::{Lease, LeaseFolder};

/// The aliases that one instance has, and the interface that they are on, where addresses have to be added at all.
#[derive(Debug)]
pub struct Held {
    interface: Option<Arc<dyn Interface>>,
    mine: BTreeSet<Ipv4Addr>,
}

/// What has to be done to the interface.
#[derive(Debug, Default)]
pub struct Change {
    remove: BTreeSet<Ipv4Addr>,
}

/// An address that could not be put there, or taken away.
#[derive(Debug)]
pub struct Trouble {
    /// The address.
    pub ip: Ipv4Addr,
    /// What to tell a person.
    pub message: String,
}

impl Held {
    /// None yet.
    #[must_use]
    pub fn new(interface: Option<Arc<dyn Interface>>) -> Self {
        Self {
            interface,
            mine: BTreeSet::new(),
        }
    }

    /// Whether addresses have to be added here at all.
    #[must_use]
    pub fn are_needed(&self) -> bool {
        self.interface.is_some()
    }

    /// Those that there are, or are going to be: what the lease says before anything is done.
    #[must_use]
    pub fn mine(&self) -> &BTreeSet<Ipv4Addr> {
        &self.mine
    }

    /// Decides what has to be done to have exactly what is wanted, beside others who live.
    pub fn want(&mut self, wanted: &BTreeSet<Ipv4Addr>, others: &[Lease]) -> Change {
        let Some(interface) = &self.interface else {
            return Change::default();
        };
        let present = interface.addresses().unwrap_or_default();
        let before = std::mem::take(&mut self.mine);
        self.mine = ours(wanted, &present, others);
        self.mine.extend(before.intersection(wanted));
        Change {
            remove: abandoned(before.difference(wanted), others),
        }
    }

    /// Does it. What cannot be done is told; the rest is done.
    #[must_use]
    pub fn make(&self, change: &Change) -> Vec<Trouble> {
        match &self.interface {
            Some(interface) => told(apply(&**interface, &self.mine, &change.remove)),
            None => Vec::new(),
        }
    }

    /// Takes away what dead instances have left and nobody who lives needs. The lock of the leases must be held.
    ///
    /// # Errors
    /// [`Error::Leases`] if it cannot be said who lives.
    pub fn clear_away(&self, dead: &[Lease], leases: &LeaseFolder) -> Result<(), Error> {
        let left: BTreeSet<Ipv4Addr> = dead
            .iter()
            .flat_map(|lease| &lease.aliases)
            .copied()
            .collect();
        let Some(interface) = self.interface.as_ref().filter(|_| !left.is_empty()) else {
            return Ok(());
        };
        let gone = abandoned(&left, &leases.living()?);
        for trouble in told(apply(&**interface, &BTreeSet::new(), &gone)) {
            tracing::warn!("{}", trouble.message);
        }
        Ok(())
    }
}

fn told(failed: Vec<(Ipv4Addr, io::Error)>) -> Vec<Trouble> {
    let trouble = |(ip, error): (Ipv4Addr, io::Error)| Trouble {
        ip,
        message: format!(
            "the address {ip} cannot be put on the loopback interface, or be taken from it: {error}; start \
             monday-ipalias as root (sudo)"
        ),
    };
    failed.into_iter().map(trouble).collect()
}

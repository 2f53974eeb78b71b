//! The names of one instance: what was decided about them, written to the lease folder and to the hosts file.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use monday_shared::identity::Identity;
use monday_shared::protocol::ipalias::{
    Bind, Event, HostsStatus, NameSpec, NameStatus, Names, Released,
};

use crate::alias::held::{Held, Trouble};
use crate::companion::Companion;
use crate::error::Error;
use crate::hosts::file::HostsFile;
use crate::hosts::marker::Begin;
use crate::hosts::view::View;
use crate::lease::{Lease, LeaseFolder, LeasedName};
use crate::lines::{Lines, is_dead};
use crate::machine::{is_own, own_name};
use crate::owner::{InstanceId, Owner};
use crate::plan::{Table, World, decide, wishes};
use crate::platform;
use crate::ports;
use crate::probe::probe;
use crate::range::Range;
use crate::settings::Settings;
use crate::status::{hosts_status, name_status};

/// How many names one instance serves: far more than any project has, and few enough that a hostile client cannot
/// fill the hosts file.
const NAMES_LIMIT: usize = 1_000;

/// How many looks are left out after the hosts file could not be written: who forbids it seldom changes their mind.
const LOOKS_LEFT_OUT: u32 = 4;

/// The names of one instance.
#[derive(Debug)]
pub struct Ledger {
    owner: Owner,
    instance: InstanceId,
    range: Range,
    leases: LeaseFolder,
    user: Option<Identity>,
    companion: Companion,
    hosts: HostsFile,
    table: Table,
    aliases: Held,
    /// Why the hosts file does not hold the names.
    trouble: Option<String>,
    looks_to_leave_out: u32,
    rewritten: u64,
    /// Lines of ours have been in the hosts file.
    has_written: bool,
}

impl Ledger {
    /// One without names. What the dead have left is removed, as far as that is allowed.
    ///
    /// # Errors
    /// [`Error::Leases`] if the lease folder cannot be used.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        let mut ledger = Self::untouched(settings);
        {
            let _lock = ledger.leases.lock()?;
            ledger.remove_dead()?;
        }
        // With no names of ours in it, all that this can do is to remove.
        if let Err(error) = ledger.write_hosts(&is_dead, false) {
            tracing::warn!("what an earlier run left in the hosts file stays there: {error}");
        }
        Ok(ledger)
    }

    /// One without names, that has not touched anything yet.
    #[must_use]
    pub fn untouched(settings: Settings) -> Self {
        let owner = Owner::this_process();
        Self {
            instance: InstanceId::new(&owner),
            owner,
            range: settings.range,
            leases: settings.leases,
            user: settings.user,
            companion: settings.companion,
            hosts: HostsFile::new(settings.hosts_file, settings.how),
            table: Table::new(),
            aliases: Held::new(settings.loopback),
            trouble: None,
            looks_to_leave_out: 0,
            rewritten: 0,
            has_written: false,
        }
    }

    /// Gives names addresses: all of them or, where one cannot have any, none. The hosts file is written once.
    ///
    /// # Errors
    /// Those of [`decide`], [`Error::MachinesName`], [`Error::TooMany`] and [`Error::Leases`]. A hosts file that cannot be written is no error;
    /// the reply says so.
    pub fn assign(&mut self, specs: &[NameSpec]) -> Result<Names, Error> {
        {
            let _lock = self.leases.lock()?;
            self.remove_dead()?;
            self.table.extend(self.decide(specs)?);
            self.write_lease_and_aliases();
        }
        self.bring_to_hosts(&is_dead);
        Ok(self.names_of(specs))
    }

    /// What [`assign`](Self::assign) would do: the names, and the content that the hosts file would have (`None`: no
    /// file). Nothing is changed.
    ///
    /// # Errors
    /// Those of [`assign`](Self::assign), and what the hosts file says.
    pub fn preview(&mut self, specs: &[NameSpec]) -> Result<(Names, Option<Vec<u8>>), Error> {
        self.table.extend(self.decide(specs)?);
        let now = self.hosts.source()?;
        let new = self.lines()?.within(now.as_deref(), &is_dead);
        let new = new.map_err(|source| Error::Malformed {
            file: self.hosts.path().to_owned(),
            source,
        })?;
        let names = self.names_in(new.as_deref().unwrap_or_default(), specs);
        Ok((names, new))
    }

    /// Exchanges the addresses of two names, with one rewrite of the hosts file.
    ///
    /// # Errors
    /// [`Error::Hostname`], [`Error::Unassigned`] and [`Error::Leases`].
    pub fn exchange(&mut self, pair: &[String; 2]) -> Result<Names, Error> {
        {
            let _lock = self.leases.lock()?;
            let specs: Vec<NameSpec> = pair.iter().map(NameSpec::new).collect();
            let names: Vec<_> = wishes(&specs)?.into_keys().collect();
            let ips: Vec<_> = names
                .iter()
                .map(|name| {
                    let has = self.table.get(name);
                    has.map(|has| has.ip)
                        .ok_or_else(|| Error::Unassigned { name: name.clone() })
                })
                .collect::<Result<_, _>>()?;
            // A name and itself have nothing to exchange.
            for (name, ip) in names.iter().zip(ips.iter().rev()) {
                if let Some(has) = self.table.get_mut(name) {
                    has.ip = *ip;
                    has.note = None;
                }
            }
            self.write_lease_and_aliases();
        }
        self.bring_to_hosts(&is_dead);
        let specs: Vec<NameSpec> = pair.iter().map(NameSpec::new).collect();
        Ok(self.names_of(&specs))
    }

    /// Takes names back.
    pub fn release(&mut self, names: &[String]) -> Released {
        let released: Vec<String> = names
            .iter()
            .filter(|name| {
                let name = name.parse();
                name.is_ok_and(|name| self.table.remove(&name).is_some())
            })
            .cloned()
            .collect();
        if !released.is_empty() {
            match self.leases.lock() {
                Ok(_lock) => self.write_lease_and_aliases(),
                Err(error) => tracing::warn!("{error}"),
            }
            self.bring_to_hosts(&is_dead);
        }
        Released { released }
    }

    /// Every name.
    #[must_use]
    pub fn list(&self) -> Names {
        let specs: Vec<NameSpec> = self
            .table
            .keys()
            .map(|name| NameSpec::new(name.as_str()))
            .collect();
        self.names_of(&specs)
    }

    /// Puts right what others have done to the hosts file since the last look, and says what there was to do. To be
    /// called about once a second.
    pub fn look_again(&mut self) -> Option<Event> {
        if self.looks_to_leave_out > 0 {
            self.looks_to_leave_out -= 1;
            return None;
        }
        // Without names there is nothing to put right but what others have to do with the file.
        let concerned = !self.table.is_empty()
            || self.hosts.awaits_late_writes()
            || self.hosts.is_private_copy();
        if !concerned || (self.trouble.is_none() && !self.hosts.may_have_changed()) {
            return None;
        }
        let trouble_before = self.trouble.clone();
        let written = self.bring_to_hosts(&|_| false);
        if self.trouble != trouble_before {
            return Some(Event::Assigned(self.list()));
        }
        if !written {
            return None;
        }
        self.rewritten += 1;
        Some(Event::Rewritten {
            times: self.rewritten,
        })
    }

    /// Takes every name back and leaves no trace.
    ///
    /// # Errors
    /// What keeps the lines from being removed from the hosts file.
    pub fn close(mut self) -> Result<(), Error> {
        self.table.clear();
        let cleaned = self.write_hosts(&is_dead, true);
        if !self.aliases.mine().is_empty() {
            let _lock = self.leases.lock()?;
            self.write_lease_and_aliases();
        }
        let removed = self.leases.remove(&self.instance);
        match cleaned {
            // What was never written cannot have been left behind.
            Err(error) if !self.has_written => {
                tracing::debug!("nothing of ours is in the hosts file: {error}");
            }
            cleaned => drop(cleaned?),
        }
        removed
    }

    /// A socket that is bound to a port of an address which was assigned here, and does not listen yet.
    ///
    /// # Errors
    /// [`Error::NotAssigned`], [`Error::PortZero`], and those of [`ports::bind`].
    pub fn bind(&self, wanted: &Bind) -> Result<OwnedFd, Error> {
        let Bind { ip, port } = *wanted;
        if !self.table.values().any(|has| IpAddr::V4(has.ip) == ip) {
            return Err(Error::NotAssigned { ip });
        }
        if port == 0 {
            return Err(Error::PortZero);
        }
        ports::bind(SocketAddr::new(ip, port), self.user)
    }

    fn lines(&self) -> Result<Lines<'_>, Error> {
        Lines::of(
            &self.table,
            &self.instance,
            &self.owner,
            self.companion,
            self.hosts.is_private_copy(),
        )
    }

    /// Removes what the dead have left beside the hosts file. The lock of the leases must be held.
    fn remove_dead(&self) -> Result<(), Error> {
        let dead = self.leases.remove_dead()?;
        self.aliases.clear_away(&dead, &self.leases)
    }

    fn decide(&self, specs: &[NameSpec]) -> Result<Table, Error> {
        let wishes: BTreeMap<_, _> = wishes(specs)?;
        if self.user.is_some() {
            let own = own_name();
            if let Some(name) = wishes.keys().find(|name| is_own(&own, name.as_str())) {
                let name = name.clone();
                return Err(Error::MachinesName { name });
            }
        }
        let new = wishes
            .keys()
            .filter(|name| !self.table.contains_key(name))
            .count();
        let count = self.table.len() + new;
        if count > NAMES_LIMIT {
            return Err(Error::TooMany {
                count,
                limit: NAMES_LIMIT,
            });
        }
        let mut leases = self.leases.living()?;
        leases.retain(|lease| lease.instance != self.instance);
        // A file that cannot be read tells nothing; writing it will fail and say why.
        let bytes = self.hosts.source().ok().flatten().unwrap_or_default();
        let hosts = View::new(&bytes, Some(&self.instance))
            .unwrap_or_else(|_| View::without_blocks(&bytes));
        let world = World {
            range: self.range,
            own: &self.table,
            leases: &leases,
            hosts: &hosts,
        };
        decide(&wishes, world, &|ip, port| probe(ip, port, self.user))
    }

    /// Tells the others what we have, then brings the loopback interface up to it: should we be killed in between, others
    /// know what there may be to take away. The lock of the leases must be held.
    fn write_lease_and_aliases(&mut self) {
        let wanted = self.table.values().map(|has| has.ip).collect();
        let mut others = Vec::new();
        if self.aliases.are_needed() {
            others = self.leases.living().unwrap_or_default();
            others.retain(|lease| lease.instance != self.instance);
        }
        let change = self.aliases.want(&wanted, &others);
        self.write_lease();
        for Trouble { ip, message } in self.aliases.make(&change) {
            if let Some(has) = self.table.values_mut().find(|has| has.ip == ip) {
                has.note = Some(message);
            } else {
                tracing::warn!("{message}");
            }
        }
    }

    /// Leases are advice: where they cannot be written, names work nevertheless.
    fn write_lease(&self) {
        let names = self.table.iter().map(|(name, has)| LeasedName {
            name: name.clone(),
            ip: has.ip,
            ports: has.ports.iter().copied().collect(),
        });
        let lease = Lease {
            instance: self.instance.clone(),
            owner: self.owner.clone(),
            started_by: platform::describe_parent(),
            hosts_file: absolute(self.hosts.path()),
            names: names.collect(),
            aliases: self.aliases.mine().clone(),
        };
        if let Err(error) = self.leases.write(&lease) {
            tracing::warn!("other projects will not know of our addresses: {error}");
        }
    }

    /// Writes the hosts file, notes whether that is possible, and returns whether there was anything to write.
    fn bring_to_hosts(&mut self, obsolete: &dyn Fn(&Begin) -> bool) -> bool {
        match self.write_hosts(obsolete, false) {
            Ok(written) => {
                self.trouble = None;
                self.has_written |= written && !self.table.is_empty();
                written
            }
            Err(error) => {
                let remedy = error.remedy();
                if self.trouble.as_ref() != Some(&remedy) && self.has_written {
                    // It was right before, so somebody has just done something about it.
                    tracing::warn!("the names are not put right in the hosts file: {error}");
                }
                self.trouble = Some(remedy);
                self.looks_to_leave_out = LOOKS_LEFT_OUT;
                false
            }
        }
    }

    /// `last`: nothing is written after that.
    fn write_hosts(
        &mut self,
        obsolete: &dyn Fn(&Begin) -> bool,
        last: bool,
    ) -> Result<bool, Error> {
        let Self {
            table,
            instance,
            owner,
            companion,
            ..
        } = self;
        let private = self.hosts.is_private_copy();
        let lines = Lines::of(table, instance, owner, *companion, private)?;
        let edit = |content: Option<&[u8]>| lines.within(content, obsolete);
        if last {
            self.hosts.update_and_wait_for_late_writes(&edit)
        } else {
            self.hosts.update(&edit)
        }
    }

    /// These names as they are now, in this order and spelling.
    fn names_of(&self, specs: &[NameSpec]) -> Names {
        let bytes = self.hosts.read().ok().flatten().unwrap_or_default();
        self.names_in(&bytes, specs)
    }

    fn names_in(&self, hosts: &[u8], specs: &[NameSpec]) -> Names {
        let view = View::new(hosts, None).unwrap_or_else(|_| View::without_blocks(hosts));
        let file = self.hosts.path();
        let names: Vec<NameStatus> = specs
            .iter()
            .filter_map(|spec| {
                let name = spec.name.parse().ok()?;
                let has = self.table.get(&name)?;
                Some(name_status(
                    &spec.name,
                    &name,
                    has,
                    &view,
                    file,
                    self.companion,
                ))
            })
            .collect();
        let hosts = match &self.trouble {
            _ if self.table.is_empty() => HostsStatus::Untouched {
                file: file.display().to_string(),
            },
            trouble => hosts_status(file, trouble.as_deref()),
        };
        Names { names, hosts }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;

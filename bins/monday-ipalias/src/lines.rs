//! The lines of the hosts file that a table of names becomes.

use std::net::IpAddr;

use crate::companion::Companion;
use crate::error::Error;
use crate::hosts::block::{Entry, Malformed, Wanted, edited};
use crate::hosts::extraction;
use crate::hosts::marker::Begin;
use crate::hosts::view::View;
use crate::owner::{InstanceId, Owner};
use crate::plan::Table;
use crate::range::only_ours;
use monday_shared::hostname::Hostname;

/// The lines of one instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines<'a> {
    table: &'a Table,
    instance: &'a InstanceId,
    owner: &'a Owner,
    companion: Companion,
    /// The file is a private copy: lines of others give way.
    private: bool,
}

impl<'a> Lines<'a> {
    /// Those of that table.
    ///
    /// # Errors
    /// [`Error::NeverGiven`]: whatever went wrong before, a line for such an address is not written.
    pub(crate) fn of(
        table: &'a Table,
        instance: &'a InstanceId,
        owner: &'a Owner,
        companion: Companion,
        private: bool,
    ) -> Result<Self, Error> {
        for has in table.values() {
            only_ours(IpAddr::V4(has.ip))?;
        }
        Ok(Self {
            table,
            instance,
            owner,
            companion,
            private,
        })
    }

    /// The content of the hosts file with these lines in it, and without obsolete blocks. A name for which somebody
    /// else has a line of their own gets none of ours: theirs would win anyway, or both would be used in turn. In a private
    /// copy it is theirs that goes.
    pub(crate) fn within(
        self,
        content: Option<&[u8]>,
        obsolete: &dyn Fn(&Begin) -> bool,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        let without;
        let content = match content {
            Some(content) if self.private => {
                without = extraction::without(content, &mut |_, word| {
                    let name = word.text.parse::<Hostname>();
                    name.is_ok_and(|name| self.table.contains_key(&name))
                })?;
                Some(without.as_slice())
            }
            content => content,
        };
        let view = View::new(content.unwrap_or_default(), Some(self.instance))?;
        let entries: Vec<Entry> = self
            .table
            .iter()
            .filter(|(name, _)| view.foreign(name).next().is_none())
            .flat_map(|(name, has)| {
                let beside = (self.companion)(has.ip).map(IpAddr::V6);
                [Some(IpAddr::V4(has.ip)), beside]
                    .into_iter()
                    .flatten()
                    .map(|ip| Entry {
                        ip,
                        name: name.clone(),
                    })
            })
            .collect();
        let wanted = Wanted {
            instance: self.instance,
            owner: self.owner,
            entries: &entries,
        };
        edited(content, Some(wanted), obsolete)
    }
}

/// The owner of the block does not run any more.
pub(crate) fn is_dead(begin: &Begin) -> bool {
    !begin.owner.is_alive()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::companion;
    use crate::plan::Assigned;
    use std::collections::BTreeSet;

    fn within(content: &[u8], companion: Companion, private: bool) -> String {
        let assigned = Assigned {
            ip: [127, 77, 0, 1].into(),
            ports: BTreeSet::new(),
            note: None,
        };
        let table = Table::from([("api.local".parse().unwrap(), assigned)]);
        let owner = Owner::this_process();
        let instance = InstanceId::new(&owner);
        let lines = Lines::of(&table, &instance, &owner, companion, private).unwrap();
        let new = lines.within(Some(content), &|_| false).unwrap().unwrap();
        // Its own result is what it wants.
        assert_eq!(
            lines.within(Some(&new), &|_| false).unwrap().as_ref(),
            Some(&new)
        );
        String::from_utf8(new).unwrap()
    }

    #[test]
    fn a_name_has_an_ipv6_line_where_the_operating_system_needs_one() {
        let plain = within(b"", companion::none, false);
        assert_eq!(plain.lines().count(), 3, "{plain}");
        let both = within(b"", companion::v4_mapped, false);
        let lines: Vec<&str> = both.lines().collect();
        assert_eq!(
            lines[1..3],
            ["127.77.0.1\tapi.local", "::ffff:127.77.0.1\tapi.local"]
        );
    }

    #[test]
    fn an_address_that_is_never_given_out_is_not_written() {
        let owner = Owner::this_process();
        let instance = InstanceId::new(&owner);
        for ip in [[203, 0, 113, 5], [0, 0, 0, 0], [127, 0, 0, 1]] {
            let assigned = Assigned {
                ip: ip.into(),
                ports: BTreeSet::new(),
                note: None,
            };
            let table = Table::from([("api.local".parse().unwrap(), assigned)]);
            let refused = Lines::of(&table, &instance, &owner, companion::none, false);
            assert!(matches!(refused, Err(Error::NeverGiven { .. })), "{ip:?}");
        }
    }

    #[test]
    fn a_name_with_a_foreign_line_gets_none_of_either_kind() {
        let text = within(b"10.0.0.1 api.local\n", companion::v4_mapped, false);
        assert_eq!(text, "10.0.0.1 api.local\n");
    }

    #[test]
    fn in_a_private_copy_our_name_takes_the_place_of_a_foreign_one() {
        let file = b"127.0.1.3 api.local\n10.0.0.1 other API.local # theirs\n";
        let text = within(file, companion::none, true);
        let foreign: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("# monday"))
            .collect();
        assert_eq!(
            foreign,
            ["10.0.0.1 other # theirs", "127.77.0.1\tapi.local"]
        );
    }
}

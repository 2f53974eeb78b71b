//! The lines of the hosts file that a table of names becomes.

use std::net::IpAddr;

use crate::hosts::block::{Entry, Malformed, Wanted, edited};
use crate::hosts::marker::Begin;
use crate::hosts::view::View;
use crate::owner::{InstanceId, Owner};
use crate::plan::Table;

/// The lines of one instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines<'a> {
    table: &'a Table,
    instance: &'a InstanceId,
    owner: &'a Owner,
}

impl<'a> Lines<'a> {
    /// Those of that table.
    pub(crate) fn of(table: &'a Table, instance: &'a InstanceId, owner: &'a Owner) -> Self {
        Self {
            table,
            instance,
            owner,
        }
    }

    /// The content of the hosts file with these lines in it, and without obsolete blocks. A name for which somebody
    /// else has a line of their own gets none of ours: theirs would win anyway, or both would be used in turn.
    pub(crate) fn within(
        self,
        content: Option<&[u8]>,
        obsolete: &dyn Fn(&Begin) -> bool,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        let view = View::new(content.unwrap_or_default(), Some(self.instance))?;
        let entries: Vec<Entry> = self
            .table
            .iter()
            .filter(|(name, _)| view.foreign(name).next().is_none())
            .map(|(name, has)| Entry {
                ip: IpAddr::V4(has.ip),
                name: name.clone(),
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

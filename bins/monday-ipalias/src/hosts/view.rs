//! What a hosts file says about names and addresses, apart from our own block.

use std::net::{IpAddr, Ipv4Addr};

use super::block::{Block, Malformed, blocks};
use super::text::{lines, words};
use crate::owner::{InstanceId, Owner};
use monday_shared::hostname::Hostname;

/// A name and an address on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The line, counted from 1.
    pub line: usize,
    /// The address.
    pub ip: IpAddr,
    /// The name as it stands there, in lower case.
    pub name: String,
    /// Whose block the line is in; nobody's if it is somebody else's own.
    pub owner: Option<Owner>,
}

/// The mappings of a file, in its order, those of one instance left out.
#[derive(Clone, Debug, Default)]
pub struct View {
    mappings: Vec<Mapping>,
}

impl View {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Malformed`] if it cannot be said which lines are whose.
    pub fn new(bytes: &[u8], own: Option<&InstanceId>) -> Result<Self, Malformed> {
        Ok(Self::with_blocks(bytes, &blocks(bytes)?, own))
    }

    /// Reads a file whose markers make no sense: every line counts as somebody else's.
    #[must_use]
    pub fn without_blocks(bytes: &[u8]) -> Self {
        Self::with_blocks(bytes, &[], None)
    }

    fn with_blocks(bytes: &[u8], blocks: &[Block], own: Option<&InstanceId>) -> Self {
        let mut mappings = Vec::new();
        for line in lines(bytes) {
            let block = blocks
                .iter()
                .find(|block| block.span.contains(&line.span.start));
            if block.is_some_and(|block| own == Some(&block.begin.instance)) {
                continue;
            }
            let mut words = words(line.content).map(String::from_utf8_lossy);
            let Some(ip) = words.next().and_then(|word| word.parse().ok()) else {
                continue;
            };
            mappings.extend(words.map(|name| Mapping {
                line: line.number,
                ip,
                name: name.to_ascii_lowercase(),
                owner: block.map(|block| block.begin.owner.clone()),
            }));
        }
        Self { mappings }
    }

    /// Every mapping.
    #[must_use]
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// What lines that are not of monday say about a name.
    pub fn foreign<'a>(&'a self, name: &'a Hostname) -> impl Iterator<Item = &'a Mapping> {
        self.of(name).filter(|mapping| mapping.owner.is_none())
    }

    /// The address that another living instance has for the name.
    #[must_use]
    pub fn of_another_instance(&self, name: &Hostname) -> Option<Ipv4Addr> {
        self.of(name)
            .filter(|mapping| mapping.owner.as_ref().is_some_and(Owner::is_alive))
            .find_map(|mapping| as_v4(mapping.ip))
    }

    /// Whether the address leads back to another name than this one.
    #[must_use]
    pub fn used_by_another_name(&self, ip: Ipv4Addr, name: &Hostname) -> bool {
        self.mappings
            .iter()
            .any(|mapping| mapping.ip == IpAddr::V4(ip) && mapping.name != name.as_str())
    }

    /// What any line says about a name, in the order of the file.
    pub fn of<'a>(&'a self, name: &'a Hostname) -> impl Iterator<Item = &'a Mapping> {
        self.mappings
            .iter()
            .filter(move |mapping| mapping.name == name.as_str())
    }
}

fn as_v4(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Hostname {
        text.parse().unwrap()
    }

    #[test]
    fn foreign_lines_are_found_whatever_their_case_and_blanks() {
        let view = View::new(
            b"# 127.0.0.9 api.local\n\t127.0.1.7   other API.local # note\r\n\xff\xfe api.local\n::1 api.local\n",
            None,
        )
        .unwrap();
        let api = name("api.local");
        let found: Vec<(usize, String)> = view
            .foreign(&api)
            .map(|found| (found.line, found.ip.to_string()))
            .collect();
        assert_eq!(found, [(2, "127.0.1.7".to_owned()), (4, "::1".to_owned())]);
        assert!(view.used_by_another_name([127, 0, 1, 7].into(), &api));
        assert!(!view.used_by_another_name([127, 0, 0, 9].into(), &api));
    }

    #[test]
    fn the_lines_of_the_own_block_do_not_count() {
        let (owner, text) = (Owner::this_process(), "127.77.0.1 api.local\n");
        let (own, other) = (InstanceId::new(&owner), InstanceId::new(&owner));
        let block = |id: &InstanceId| {
            format!(
                "# monday-ipalias begin {id} pid={} started={} boot={}\n{text}# monday-ipalias end {id}\n",
                owner.pid, owner.started, owner.boot
            )
        };
        let api = name("api.local");
        let view = View::new(block(&own).as_bytes(), Some(&own)).unwrap();
        assert!(view.mappings().is_empty());
        let view = View::new(block(&other).as_bytes(), Some(&own)).unwrap();
        assert_eq!(view.of_another_instance(&api), Some([127, 77, 0, 1].into()));
        assert_eq!(view.foreign(&api).count(), 0);
    }
}

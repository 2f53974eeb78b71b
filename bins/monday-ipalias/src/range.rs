//! The range that addresses are taken from: loopback only, less what others use.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use crate::error::Error;

/// A part of 127.0.0.0/8, as it is written in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    first: u32,
    prefix: u32,
}

/// Why a text is not a range for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// It is not CIDR notation.
    #[error("`{0}` is not a range of IPv4 addresses; write it like 127.77.0.0/16")]
    Syntax(String),
    /// It leaves the loopback network.
    #[error("`{0}` is not within 127.0.0.0/8; only loopback addresses are ever given out")]
    NotLoopback(String),
    /// All of it is used by others.
    #[error(
        "every address of `{0}` is one that other programs use; take another range, such as 127.77.0.0/16"
    )]
    NothingLeft(String),
}

/// Addresses that are never given out, from and to, with who uses them.
const AVOIDED: [(Ipv4Addr, Ipv4Addr, &str); 3] = [
    // localhost, Docker's DNS (.11), systemd-resolved (.53 and .54).
    (
        Ipv4Addr::new(127, 0, 0, 0),
        Ipv4Addr::new(127, 0, 0, 255),
        "the machine itself and its name servers",
    ),
    // 127.0.1.1 is the machine's own name on Debian and Ubuntu; the Go tool of our name began to count there.
    (
        Ipv4Addr::new(127, 0, 1, 0),
        Ipv4Addr::new(127, 0, 1, 255),
        "the machine's own host name",
    ),
    // kubefwd counts upward from 127.1.27.1.
    (
        Ipv4Addr::new(127, 1, 27, 0),
        Ipv4Addr::new(127, 1, 255, 255),
        "kubefwd",
    ),
];

/// Who uses an address, if it is one that is never given out.
#[must_use]
pub fn avoided(ip: Ipv4Addr) -> Option<&'static str> {
    if !ip.is_loopback() {
        return Some("the network: it is not a loopback address");
    }
    // Some programs take the first and the last address of a /24 for those of the network and of everybody.
    if matches!(ip.octets()[3], 0 | 255) {
        return Some("nobody, but programs take it for a network or broadcast address");
    }
    AVOIDED
        .iter()
        .find(|(from, to, _)| (*from..=*to).contains(&ip))
        .map(|(_, _, who)| *who)
}

/// The last line of defence before something is done with an address.
///
/// # Errors
/// [`Error::NeverGiven`] if it is none that is given out.
pub fn only_ours(ip: IpAddr) -> Result<(), Error> {
    let why = match ip {
        IpAddr::V4(ip) => avoided(ip),
        IpAddr::V6(_) => Some("nobody here: only 127.0.0.0/8 is given out"),
    };
    match why {
        None => Ok(()),
        Some(why) => Err(Error::NeverGiven { ip, why }),
    }
}

impl Range {
    /// How many addresses it has, those included that are avoided.
    #[must_use]
    pub fn size(self) -> u32 {
        // A prefix is at least 8.
        1 << (32 - self.prefix)
    }

    /// The address at that place, counted from 0 and around the end.
    #[must_use]
    pub fn nth(self, place: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.first + place % self.size())
    }

    /// Whether the address is one of it.
    #[must_use]
    pub fn contains(self, ip: Ipv4Addr) -> bool {
        u32::from(ip) & !(self.size() - 1) == self.first
    }
}

impl Default for Range {
    fn default() -> Self {
        Self {
            first: u32::from(Ipv4Addr::new(127, 77, 0, 0)),
            prefix: 16,
        }
    }
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let syntax = || RangeError::Syntax(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(syntax)?;
        let address: Ipv4Addr = address.parse().map_err(|_| syntax())?;
        let prefix: u32 = prefix.parse().map_err(|_| syntax())?;
        if prefix > 32 {
            return Err(syntax());
        }
        if !address.is_loopback() || prefix < 8 {
            return Err(RangeError::NotLoopback(text.to_owned()));
        }
        let mask = u32::MAX << (32 - prefix);
        let range = Self {
            first: u32::from(address) & mask,
            prefix,
        };
        if (0..range.size()).all(|place| avoided(range.nth(place)).is_some()) {
            return Err(RangeError::NothingLeft(text.to_owned()));
        }
        Ok(range)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.first), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_and_written_in_cidr_notation() {
        let range: Range = "127.77.0.0/16".parse().unwrap();
        assert_eq!(range, Range::default());
        assert_eq!(range.to_string(), "127.77.0.0/16");
        assert_eq!(range.size(), 65_536);
        assert_eq!(range.nth(258), Ipv4Addr::new(127, 77, 1, 2));
        assert_eq!(range.nth(65_536 + 1), Ipv4Addr::new(127, 77, 0, 1));
        assert!(range.contains(Ipv4Addr::new(127, 77, 255, 255)));
        assert!(!range.contains(Ipv4Addr::new(127, 78, 0, 0)));
        // Bits behind the prefix do not matter.
        assert_eq!("127.77.3.4/16".parse(), Ok(range));
        assert_eq!("127.9.9.9/32".parse::<Range>().unwrap().size(), 1);
        assert_eq!("127.0.0.0/8".parse::<Range>().unwrap().size(), 1 << 24);
    }

    #[test]
    fn only_loopback_ranges_with_a_usable_address_are_taken() {
        for outside in ["10.0.0.0/8", "127.0.0.0/7", "0.0.0.0/0", "128.0.0.0/16"] {
            let refused = outside.parse::<Range>();
            assert!(
                matches!(refused, Err(RangeError::NotLoopback(_))),
                "{outside}"
            );
        }
        for garbage in [
            "",
            "127.77.0.0",
            "127.77.0.0/",
            "127.77.0.0/33",
            "a/8",
            "127.1/8",
            "::1/128",
        ] {
            let refused = garbage.parse::<Range>();
            assert!(matches!(refused, Err(RangeError::Syntax(_))), "{garbage}");
        }
        for used in [
            "127.0.0.0/24",
            "127.0.1.1/32",
            "127.1.27.0/24",
            "127.77.0.0/32",
        ] {
            let refused = used.parse::<Range>();
            assert!(matches!(refused, Err(RangeError::NothingLeft(_))), "{used}");
        }
    }

    #[test]
    fn addresses_of_others_are_avoided() {
        for theirs in [
            [127, 0, 0, 1],
            [127, 0, 0, 11],
            [127, 0, 0, 53],
            [127, 0, 1, 1],
            [127, 1, 27, 1],
            [127, 1, 30, 9],
            [127, 77, 3, 0],
            [127, 77, 3, 255],
            [10, 0, 0, 1],
        ] {
            assert!(avoided(theirs.into()).is_some(), "{theirs:?}");
        }
        assert!(avoided([127, 77, 0, 1].into()).is_none());
        assert!(avoided([127, 1, 26, 1].into()).is_none());
    }
}

//! The IPv6 line beside a name's IPv4 line, where the operating system needs one.
//!
//! macOS asks for both kinds of address of a name. Where the hosts file has only one kind, it asks the network for the
//! other, and for names in `.local` that takes five seconds each time. A line with any IPv6 address ends that, but
//! clients then try that address first. `::1` would lead them to whatever listens there; the IPv4-mapped address
//! (RFC 4291, section 2.5.5.2) leads to the same listener as the IPv4 line, since connecting to it is connecting over
//! IPv4.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Which IPv6 address stands beside an IPv4 address, if any.
pub type Companion = fn(Ipv4Addr) -> Option<Ipv6Addr>;

/// None is needed.
#[must_use]
pub fn none(_ip: Ipv4Addr) -> Option<Ipv6Addr> {
    None
}

/// The same address, as IPv6 writes it.
#[must_use]
#[allow(clippy::unnecessary_wraps, reason = "it is one of two")]
pub fn v4_mapped(ip: Ipv4Addr) -> Option<Ipv6Addr> {
    Some(ip.to_ipv6_mapped())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_companion_leads_to_the_same_address() {
        let ip = Ipv4Addr::new(127, 77, 0, 1);
        let companion = v4_mapped(ip).unwrap();
        assert_eq!(companion.to_string(), "::ffff:127.77.0.1");
        assert_eq!(companion.to_ipv4_mapped(), Some(ip));
        assert_eq!(none(ip), None);
    }
}

//! Which address a name gets: the same one every time, as long as it is free.
//!
//! The name's hash says where in the range to begin; from there the addresses are tried one after the other. The hash
//! is FNV-1a, which is the same on every machine and in every version of this program.

use std::hash::Hasher as _;
use std::net::Ipv4Addr;

use monday_shared::socket::runtime_dir::Fnv;

use crate::range::{Range, avoided};
use monday_shared::hostname::Hostname;

/// Every address that the name may get, the best one first.
pub fn candidates(name: &Hostname, range: Range) -> impl Iterator<Item = Ipv4Addr> + use<> {
    let first = first_place(name, range);
    (0..range.size())
        .map(move |step| range.nth(first + step))
        .filter(|ip| avoided(*ip).is_none())
}

fn first_place(name: &Hostname, range: Range) -> u32 {
    let mut hasher = Fnv::default();
    hasher.write(name.as_str().as_bytes());
    let hash = hasher.finish();
    // The high half of FNV-1a is better mixed for short inputs than the low one; folding uses both. The range has at
    // most 2^24 addresses, so the remainder fits.
    let folded = (hash >> 32) ^ (hash & u64::from(u32::MAX));
    u32::try_from(folded % u64::from(range.size())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn name(text: &str) -> Hostname {
        text.parse().unwrap()
    }

    fn pick(text: &str, range: Range) -> Option<Ipv4Addr> {
        candidates(&name(text), range).next()
    }

    /// These are a promise: a name keeps its address from one version to the next.
    #[test]
    fn the_address_of_a_name_is_the_same_in_every_version() {
        let picked: Vec<String> = ["api.svc.local", "db.svc.local", "user-api.svc.local"]
            .iter()
            .map(|text| pick(text, Range::default()).unwrap().to_string())
            .collect();
        assert_eq!(picked, EXPECTED);
    }

    const EXPECTED: [&str; 3] = ["127.77.184.131", "127.77.21.170", "127.77.67.252"];

    #[test]
    fn case_does_not_change_the_address() {
        let range = Range::default();
        assert_eq!(pick("API.local", range), pick("api.local", range));
    }

    #[test]
    fn every_usable_address_of_the_range_comes_exactly_once() {
        let range: Range = "127.5.0.0/23".parse().unwrap();
        let all: Vec<Ipv4Addr> = candidates(&name("x"), range).collect();
        let distinct: HashSet<&Ipv4Addr> = all.iter().collect();
        assert_eq!(all.len(), distinct.len());
        assert_eq!(all.len(), 2 * 254);
        assert!(
            all.iter()
                .all(|ip| range.contains(*ip) && avoided(*ip).is_none())
        );
    }

    #[test]
    fn names_spread_over_the_range() {
        let range = Range::default();
        let names: HashSet<Ipv4Addr> = (0..200)
            .filter_map(|i| pick(&format!("service-{i}.svc.local"), range))
            .collect();
        // 200 names in 65,024 addresses: 0.3 collisions are expected.
        assert!(
            names.len() >= 197,
            "only {} addresses for 200 names",
            names.len()
        );
    }
}

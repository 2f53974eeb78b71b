use std::collections::HashSet;

use monday_shared::holder::Holder;

use super::*;
use crate::lease::LeasedName;
use crate::owner::{InstanceId, Owner};

fn name(text: &str) -> Hostname {
    text.parse().unwrap()
}

fn spec(text: &str, ports: &[u16]) -> NameSpec {
    NameSpec {
        ports: ports.to_vec(),
        ..NameSpec::new(text)
    }
}

/// What is known, to be filled by a test.
#[derive(Default)]
struct Known {
    range: Range,
    own: Table,
    leases: Vec<Lease>,
    hosts: View,
}

impl Known {
    fn with_hosts(hosts: &str) -> Self {
        Self {
            hosts: View::new(hosts.as_bytes(), None).unwrap(),
            ..Self::default()
        }
    }

    fn decide_with(
        &self,
        specs: &[NameSpec],
        probe: &dyn Fn(Ipv4Addr, u16) -> Option<Busy>,
    ) -> Result<Table, Error> {
        let world = World {
            range: self.range,
            own: &self.own,
            leases: &self.leases,
            hosts: &self.hosts,
        };
        decide(&wishes(specs)?, world, probe)
    }

    fn decide(&self, specs: &[NameSpec]) -> Result<Table, Error> {
        self.decide_with(specs, &|_, _| None)
    }

    fn ip(&self, text: &str) -> Ipv4Addr {
        self.decide(&[spec(text, &[])]).unwrap()[&name(text)].ip
    }
}

fn lease(text: &str, ip: Ipv4Addr, ports: &[u16]) -> Lease {
    let owner = Owner::this_process();
    Lease {
        instance: InstanceId::new(&owner),
        owner,
        started_by: None,
        hosts_file: "/etc/hosts".into(),
        names: vec![LeasedName {
            name: name(text),
            ip,
            ports: ports.to_vec(),
        }],
        aliases: BTreeSet::new(),
    }
}

fn held(ip: Ipv4Addr, port: u16, on: &str) -> Busy {
    let holder = Holder {
        address: format!("{on}:{port}").parse().unwrap(),
        pid: Some(12),
        process: Some("nginx".to_owned()),
    };
    Busy {
        ip,
        port,
        holder: Some(holder),
    }
}

#[test]
fn a_name_gets_the_address_of_its_hash_whoever_asks_and_in_whatever_company() {
    let alone = Known::default().ip("api.local");
    let many: Vec<NameSpec> = ["z.local", "api.local", "a.local"]
        .iter()
        .map(|n| spec(n, &[]))
        .collect();
    let together = Known::default().decide(&many).unwrap();
    assert_eq!(together[&name("api.local")].ip, alone);
    let addresses: HashSet<Ipv4Addr> = together.values().map(|has| has.ip).collect();
    assert_eq!(addresses.len(), 3);
}

#[test]
fn a_name_that_occurs_twice_is_one_with_the_ports_of_both() {
    let decided = Known::default()
        .decide(&[spec("api.local", &[80]), spec("API.local", &[81])])
        .unwrap();
    assert_eq!(decided.len(), 1);
    assert_eq!(decided[&name("api.local")].ports, BTreeSet::from([80, 81]));
}

#[test]
fn an_address_of_another_name_is_passed_over_wherever_that_name_stands() {
    let usual = Known::default().ip("api.local");
    let foreign = Known::with_hosts(&format!("{usual} other.example\n"));
    let leased = Known {
        leases: vec![lease("other.local", usual, &[])],
        ..Known::default()
    };
    let other = Assigned {
        ip: usual,
        ports: BTreeSet::new(),
        note: None,
    };
    let owned = Known {
        own: Table::from([(name("other.local"), other)]),
        ..Known::default()
    };
    for known in [foreign, leased, owned] {
        assert_ne!(known.ip("api.local"), usual);
    }
}

#[test]
fn one_name_has_one_address_in_two_projects_unless_they_want_the_same_port() {
    let theirs = Ipv4Addr::new(127, 77, 9, 9);
    let known = Known {
        leases: vec![lease("api.local", theirs, &[80, 443])],
        ..Known::default()
    };
    let decided = known.decide(&[spec("api.local", &[8080])]).unwrap();
    assert_eq!(decided[&name("api.local")].ip, theirs);

    let refused = known
        .decide(&[spec("free.local", &[]), spec("api.local", &[443])])
        .unwrap_err();
    let pid = std::process::id();
    assert!(matches!(refused, Error::Taken { port: 443, pid: named, .. } if named == pid));
    assert!(
        refused.to_string().contains(&format!("pid {pid}")),
        "{refused}"
    );
}

#[test]
fn the_block_of_another_instance_says_its_addresses_too() {
    let owner = Owner::this_process();
    let id = InstanceId::new(&owner);
    let known = Known::with_hosts(&format!(
        "# monday-ipalias begin {id} pid={} started={} boot={}\n127.77.5.5\tapi.local\n# monday-ipalias end {id}\n",
        owner.pid, owner.started, owner.boot
    ));
    assert_eq!(known.ip("api.local"), Ipv4Addr::new(127, 77, 5, 5));
    let usual_of_other = known.ip("other.local");
    assert_ne!(usual_of_other, Ipv4Addr::new(127, 77, 5, 5));
}

#[test]
fn a_forged_lease_or_block_gives_no_address_that_is_never_given_out() {
    let usual = Known::default().ip("github.com");
    let owner = Owner::this_process();
    let id = InstanceId::new(&owner);
    for forged in ["203.0.113.5", "0.0.0.0", "127.0.0.1", "127.0.1.1"] {
        let leased = Known {
            leases: vec![lease("github.com", forged.parse().unwrap(), &[])],
            ..Known::default()
        };
        let in_block = Known::with_hosts(&format!(
            "# monday-ipalias begin {id} pid={} started={} boot={}\n{forged}\tgithub.com\n# monday-ipalias end {id}\n",
            owner.pid, owner.started, owner.boot
        ));
        for known in [leased, in_block] {
            assert_eq!(known.ip("github.com"), usual, "{forged}");
        }
    }
}

#[test]
fn the_address_from_before_is_taken_without_probing_unless_another_name_has_it() {
    let before = Ipv4Addr::new(127, 77, 3, 4);
    let wish = NameSpec {
        ip: Some(before.into()),
        ..spec("api.local", &[80])
    };
    let unprobed = |_: Ipv4Addr, _: u16| -> Option<Busy> { panic!("it was probed") };
    let decided = Known::default()
        .decide_with(std::slice::from_ref(&wish), &unprobed)
        .unwrap();
    assert_eq!(decided[&name("api.local")].ip, before);

    let known = Known {
        leases: vec![lease("other.local", before, &[])],
        ..Known::default()
    };
    let decided = known.decide(&[wish]).unwrap();
    let has = &decided[&name("api.local")];
    assert_ne!(has.ip, before);
    assert!(has.note.as_ref().unwrap().contains("127.77.3.4"));
}

#[test]
fn only_our_kind_of_address_can_have_been_there_before() {
    for ip in [
        "10.0.0.1",
        "127.0.0.1",
        "127.0.1.1",
        "::1",
        "0.0.0.0",
        "127.77.0.255",
    ] {
        let wish = NameSpec {
            ip: Some(ip.parse().unwrap()),
            ..spec("api.local", &[])
        };
        let refused = Known::default().decide(&[wish]);
        assert!(matches!(refused, Err(Error::Address { .. })), "{ip}");
    }
}

#[test]
fn a_name_that_is_asked_for_without_ports_keeps_those_that_it_has() {
    let has = Assigned {
        ip: [127, 77, 8, 9].into(),
        ports: BTreeSet::from([80]),
        note: Some("why".to_owned()),
    };
    let known = Known {
        own: Table::from([(name("api.local"), has.clone())]),
        ..Known::default()
    };
    let decided = known.decide(&[spec("api.local", &[])]).unwrap();
    assert_eq!(decided[&name("api.local")], has);
}

#[test]
fn a_name_that_has_an_address_keeps_it_and_gets_the_new_ports() {
    let kept = Assigned {
        ip: [127, 77, 8, 8].into(),
        ports: BTreeSet::from([80]),
        note: Some("why".to_owned()),
    };
    let known = Known {
        own: Table::from([(name("api.local"), kept.clone())]),
        ..Known::default()
    };
    let decided = known.decide(&[spec("api.local", &[81])]).unwrap();
    let expected = Assigned {
        ports: BTreeSet::from([81]),
        ..kept
    };
    assert_eq!(decided[&name("api.local")], expected);
}

#[test]
fn an_address_with_a_taken_port_is_passed_over_and_the_holder_named() {
    let usual = Known::default().ip("api.local");
    let probe = |ip: Ipv4Addr, port: u16| {
        (ip == usual && port == 8080).then(|| held(ip, port, &ip.to_string()))
    };
    let decided = Known::default()
        .decide_with(&[spec("api.local", &[80, 8080])], &probe)
        .unwrap();
    let has = &decided[&name("api.local")];
    assert_ne!(has.ip, usual);
    assert!(
        has.note.as_ref().unwrap().contains("nginx (pid 12)"),
        "{has:?}"
    );
}

#[test]
fn a_port_that_is_taken_everywhere_moves_nobody_and_is_explained() {
    let usual = Known::default().ip("api.local");
    let probe = |ip: Ipv4Addr, port: u16| Some(held(ip, port, "0.0.0.0"));
    let decided = Known::default()
        .decide_with(&[spec("api.local", &[8080])], &probe)
        .unwrap();
    let has = &decided[&name("api.local")];
    assert_eq!(has.ip, usual);
    let note = has.note.as_ref().unwrap();
    assert!(
        note.contains("nginx (pid 12)") && note.contains("every address"),
        "{note}"
    );

    // The same where the holder cannot be seen.
    let unseen = |ip: Ipv4Addr, port: u16| {
        Some(Busy {
            ip,
            port,
            holder: None,
        })
    };
    let decided = Known::default()
        .decide_with(&[spec("api.local", &[8080])], &unseen)
        .unwrap();
    assert_eq!(decided[&name("api.local")].ip, usual);
}

#[test]
fn a_line_that_a_person_wrote_with_an_address_of_ours_is_followed() {
    let known =
        Known::with_hosts("127.77.4.4 api.local\n127.0.1.9 old.local\n10.0.0.9 far.local\n");
    assert_eq!(known.ip("api.local"), Ipv4Addr::new(127, 77, 4, 4));
    for elsewhere in ["old.local", "far.local"] {
        assert_eq!(known.ip(elsewhere), Known::default().ip(elsewhere));
    }
}

#[test]
fn a_small_range_is_used_up_to_its_last_address() {
    let known = Known {
        range: "127.77.0.0/30".parse().unwrap(),
        ..Known::default()
    };
    let three: Vec<NameSpec> = ["a", "b", "c"].iter().map(|n| spec(n, &[])).collect();
    assert_eq!(known.decide(&three).unwrap().len(), 3);
    let four: Vec<NameSpec> = ["a", "b", "c", "d"].iter().map(|n| spec(n, &[])).collect();
    assert!(matches!(known.decide(&four), Err(Error::Exhausted { .. })));
}

#[test]
fn a_hostile_name_is_refused_by_name() {
    let refused = wishes(&[spec("a\n127.0.0.1 bank.example", &[])]).unwrap_err();
    assert!(matches!(refused, Error::Hostname { .. }));
    assert!(!refused.to_string().contains('\n'), "{refused}");
}

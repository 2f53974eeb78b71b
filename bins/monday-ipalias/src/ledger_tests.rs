use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::*;
use crate::alias::Interface;
use crate::alias::tests::Remembered;
use crate::companion;

struct Place {
    folder: tempfile::TempDir,
    hosts: PathBuf,
}

impl Place {
    fn new(content: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hosts = folder.path().join("hosts");
        fs::write(&hosts, content).unwrap();
        Self { folder, hosts }
    }

    fn settings(&self) -> Settings {
        let leases = LeaseFolder::at(self.folder.path().join("leases")).unwrap();
        Settings::new(self.hosts.clone(), leases)
    }

    fn open(&self) -> Ledger {
        Ledger::open(self.settings()).unwrap()
    }

    fn content(&self) -> String {
        fs::read_to_string(&self.hosts).unwrap()
    }

    fn leases(&self) -> usize {
        fs::read_dir(self.folder.path().join("leases"))
            .unwrap()
            .count()
    }
}

fn specs(names: &[&str]) -> Vec<NameSpec> {
    names.iter().map(|name| NameSpec::new(*name)).collect()
}

const LOCALHOST: &str = "127.0.0.1 localhost\n";

/// The block of a process that was killed: like a real one, with another start time.
fn block_of_the_dead(names: &str) -> String {
    let owner = Owner::this_process();
    let id = InstanceId::new(&owner);
    format!(
        "# monday-ipalias begin {id} pid={} started={} boot={}\n{names}# monday-ipalias end {id}\n",
        owner.pid,
        owner.started + 1,
        owner.boot
    )
}

#[test]
fn names_come_with_their_addresses_and_leave_no_trace() {
    let place = Place::new(LOCALHOST);
    let mut ledger = place.open();
    let names = ledger.assign(&specs(&["db.local", "API.local"])).unwrap();
    assert_eq!(
        names.hosts,
        HostsStatus::Written {
            file: place.hosts.display().to_string()
        }
    );
    let asked: Vec<&str> = names
        .names
        .iter()
        .map(|status| status.name.as_str())
        .collect();
    assert_eq!(asked, ["db.local", "API.local"]);
    for status in &names.names {
        assert!(status.resolves);
        let line = format!("{}\t{}\n", status.ip, status.name.to_lowercase());
        assert!(place.content().contains(&line));
    }
    assert_eq!(
        ledger.assign(&specs(&["db.local", "API.local"])).unwrap(),
        names
    );
    ledger.close().unwrap();
    assert_eq!(place.content(), LOCALHOST);
    assert_eq!(place.leases(), 0);
}

#[test]
fn released_names_go_and_those_that_were_not_there_are_no_error() {
    let place = Place::new(LOCALHOST);
    let mut ledger = place.open();
    ledger.assign(&specs(&["a.local", "b.local"])).unwrap();
    let gone = ledger.release(&[
        "a.local".to_owned(),
        "never.local".to_owned(),
        "!".to_owned(),
    ]);
    assert_eq!(gone.released, ["a.local"]);
    assert!(!place.content().contains("a.local") && place.content().contains("b.local"));
    ledger.release(&["b.local".to_owned()]);
    assert_eq!(place.content(), LOCALHOST);
    assert!(matches!(ledger.list().hosts, HostsStatus::Untouched { .. }));
}

#[test]
fn one_bad_name_leaves_the_whole_batch_undone() {
    let place = Place::new(LOCALHOST);
    let mut ledger = place.open();
    assert!(ledger.assign(&specs(&["a.local", "b local"])).is_err());
    assert!(ledger.list().names.is_empty());
    assert_eq!(place.content(), LOCALHOST);
    let thousands: Vec<String> = (0..10_000).map(|n| format!("n{n}.local")).collect();
    let thousands: Vec<&str> = thousands.iter().map(String::as_str).collect();
    assert!(matches!(
        ledger.assign(&specs(&thousands)),
        Err(Error::TooMany { .. })
    ));
}

#[test]
fn a_file_that_cannot_be_edited_leaves_addresses_that_work_and_says_why() {
    let place = Place::new("# monday-ipalias end 0123456789abcdef\n");
    let mut ledger = place.open();
    let names = ledger.assign(&specs(&["api.local"])).unwrap();
    assert!(!names.names[0].resolves);
    let HostsStatus::Unwritable { reason, .. } = names.hosts else {
        panic!("{:?}", names.hosts);
    };
    assert!(reason.contains("line 1"), "{reason}");

    // Somebody repairs the file: within a few looks the names are in it.
    fs::write(&place.hosts, LOCALHOST).unwrap();
    let event = (0..=LOOKS_LEFT_OUT).find_map(|_| ledger.look_again());
    let Some(Event::Assigned(names)) = event else {
        panic!("{event:?}");
    };
    assert!(names.names[0].resolves);
    ledger.close().unwrap();
    assert_eq!(place.content(), LOCALHOST);
}

#[test]
fn a_foreign_line_is_neither_overridden_nor_doubled() {
    let foreign = "127.0.1.5 api.local\n";
    let place = Place::new(foreign);
    let mut ledger = place.open();
    let names = ledger.assign(&specs(&["api.local", "db.local"])).unwrap();
    let (api, db) = (&names.names[0], &names.names[1]);
    assert!(!api.resolves && db.resolves);
    assert!(api.note.as_ref().unwrap().contains("line 1"));
    assert_eq!(place.content().matches("api.local").count(), 1);

    // It goes, and our line comes.
    fs::write(&place.hosts, place.content().replace(foreign, "")).unwrap();
    assert!(matches!(
        ledger.look_again(),
        Some(Event::Rewritten { times: 1 })
    ));
    assert!(ledger.list().names[0].resolves);
}

#[test]
fn a_line_that_a_person_added_by_hand_makes_the_name_resolve() {
    let place = Place::new("");
    let mut ledger = place.open();
    let ip = ledger.assign(&specs(&["api.local"])).unwrap().names[0].ip;
    ledger.close().unwrap();
    fs::write(&place.hosts, format!("{ip} api.local\n")).unwrap();
    let mut ledger = place.open();
    let names = ledger.assign(&specs(&["api.local"])).unwrap();
    assert_eq!(names.names[0].ip, ip);
    assert!(names.names[0].resolves);
    assert_eq!(place.content(), format!("{ip} api.local\n"));
}

#[test]
fn a_block_that_somebody_removed_is_written_again_and_counted() {
    let place = Place::new(LOCALHOST);
    let mut ledger = place.open();
    ledger.assign(&specs(&["api.local"])).unwrap();
    for times in 1..=2 {
        fs::write(&place.hosts, "10.0.0.1 theirs\n").unwrap();
        assert_eq!(ledger.look_again(), Some(Event::Rewritten { times }));
        assert!(place.content().starts_with("10.0.0.1 theirs\n# monday"));
        assert_eq!(ledger.look_again(), None);
    }
    ledger.close().unwrap();
    assert_eq!(place.content(), "10.0.0.1 theirs\n");
}

#[test]
fn the_next_start_removes_what_the_dead_left_and_nothing_of_the_living() {
    let dead = block_of_the_dead("127.77.0.9\tdead.local\n");
    let place = Place::new(&format!("{LOCALHOST}{dead}# mine\n"));
    let mut living = place.open();
    assert_eq!(place.content(), format!("{LOCALHOST}# mine\n"));
    living.assign(&specs(&["living.local"])).unwrap();
    let with_living = place.content();
    let next = place.open();
    assert_eq!(place.content(), with_living);
    next.close().unwrap();
    assert_eq!(place.content(), with_living);
}

#[test]
fn two_instances_share_names_and_never_addresses_of_different_names() {
    let place = Place::new(LOCALHOST);
    let (mut one, mut two) = (place.open(), place.open());
    let first = one.assign(&specs(&["shared.local", "one.local"])).unwrap();
    let second = two.assign(&specs(&["two.local", "shared.local"])).unwrap();
    assert_eq!(first.names[0].ip, second.names[1].ip);
    assert!(second.names.iter().all(|status| status.resolves));
    one.close().unwrap();
    assert!(two.list().names.iter().all(|status| status.resolves));
    two.close().unwrap();
    assert_eq!(place.content(), LOCALHOST);
}

#[test]
fn the_same_name_and_port_in_two_instances_is_refused_and_names_the_first() {
    let place = Place::new(LOCALHOST);
    let (mut one, mut two) = (place.open(), place.open());
    let wish = NameSpec {
        ports: vec![54_321],
        ..NameSpec::new("api.local")
    };
    one.assign(std::slice::from_ref(&wish)).unwrap();
    let before = place.content();
    let refused = two.assign(std::slice::from_ref(&wish)).unwrap_err();
    assert!(matches!(refused, Error::Taken { port: 54_321, pid, .. } if pid == std::process::id()));
    assert_eq!(place.content(), before);
    one.release(&["api.local".to_owned()]);
    two.assign(&[wish]).unwrap();
}

#[test]
fn a_preview_changes_nothing() {
    let place = Place::new(LOCALHOST);
    let (names, new) = Ledger::untouched(place.settings())
        .preview(&specs(&["api.local"]))
        .unwrap();
    assert!(names.names[0].resolves);
    assert!(
        String::from_utf8(new.unwrap())
            .unwrap()
            .contains("api.local")
    );
    assert_eq!(place.content(), LOCALHOST);
    assert_eq!(place.leases(), 0);
    let really = place.open().assign(&specs(&["api.local"])).unwrap();
    assert_eq!(really.names[0].ip, names.names[0].ip);
}

/// As on macOS: addresses have to be added to an interface, and names have an IPv6 line.
fn as_on_macos(place: &Place, interface: &Arc<Remembered>) -> Settings {
    let interface: Arc<dyn Interface> = Arc::<Remembered>::clone(interface);
    Settings {
        loopback: Some(interface),
        companion: companion::v4_mapped,
        ..place.settings()
    }
}

fn v4(names: &Names, which: usize) -> Ipv4Addr {
    match names.names[which].ip {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(ip) => panic!("{ip}"),
    }
}

#[test]
fn where_addresses_have_to_be_added_they_come_and_go_with_the_names() {
    let place = Place::new("127.0.0.1 localhost\n");
    let interface = Arc::new(Remembered::default());
    let has = || interface.has.lock().unwrap().clone();
    let mut ledger = Ledger::open(as_on_macos(&place, &interface)).unwrap();
    let specs = ["a.local", "b.local"].map(NameSpec::new);
    let names = ledger.assign(&specs).unwrap();
    assert!(
        names
            .names
            .iter()
            .all(|name| name.resolves && name.note.is_none())
    );
    let (a, b) = (v4(&names, 0), v4(&names, 1));
    assert_eq!(has(), BTreeSet::from([a, b]));
    assert_eq!(place.content().matches("::ffff:127.77.").count(), 2);
    // Another instance with one of the names: whoever leaves last takes the address away.
    let mut other = Ledger::open(as_on_macos(&place, &interface)).unwrap();
    other.assign(&specs[..1]).unwrap();
    ledger.release(&["b.local".to_owned()]);
    assert_eq!(has(), BTreeSet::from([a]));
    ledger.close().unwrap();
    assert_eq!(has(), BTreeSet::from([a]));
    other.close().unwrap();
    assert_eq!(has(), BTreeSet::new());
    assert_eq!(place.content(), "127.0.0.1 localhost\n");
}

#[test]
fn an_address_that_a_dead_instance_has_left_is_taken_away_and_a_foreign_one_stays() {
    let place = Place::new("");
    let interface = Arc::new(Remembered::default());
    let mut ledger = Ledger::open(as_on_macos(&place, &interface)).unwrap();
    let left = v4(&ledger.assign(&[NameSpec::new("a.local")]).unwrap(), 0);
    // It dies: its lease says so.
    let leases = LeaseFolder::at(place.folder.path().join("leases")).unwrap();
    let mut lease = leases.living().unwrap().remove(0);
    assert_eq!(lease.aliases, BTreeSet::from([left]));
    lease.owner.started = 1;
    leases.write(&lease).unwrap();
    std::mem::forget(ledger);
    let foreign = Ipv4Addr::new(127, 77, 9, 9);
    interface.has.lock().unwrap().insert(foreign);
    Ledger::open(as_on_macos(&place, &interface))
        .unwrap()
        .close()
        .unwrap();
    assert_eq!(*interface.has.lock().unwrap(), BTreeSet::from([foreign]));
}

#[test]
fn an_address_that_cannot_be_added_is_told_beside_its_name() {
    let place = Place::new("");
    let interface = Arc::new(Remembered {
        forbids: true,
        ..Remembered::default()
    });
    let mut ledger = Ledger::open(as_on_macos(&place, &interface)).unwrap();
    let names = ledger.assign(&[NameSpec::new("a.local")]).unwrap();
    let note = names.names[0].note.as_ref().unwrap();
    assert!(
        note.contains("loopback interface") && note.contains("sudo"),
        "{note}"
    );
}

#[test]
fn a_port_of_an_assigned_address_is_bound_and_its_holder_named() {
    let place = Place::new("");
    let mut ledger = place.open();
    let ip = ledger.assign(&[NameSpec::new("a.local")]).unwrap().names[0].ip;
    let holder = std::net::TcpListener::bind((ip, 0)).unwrap();
    let port = holder.local_addr().unwrap().port();
    let error = ledger.bind(&Bind { ip, port }).unwrap_err();
    let pid = format!("pid {}", std::process::id());
    assert!(error.to_string().contains(&pid), "{error}");
    drop(holder);
    ledger.bind(&Bind { ip, port }).unwrap();
    let other = IpAddr::from([127, 0, 0, 1]);
    let refused = ledger.bind(&Bind { ip: other, port });
    assert!(matches!(refused, Err(Error::NotAssigned { .. })));
    assert!(matches!(
        ledger.bind(&Bind { ip, port: 0 }),
        Err(Error::PortZero)
    ));
}

#[test]
fn two_names_exchange_their_addresses_in_one_rewrite() {
    let place = Place::new(LOCALHOST);
    let mut ledger = place.open();
    let names = ["a.local".to_owned(), "b.local".to_owned()];
    let before = ledger.assign(&specs(&["a.local", "b.local"])).unwrap();
    let after = ledger.exchange(&names).unwrap();
    assert_eq!(after.names[0].ip, before.names[1].ip);
    assert_eq!(after.names[1].ip, before.names[0].ip);
    assert!(after.names.iter().all(|name| name.resolves));
    assert_eq!(ledger.exchange(&names).unwrap(), before);
    let unknown = ledger.exchange(&["a.local".to_owned(), "c.local".to_owned()]);
    assert!(matches!(unknown, Err(Error::Unassigned { .. })));
    assert_eq!(ledger.list(), before, "nothing was changed");
}

#[test]
fn a_private_copy_follows_its_base_with_and_without_names_and_our_names_win_there() {
    let place = Place::new("");
    let base = place.folder.path().join("base");
    fs::write(&base, "127.0.1.3 api.local\n").unwrap();
    let mut settings = place.settings();
    settings.how.base = Some(base.clone());
    let mut ledger = Ledger::open(settings).unwrap();
    assert_eq!(place.content(), "127.0.1.3 api.local\n");
    fs::write(&base, "127.0.1.3 api.local\n10.0.0.1 box\n").unwrap();
    while !place.content().contains("box") {
        ledger.look_again();
    }
    let names = ledger.assign(&specs(&["api.local"])).unwrap();
    assert!(names.names[0].resolves);
    assert_eq!(names.names[0].note, None);
    assert!(place.content().starts_with("10.0.0.1 box\n# monday"));
    fs::write(&base, "10.0.0.1 box\n10.0.0.2 more\n").unwrap();
    ledger.look_again();
    assert!(
        place
            .content()
            .starts_with("10.0.0.1 box\n10.0.0.2 more\n# monday")
    );
    ledger.close().unwrap();
    assert_eq!(place.content(), fs::read_to_string(base).unwrap());
}

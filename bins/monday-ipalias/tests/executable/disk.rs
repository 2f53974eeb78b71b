//! Disks that are full, files that are read-only or in odd places.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use monday_ipalias::hosts::step::Steps;
use monday_ipalias::ledger::Ledger;
use monday_shared::protocol::ipalias::{HostsStatus, NameSpec, Names};

use crate::namespace;
use crate::place::Place;

fn assign(ledger: &mut Ledger, names: &[&str]) -> Names {
    let specs: Vec<NameSpec> = names.iter().map(|name| NameSpec::new(*name)).collect();
    ledger.assign(&specs).unwrap()
}

fn reason(names: &Names) -> &str {
    match &names.hosts {
        HostsStatus::Unwritable { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

/// A small filesystem of its own at the hosts file's folder, the runtime folder being elsewhere.
fn on_a_small_disk(content: &[u8]) -> Place {
    let place = Place::new(b"");
    let folder = place.hosts.parent().unwrap().to_str().unwrap().to_owned();
    namespace::mount(&["-t", "tmpfs", "-o", "size=64k", "none", &folder]);
    fs::write(&place.hosts, content).unwrap();
    place
}

fn fill(place: &Place) -> PathBuf {
    let filler = place.hosts.with_file_name("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    filler
}

#[test]
fn a_full_disk_changes_nothing_and_room_brings_the_names() {
    if !namespace::enter("disk::a_full_disk_changes_nothing_and_room_brings_the_names") {
        return;
    }
    for in_place in [false, true] {
        // A whole page, so that a block needs another one.
        let original = b"10.0.0.1 somebody\n".repeat(4096 / 18);
        let original = [original.clone(), b"#".repeat(4096 - original.len())].concat();
        let place = on_a_small_disk(&original);
        let filler = fill(&place);
        let mut ledger = Ledger::open(place.settings(in_place, Steps::default())).unwrap();
        let names = assign(&mut ledger, &["api.local"]);
        assert!(reason(&names).contains("No space left"), "{names:?}");
        assert!(!names.names[0].resolves);
        assert_eq!(place.content(), original);
        assert_eq!(place.files_beside(), ["filler"]);

        fs::remove_file(filler).unwrap();
        while ledger.look_again().is_none() {}
        assert!(ledger.list().names[0].resolves);
        ledger.close().unwrap();
        assert_eq!(place.content(), original);
    }
}

#[test]
fn names_are_taken_back_although_the_disk_has_become_full() {
    if !namespace::enter("disk::names_are_taken_back_although_the_disk_has_become_full") {
        return;
    }
    for in_place in [false, true] {
        let original = b"127.0.0.1 localhost\r\n# no end";
        let place = on_a_small_disk(original);
        let mut ledger = Ledger::open(place.settings(in_place, Steps::default())).unwrap();
        assign(&mut ledger, &["api.local", "db.local"]);
        fill(&place);
        ledger.release(&["api.local".to_owned()]);
        assert!(!String::from_utf8_lossy(&place.content()).contains("api.local"));
        ledger.close().unwrap();
        assert_eq!(place.content(), original);
        assert_eq!(place.files_beside(), ["filler"]);
    }
}

#[test]
fn a_read_only_mount_leaves_the_addresses() {
    if !namespace::enter("disk::a_read_only_mount_leaves_the_addresses") {
        return;
    }
    let place = Place::new(b"127.0.0.1 localhost\n");
    let path = place.hosts.to_str().unwrap();
    namespace::mount(&["--bind", path, path]);
    namespace::mount(&["-o", "remount,bind,ro", path]);
    let mut ledger = Ledger::open(place.settings(false, Steps::default())).unwrap();
    let names = assign(&mut ledger, &["api.local"]);
    assert!(reason(&names).contains("Read-only"), "{names:?}");
    assert!(!names.names[0].resolves && names.names[0].ip.is_loopback());
    ledger.close().unwrap();
    assert_eq!(place.content(), b"127.0.0.1 localhost\n");
}

#[test]
fn a_mount_point_is_written_in_place_and_stays_one() {
    if !namespace::enter("disk::a_mount_point_is_written_in_place_and_stays_one") {
        return;
    }
    let original = b"127.0.0.1 localhost";
    let place = Place::new(b"hidden by the mount");
    let source = place.folder.path().join("source");
    fs::write(&source, original).unwrap();
    namespace::mount(&[
        "--bind",
        source.to_str().unwrap(),
        place.hosts.to_str().unwrap(),
    ]);
    let inode = fs::metadata(&place.hosts).unwrap().ino();
    let mut ledger = Ledger::open(place.settings(false, Steps::default())).unwrap();
    assert!(assign(&mut ledger, &["api.local"]).names[0].resolves);
    assert_eq!(fs::read(&source).unwrap(), place.content());
    assert_eq!(fs::metadata(&place.hosts).unwrap().ino(), inode);
    ledger.close().unwrap();
    assert_eq!(fs::read(&source).unwrap(), original);
    assert_eq!(place.files_beside(), Vec::<String>::new());
}

#[test]
fn a_read_only_folder_around_a_writable_file_has_its_journal_elsewhere() {
    if !namespace::enter(
        "disk::a_read_only_folder_around_a_writable_file_has_its_journal_elsewhere",
    ) {
        return;
    }
    // As in a container with a read-only root and a hosts file mounted into it.
    let original = b"127.0.0.1 localhost\n";
    let place = Place::new(b"");
    let source = place.folder.path().join("source");
    fs::write(&source, original).unwrap();
    let folder = place.hosts.parent().unwrap().to_str().unwrap();
    namespace::mount(&["--bind", folder, folder]);
    namespace::mount(&["-o", "remount,bind,ro", folder]);
    namespace::mount(&[
        "--bind",
        source.to_str().unwrap(),
        place.hosts.to_str().unwrap(),
    ]);
    let mut ledger = Ledger::open(place.settings(false, Steps::default())).unwrap();
    assert!(assign(&mut ledger, &["api.local"]).names[0].resolves);
    ledger.close().unwrap();
    assert_eq!(fs::read(&source).unwrap(), original);
}

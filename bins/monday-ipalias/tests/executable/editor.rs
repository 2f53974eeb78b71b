//! Others who write the file at the same time and take no lock.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use crate::namespace;
use crate::place::{DEADLINE, Place, Running};

/// How often the editor rewrites the file.
const VERSIONS: usize = 1_000;

/// How an editor writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Editor {
    /// Empties the file and fills it again.
    InPlace,
    /// Puts a new file in its place.
    Renames,
}

fn version(number: usize) -> String {
    format!(
        "127.0.0.1 localhost\n# version {number}\n10.0.0.{} box",
        number % 250
    )
}

fn write(editor: Editor, hosts: &Path, content: &str) {
    match editor {
        Editor::InPlace => fs::write(hosts, content).unwrap(),
        Editor::Renames => {
            let new = hosts.with_file_name("editor");
            fs::write(&new, content).unwrap();
            fs::rename(new, hosts).unwrap();
        }
    }
}

/// Whether the file is that version with a block of ours behind it.
fn is_version_with_block(content: &[u8], number: usize) -> bool {
    let text = String::from_utf8_lossy(content);
    text.strip_prefix(&version(number)).is_some_and(|rest| {
        rest.starts_with("\n# monday-ipalias begin ") && rest.contains("\tapi.local\n")
    })
}

fn the_last_version_survives(place: &Place, editor: Editor) {
    let running = place.start(&["api.local"]);
    for number in 0..VERSIONS {
        write(editor, &place.hosts, &version(number));
    }
    wait_for_block(place, &running);
    running.end();
    assert_eq!(
        String::from_utf8(place.content()).unwrap(),
        version(VERSIONS - 1),
        "{editor:?}"
    );
    assert_eq!(place.files_beside(), Vec::<String>::new());
}

/// Every rewrite of ours comes with an event, so each wait has an end.
fn wait_for_block(place: &Place, running: &Running) {
    while !is_version_with_block(&place.content(), VERSIONS - 1) {
        running.next_event();
    }
}

#[test]
fn the_last_of_a_thousand_versions_of_an_editor_that_renames_survives() {
    the_last_version_survives(&Place::new(version(0).as_bytes()), Editor::Renames);
}

#[test]
fn the_last_of_a_thousand_versions_of_an_editor_that_writes_in_place_survives() {
    the_last_version_survives(&Place::new(version(0).as_bytes()), Editor::InPlace);
}

#[test]
fn the_last_of_a_thousand_versions_survives_on_a_mount_point() {
    if !namespace::enter("editor::the_last_of_a_thousand_versions_survives_on_a_mount_point") {
        return;
    }
    let place = Place::new(version(0).as_bytes());
    let path = place.hosts.to_str().unwrap();
    namespace::mount(&["--bind", path, path]);
    the_last_version_survives(&place, Editor::InPlace);
}

#[test]
fn starts_and_ends_beside_a_busy_editor_never_cost_it_a_version() {
    let place = Place::new(version(0).as_bytes());
    let editing = {
        let hosts = place.hosts.clone();
        std::thread::spawn(move || {
            for number in 0..VERSIONS {
                write(Editor::Renames, &hosts, &version(number));
                // It stays until the editor writes again, but for the instant in which a write of ours that came too
                // late is undone.
                let begin = Instant::now();
                while !fs::read_to_string(&hosts)
                    .unwrap()
                    .starts_with(&version(number))
                {
                    assert!(begin.elapsed() < DEADLINE, "version {number} is lost");
                }
            }
        })
    };
    while !editing.is_finished() {
        place.start(&["api.local"]).end();
    }
    editing.join().unwrap();
    place.start(&["api.local"]).end();
    assert_eq!(
        String::from_utf8(place.content()).unwrap(),
        version(VERSIONS - 1)
    );
    assert_eq!(place.files_beside(), Vec::<String>::new());
}

#[test]
fn a_reader_never_sees_the_file_empty_or_without_its_foreign_lines() {
    let original = b"127.0.0.1 localhost\n10.0.0.1 box";
    for in_place in [false, true] {
        let place = Place::new(original);
        let (stop, looks) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let reader = {
            let (hosts, stop, looks) = (place.hosts.clone(), Arc::clone(&stop), Arc::clone(&looks));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let content = fs::read(&hosts).unwrap();
                    assert!(
                        content.starts_with(original),
                        "{:?}",
                        String::from_utf8_lossy(&content)
                    );
                    looks.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let how: &[&str] = if in_place { &["--in-place"] } else { &[] };
        for round in 0..10 {
            let one = place.start(&[&["api.local"], how].concat());
            let two = place.start(&[&["db.local", "cache.local"], how].concat());
            if round % 2 == 0 {
                one.kill();
            } else {
                one.end();
            }
            two.end();
        }
        place.clean();
        stop.store(true, Ordering::Relaxed);
        reader.join().unwrap();
        assert!(looks.load(Ordering::Relaxed) > 100);
        assert_eq!(place.content(), original);
        assert_eq!(place.files_beside(), Vec::<String>::new());
    }
}

//! Paths that do not exist yet, vanish and come again.

use std::fs;

use monday_shared::protocol::watch::Event;

use crate::harness::{World, set};

/// The events until a batch, that one included, without those about the watch itself.
async fn until_changed(world: &mut World) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        match world.event().await {
            Event::Watching(_) => {}
            event @ Event::Changed(_) => {
                events.push(event);
                return events;
            }
            event => events.push(event),
        }
    }
}

fn is_returned(event: &Event) -> bool {
    matches!(event, Event::Returned { .. })
}

fn is_missing(event: &Event) -> bool {
    matches!(event, Event::Missing { .. })
}

#[tokio::test]
async fn a_folder_that_does_not_exist_is_waited_for_and_all_that_is_in_it_is_told() {
    let mut world = World::patient();
    let status = world.watch(&["a/b/c"]).await;
    assert_eq!((status.missing.len(), status.folders), (1, 0));
    world.write("a/b/c/d/file", "1");
    let events = until_changed(&mut world).await;
    assert!(is_returned(&events[0]), "{events:?}");
    assert!(
        matches!(&events[1], Event::Changed(changed) if changed.paths.iter().any(|p| p.ends_with("/d/file")))
    );
    world.expect_only("a/b/c/d/file").await;
    assert!(world.watcher.list().await.unwrap()[0].missing.is_empty());
}

#[tokio::test]
async fn what_is_made_beside_a_missing_path_is_not_told() {
    let mut world = World::patient();
    world.watch(&["a/b/c"]).await;
    world.write("a/x", "1");
    world.write("a/b/x", "1");
    world.write("y", "1");
    world.write("a/b/c", "at last");
    assert_eq!(world.names().await, set(&["a/b/c"]));
}

#[tokio::test]
async fn a_folder_that_vanishes_and_returns_is_told_each_time_and_watched_again() {
    let mut world = World::patient();
    world.write("p/a/file", "1");
    world.watch(&["p"]).await;
    for round in 0..4 {
        if round % 2 == 0 {
            fs::remove_dir_all(world.path("p")).unwrap();
        } else {
            fs::rename(world.path("p"), world.path(&format!("away{round}"))).unwrap();
        }
        let events = until_changed(&mut world).await;
        assert!(is_missing(&events[0]), "{events:?}");
        world.write("p/a/file", "1");
        let events = until_changed(&mut world).await;
        assert!(is_returned(&events[0]), "{events:?}");
        world.expect_only("p/a/file").await;
    }
}

#[tokio::test]
async fn a_folder_that_is_replaced_at_once_is_never_missing_and_its_files_are_told() {
    let mut world = World::patient();
    world.write("p/old", "1");
    world.watch(&["p"]).await;
    for _ in 0..10 {
        // The new folder often gets the inode of the old one.
        fs::remove_dir_all(world.path("p")).unwrap();
        world.write("p/new", "1");
        let mut names = world.names().await;
        while !names.contains("p/new") {
            names = world.names().await;
        }
        world.expect_only("p/new").await;
    }
}

#[tokio::test]
async fn a_folder_in_which_somebody_still_works_is_seen_to_vanish() {
    let mut world = World::patient();
    world.write("p/file", "1");
    world.watch(&["p"]).await;
    let mut inside = std::process::Command::new("sleep")
        .arg("1000")
        .current_dir(world.path("p"))
        .spawn()
        .unwrap();
    fs::remove_dir_all(world.path("p")).unwrap();
    let events = until_changed(&mut world).await;
    inside.kill().unwrap();
    inside.wait().unwrap();
    assert!(is_missing(&events[0]), "{events:?}");
    world.write("p/file", "2");
    assert!(is_returned(&until_changed(&mut world).await[0]));
}

#[tokio::test]
async fn a_folder_above_the_path_that_is_exchanged_for_another_one_is_noticed() {
    let mut world = World::patient();
    world.write("top/mid/p/file", "1");
    world.write("other/mid/p/file", "1");
    world.watch(&["top/mid/p"]).await;
    fs::rename(world.path("top"), world.path("top.old")).unwrap();
    fs::rename(world.path("other"), world.path("top")).unwrap();
    assert!(
        world
            .names_until("top/mid/p/file")
            .await
            .contains("top/mid/p/file")
    );
    world.write("top.old/mid/p/file", "2");
    world.expect_only("top/mid/p/file").await;
}

#[tokio::test]
async fn a_single_file_that_vanishes_and_returns_is_told_each_time() {
    let mut world = World::patient();
    world.write("file", "1");
    world.watch(&["file"]).await;
    for _ in 0..3 {
        fs::remove_file(world.path("file")).unwrap();
        let events = until_changed(&mut world).await;
        assert!(is_missing(&events[0]), "{events:?}");
        world.write("file", "2");
        let events = until_changed(&mut world).await;
        assert!(is_returned(&events[0]), "{events:?}");
        world.expect_only("file").await;
    }
}

#[tokio::test]
async fn a_file_may_become_a_folder_and_the_other_way_round() {
    let mut world = World::patient();
    world.write("p", "1");
    world.watch(&["p"]).await;
    fs::remove_file(world.path("p")).unwrap();
    world.write("p/file", "1");
    world.names_until("p/file").await;
    world.expect_only("p/file").await;
    fs::remove_dir_all(world.path("p")).unwrap();
    world.write("p", "1");
    world.names_until("p").await;
    world.expect_only("p").await;
}

#[tokio::test]
async fn a_polled_path_vanishes_and_returns_as_well() {
    let mut world = World::patient();
    world.write("p/file", "1");
    let mut spec = world.spec(&["p"]);
    spec.poll = true;
    world.watch_so(spec).await;
    fs::rename(world.path("p"), world.path("away")).unwrap();
    assert!(is_missing(&until_changed(&mut world).await[0]));
    world.write("p/file", "2");
    assert!(is_returned(&until_changed(&mut world).await[0]));
    world.expect_only("p/file").await;
}

//! Folders that come, go and are moved; links; several paths and watches.

use std::fs;
use std::os::unix::fs::symlink;

use monday_shared::protocol::watch::{Event, WatchSpec};

use crate::harness::{World, set};

#[tokio::test]
async fn what_is_written_in_a_folder_that_was_made_a_moment_ago_is_seen() {
    let mut world = World::with(&["a"]).await;
    for round in 0..20 {
        // Nobody can have asked for the events of these folders before the file was there.
        let name = format!("new{round}/x/y/file");
        world.write(&name, "1");
        assert!(world.names_until(&name).await.contains(&name));
        world.write(&name, "2");
        assert_eq!(world.names().await, set(&[&name]));
    }
}

#[tokio::test]
async fn a_folder_that_is_moved_is_watched_where_it_is_now() {
    let mut world = World::with(&["a/x/file", "b/other"]).await;
    world.know_files().await;
    fs::rename(world.path("a"), world.path("b/moved")).unwrap();
    let names = world.names().await;
    for name in ["a", "a/x/file", "b/moved", "b/moved/x/file"] {
        assert!(names.contains(name), "{name} in {names:?}");
    }
    world.write("b/moved/x/file", "second");
    assert_eq!(world.names().await, set(&["b/moved/x/file"]));
}

#[tokio::test]
async fn a_folder_that_is_moved_away_is_not_watched_any_more_and_one_that_is_moved_in_is() {
    let world = World::new();
    world.write("in/a/file", "1");
    world.write("out/b/file", "1");
    let mut world = world;
    world.watch(&["in"]).await;
    world.know_files().await;
    fs::rename(world.path("in/a"), world.path("out/a")).unwrap();
    assert_eq!(world.names().await, set(&["in/a", "in/a/file"]));
    world.write("out/a/file", "2");
    world.expect_only("in/last").await;
    fs::rename(world.path("out/b"), world.path("in/b")).unwrap();
    assert_eq!(world.names().await, set(&["in/b", "in/b/file"]));
    world.expect_only("in/b/file").await;
}

#[tokio::test]
async fn a_tree_that_is_removed_is_told_file_by_file() {
    let mut world = World::patient()
        .watching(&["a/b/c/1", "a/b/2", "other"])
        .await;
    fs::remove_dir_all(world.path("a")).unwrap();
    let names = world.names().await;
    assert_eq!(names, set(&["a", "a/b", "a/b/c", "a/b/c/1", "a/b/2"]));
    assert_eq!(world.watcher.list().await.unwrap()[0].folders, 1);
}

#[tokio::test]
async fn a_folder_that_is_replaced_by_another_of_its_name_is_watched() {
    let mut world = World::with(&["a/file"]).await;
    for round in 0..5 {
        world.write(&format!("a.new/file{round}"), "1");
        fs::rename(world.path("a"), world.path("a.old")).unwrap();
        fs::rename(world.path("a.new"), world.path("a")).unwrap();
        fs::remove_dir_all(world.path("a.old")).unwrap();
        world.names_until(&format!("a/file{round}")).await;
        world.expect_only(&format!("a/file{round}")).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn two_folders_that_are_exchanged_are_both_watched_where_they_are_now() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let mut world = World::with(&["a/file", "b/file", "last"]).await;
    world.know_files().await;
    for round in 0..3 {
        let (a, b) = (world.path("a"), world.path("b"));
        renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).unwrap();
        world.write("last", &format!("{round}"));
        world.names_until("last").await;
        assert_eq!(world.watcher.list().await.unwrap()[0].folders, 3);
        // Also what is new in them.
        world.expect_only(&format!("a/new{round}")).await;
        world.expect_only(&format!("b/new{round}")).await;
    }
}

#[tokio::test]
async fn links_in_the_tree_are_not_followed_and_circles_do_no_harm() {
    let world = World::new();
    world.write("tree/a/file", "1");
    world.write("outside/file", "1");
    symlink("..", world.path("tree/a/up")).unwrap();
    symlink(world.path("outside"), world.path("tree/link")).unwrap();
    symlink("itself", world.path("tree/itself")).unwrap();
    let mut world = world;
    let status = world.watch(&["tree"]).await;
    assert_eq!(status.folders, 2);
    world.write("outside/file", "2");
    world.expect_only("tree/a/file").await;
    symlink("elsewhere", world.path("tree/new")).unwrap();
    assert_eq!(world.names().await, set(&["tree/new"]));
}

#[tokio::test]
async fn a_path_that_is_a_link_is_followed_and_told_by_its_own_name() {
    let world = World::new();
    world.write("v1/file", "1");
    world.write("v2/file", "1");
    symlink("v1", world.path("current")).unwrap();
    let mut world = world;
    world.watch(&["current"]).await;
    world.write("v1/file", "2");
    assert_eq!(world.names().await, set(&["current/file"]));
    // As deployments do it: the link is replaced, and means another folder.
    symlink("v2", world.path("next")).unwrap();
    fs::rename(world.path("next"), world.path("current")).unwrap();
    assert!(world.names().await.contains("current/file"));
    world.write("v1/file", "3");
    world.write("v2/file", "2");
    assert_eq!(world.names().await, set(&["current/file"]));
}

#[tokio::test]
async fn a_file_behind_links_is_seen_when_it_is_written_and_when_a_link_is_replaced() {
    // As Kubernetes mounts a ConfigMap.
    let world = World::new();
    world.write("..1/app.yaml", "1");
    world.write("..2/app.yaml", "2");
    symlink("..1", world.path("..data")).unwrap();
    symlink("..data/app.yaml", world.path("app.yaml")).unwrap();
    let mut world = world;
    world.watch(&["app.yaml"]).await;
    world.write("..1/app.yaml", "1 again");
    assert_eq!(world.names().await, set(&["app.yaml"]));
    symlink("..2", world.path("..tmp")).unwrap();
    fs::rename(world.path("..tmp"), world.path("..data")).unwrap();
    assert_eq!(world.names().await, set(&["app.yaml"]));
    world.write("..2/app.yaml", "2 again");
    assert_eq!(world.names().await, set(&["app.yaml"]));
}

#[tokio::test]
async fn two_watches_of_the_same_folder_are_both_told_and_one_goes_on_without_the_other() {
    let world = World::new();
    world.write("a/file", "1");
    symlink("a", world.path("link")).unwrap();
    let mut world = world;
    let one = WatchSpec::new("one", vec![world.path("a")]);
    let two = WatchSpec::new("two", vec![world.path("link")]);
    world.watcher.watch(vec![one, two]).await.unwrap();
    world.write("a/file", "2");
    let mut ids = [world.changed().await.id, world.changed().await.id];
    ids.sort();
    assert_eq!(ids, ["one", "two"]);
    let gone = world
        .watcher
        .unwatch(vec!["one".to_owned(), "none".to_owned()])
        .await;
    assert_eq!(gone.unwrap(), ["one"]);
    world.write("a/file", "3");
    assert_eq!(world.changed().await.id, "two");
}

#[tokio::test]
async fn a_path_below_another_path_of_the_same_watch_is_told_once() {
    let mut world = World::new();
    world.write("a/b/file", "1");
    world.watch(&["a", "a/b"]).await;
    world.write("a/b/file", "2");
    assert_eq!(world.names().await, set(&["a/b/file"]));
}

#[tokio::test]
async fn the_same_watch_again_changes_nothing_and_another_one_replaces_it() {
    let mut world = World::new();
    world.write("a/file", "1");
    world.write("b/file", "1");
    let first = world.watch(&["a"]).await;
    assert!(matches!(world.event().await, Event::Watching(_)));
    assert_eq!(world.watch(&["a"]).await.folders, first.folders);
    world.watch(&["b"]).await;
    // The second request published nothing: this is the third one's.
    assert!(
        matches!(world.event().await, Event::Watching(status) if status.paths[0].ends_with("/b"))
    );
    world.write("a/file", "2");
    world.expect_only("b/file").await;
    assert_eq!(world.watcher.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn no_watch_of_the_system_is_left_when_none_is_wanted() {
    let world = World::with(&["a/b/c/file"]).await;
    assert!(world.watcher.status().await.unwrap().inotify_watches >= 4);
    world
        .watcher
        .unwatch(vec![crate::harness::ID.to_owned()])
        .await
        .unwrap();
    assert_eq!(world.watcher.status().await.unwrap().inotify_watches, 0);
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_is_named_and_the_rest_is_watched() {
    use std::os::unix::fs::PermissionsExt as _;
    if nix::unistd::geteuid().is_root() {
        return; // who may read everything cannot be kept from it
    }
    let world = World::new();
    world.write("a/secret/file", "1");
    let secret = world.path("a/secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let mut world = world;
    let status = world.watch(&["a"]).await;
    assert!(status.note.unwrap().contains("a/secret cannot be read"));
    world.expect_only("a/last").await;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o700)).unwrap();
}

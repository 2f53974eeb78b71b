//! How programs write files.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use crate::harness::{World, set};

#[tokio::test]
async fn a_write_is_told_with_its_path() {
    let mut world = World::patient().watching(&["src/a.rs"]).await;
    fs::write(world.path("src/a.rs"), "second").unwrap();
    assert_eq!(world.names().await, set(&["src/a.rs"]));
    world.expect_only("src/b.rs").await;
}

#[tokio::test]
async fn an_editor_that_renames_a_new_file_over_the_old_one_is_one_change_each_time() {
    let mut world = World::patient().watching(&["a.rs"]).await;
    for round in 0..3 {
        fs::write(world.path(".a.rs.tmp"), format!("round {round}")).unwrap();
        fs::rename(world.path(".a.rs.tmp"), world.path("a.rs")).unwrap();
        assert_eq!(world.names().await, set(&["a.rs"]));
    }
}

#[tokio::test]
async fn an_editor_that_renames_the_old_file_away_and_removes_it_is_one_change() {
    // As vim does: a test file, a backup of the old one, the new one, and the backup is removed.
    let mut world = World::patient().watching(&["a.rs"]).await;
    for _ in 0..3 {
        fs::write(world.path("4913"), "").unwrap();
        fs::remove_file(world.path("4913")).unwrap();
        fs::rename(world.path("a.rs"), world.path("a.rs~")).unwrap();
        fs::write(world.path("a.rs"), "second").unwrap();
        fs::remove_file(world.path("a.rs~")).unwrap();
        assert_eq!(world.names().await, set(&["a.rs"]));
    }
}

#[tokio::test]
async fn three_saves_that_follow_each_other_are_one_batch() {
    let mut world = World::patient().watching(&["a", "b", "c"]).await;
    for name in ["a", "b", "c"] {
        world.write(name, "second");
    }
    assert_eq!(world.names().await, set(&["a", "b", "c"]));
}

#[tokio::test]
async fn reading_and_changing_rights_and_owners_is_not_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut world = World::with(&["a", "last"]).await;
    fs::read(world.path("a")).unwrap();
    fs::set_permissions(world.path("a"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::read_dir(world.path(".")).unwrap().for_each(drop);
    world.expect_only("last").await;
}

#[tokio::test]
async fn a_file_that_is_only_opened_for_writing_is_not_told_once_it_is_known() {
    let mut world = World::with(&["a", "last"]).await;
    world.know_files().await;
    world.expect_only("last").await;
    drop(
        OpenOptions::new()
            .append(true)
            .open(world.path("a"))
            .unwrap(),
    );
    world.expect_only("last").await;
    // What touch(1) does: a new time is a change.
    let file = OpenOptions::new()
        .append(true)
        .open(world.path("a"))
        .unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3600))
        .unwrap();
    drop(file);
    assert_eq!(world.names().await, set(&["a"]));
}

#[tokio::test]
async fn a_file_that_is_written_for_long_is_told_meanwhile_and_at_the_end() {
    let mut world = World::with(&["log"]).await;
    let mut file = File::create(world.path("log")).unwrap();
    for _ in 0..3 {
        file.write_all(b"line\n").unwrap();
        assert_eq!(world.names().await, set(&["log"]));
    }
}

#[tokio::test]
async fn a_removed_file_is_told() {
    let mut world = World::with(&["a", "b"]).await;
    fs::remove_file(world.path("a")).unwrap();
    assert_eq!(world.names().await, set(&["a"]));
}

#[tokio::test]
async fn a_dot_file_is_seen() {
    let mut world = World::with(&[".env"]).await;
    world.write(".env", "A=1");
    assert_eq!(world.names().await, set(&[".env"]));
}

#[tokio::test]
async fn a_single_file_is_watched_through_its_folder_and_nothing_else_in_it_is_told() {
    let mut world = World::new();
    world.write("conf/app.yaml", "first");
    world.write("conf/other.yaml", "first");
    let status = world.watch(&["conf/app.yaml"]).await;
    assert_eq!((status.folders, status.files), (0, Some(1)));
    for _ in 0..3 {
        world.write("conf/other.yaml", "second");
        world.write("conf/app.yaml.new", "second");
        fs::rename(world.path("conf/app.yaml.new"), world.path("conf/app.yaml")).unwrap();
        assert_eq!(world.names().await, set(&["conf/app.yaml"]));
    }
}

#[tokio::test]
async fn a_name_that_is_not_utf8_is_shown_as_far_as_it_can_be() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let mut world = World::with(&[]).await;
    fs::write(world.path(".").join(OsStr::from_bytes(b"a\xffb")), "x").unwrap();
    assert_eq!(world.names().await, set(&["a\u{fffd}b"]));
}

//! Very many changes at once.

use std::fs;
use std::process::Command;

use crate::harness::{World, set};

fn git(world: &World, words: &[&str]) {
    let output = Command::new("git")
        .arg("-C")
        .arg(world.path("."))
        .args([
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example.com",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(words)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {words:?}: {output:?}");
}

#[tokio::test]
async fn a_checkout_of_a_thousand_files_is_one_batch() {
    let world = World::in_memory();
    git(&world, &["init", "-q"]);
    for version in ["one", "two"] {
        for file in 0..1000 {
            world.write(&format!("src/d{}/f{file}", file % 50), version);
        }
        git(&world, &["add", "-A"]);
        git(&world, &["commit", "-q", "-m", version]);
    }
    let mut world = world;
    world.watch(&["."]).await;
    git(&world, &["checkout", "-q", "HEAD^"]);
    let changed = world.changed().await;
    assert_eq!(changed.count, 1000, "{:?}", &changed.paths[..5]);
    world.expect_only("src/d0/f0").await;
}

#[tokio::test]
async fn what_git_has_done_in_part_is_not_told() {
    let mut world = World::new();
    world.write("repo/.git/HEAD", "x");
    world.write("repo/a", "1");
    world.watch(&["repo"]).await;
    world.write("repo/.git/index.lock", "");
    world.write("repo/a", "2");
    let (held, lock) = (world.path("repo/b"), world.path("repo/.git/index.lock"));
    let git = std::thread::spawn(move || {
        // A slow git: without the lock there would be two batches, or more.
        std::thread::sleep(std::time::Duration::from_millis(800));
        fs::write(held, "1").unwrap();
        fs::remove_file(lock).unwrap();
    });
    assert_eq!(world.names().await, set(&["repo/a", "repo/b"]));
    git.join().unwrap();
}

#[tokio::test]
async fn a_lock_that_a_killed_git_left_behind_keeps_nobody_waiting_for_long() {
    let mut world = World::new();
    world.write("repo/.git/HEAD", "x");
    world.write("repo/a", "1");
    world.watch(&["repo"]).await;
    world.write("repo/.git/index.lock", "");
    let begun = std::time::Instant::now();
    world.expect_only("repo/a").await;
    // It is not waited for again.
    world.expect_only("repo/a").await;
    // A minute is how long such a lock may be one of a git that is alive.
    assert!(begun.elapsed() < std::time::Duration::from_secs(30));
    assert!(world.path("repo/.git/index.lock").exists());
}

#[tokio::test]
async fn of_fifty_thousand_new_files_in_new_folders_none_is_lost() {
    let mut world = World::in_memory();
    world.write("a", "1");
    world.watch(&["."]).await;
    let top = world.path(".");
    let writer = std::thread::spawn(move || {
        for folder in 0..500 {
            let folder = top.join(format!("d{}/e{folder}", folder % 7));
            fs::create_dir_all(&folder).unwrap();
            for file in 0..100 {
                fs::write(folder.join(format!("f{file}")), "x").unwrap();
            }
        }
    });
    let mut count = 0;
    let mut overflow = false;
    while !writer.is_finished() {
        tokio::select! {
            changed = world.changed() => {
                count += changed.count;
                overflow |= changed.overflow;
            }
            () = tokio::task::yield_now() => {}
        }
    }
    writer.join().unwrap();
    count += world.count_until("last").await;
    let status = world.watcher.list().await.unwrap().remove(0);
    assert_eq!((status.folders, status.files), (508, Some(50_002)));
    // A file whose creation and content fell into two batches is in both.
    assert!(count > 50_507, "{count} changes, overflow: {overflow}");
}

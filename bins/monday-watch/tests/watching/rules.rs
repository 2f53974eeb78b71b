//! What is left out, and ignore files that change meanwhile.

use std::fs;

use crate::harness::{World, set};

#[tokio::test]
async fn left_out_folders_are_not_watched_and_left_out_files_are_not_told() {
    let world = World::new();
    for file in [
        "src/a",
        ".git/HEAD",
        "node_modules/x/y/z",
        "sub/target/debug/x",
        "vendor/x",
        "out/x",
    ] {
        world.write(file, "1");
    }
    world.write(".gitignore", "*.log\n/out/\n");
    let mut world = world;
    let status = world.watch(&["."]).await;
    // The top, src and sub.
    assert_eq!(status.folders, 3);
    for file in [
        ".git/HEAD",
        "node_modules/x/y/z",
        "sub/target/debug/x",
        "vendor/x",
        "out/x",
        "src/x.log",
    ] {
        world.write(file, "2");
    }
    world.expect_only("src/a").await;
}

#[tokio::test]
async fn build_output_within_the_tree_is_not_told_while_it_is_made_and_removed() {
    let mut world = World::with(&["src/a", ".gitignore"]).await;
    world.write(".gitignore", "/dist\n*.o\n");
    world.names().await;
    for round in 0..3 {
        for file in [
            "dist/js/app.js",
            "target/debug/app",
            "src/a.o",
            "node_modules/.cache/x",
        ] {
            world.write(file, &format!("{round}"));
        }
        world.expect_only("src/a").await;
        fs::remove_dir_all(world.path("dist")).unwrap();
        fs::remove_file(world.path("src/a.o")).unwrap();
        world.expect_only("src/a").await;
    }
}

#[tokio::test]
async fn an_ignore_file_that_changes_counts_from_then_on() {
    let mut world = World::with(&["gen/deep/a", "gen/b", "src/x", "src/y.txt"]).await;
    world.write(".gitignore", "gen/\n*.txt\n");
    assert_eq!(world.names().await, set(&[".gitignore"]));
    assert_eq!(world.watcher.list().await.unwrap()[0].folders, 2);
    world.write("gen/deep/a", "2");
    world.write("src/y.txt", "2");
    world.expect_only("src/x").await;
    world.write(".gitignore", "*.txt\n");
    assert_eq!(world.names().await, set(&[".gitignore"]));
    world.expect_only("gen/deep/a").await;
    world.write("gen/.ignore", "!*.txt\ndeep\n");
    assert_eq!(world.names().await, set(&["gen/.ignore"]));
    world.write("gen/deep/a", "3");
    world.expect_only("gen/c.txt").await;
    fs::remove_file(world.path("gen/.ignore")).unwrap();
    assert_eq!(world.names().await, set(&["gen/.ignore"]));
    world.write("gen/c.txt", "2");
    world.expect_only("gen/deep/a").await;
}

#[tokio::test]
async fn an_ignore_file_in_a_folder_that_comes_counts_in_it() {
    let mut world = World::with(&["a"]).await;
    world.write("staging/.gitignore", "*.log\nout\n");
    world.write("staging/out/x", "1");
    world.write("staging/x.log", "1");
    world.write("staging/x", "1");
    fs::rename(world.path("staging"), world.path("new")).unwrap();
    world.names_until("new/x").await;
    world.write("new/out/x", "2");
    world.write("new/x.log", "2");
    world.expect_only("new/x").await;
}

#[tokio::test]
async fn ignore_files_above_the_path_count_within_the_repository_and_when_they_change() {
    let world = World::new();
    world.write(".gitignore", "*.secret\n");
    world.write("repo/.git/HEAD", "x");
    world.write("repo/.gitignore", "*.log\n");
    world.write("repo/app/src/a", "1");
    let mut world = world;
    world.watch(&["repo/app/src"]).await;
    world.write("repo/app/src/x.log", "1");
    world.expect_only("repo/app/src/x.secret").await;
    world.write("repo/.gitignore", "*.tmp\n");
    // It is not in what is watched, so nothing is told of it; the end of its debounce is that of this change.
    world.expect_only("repo/app/src/a").await;
    world.write("repo/app/src/x.tmp", "1");
    world.expect_only("repo/app/src/x.log").await;
}

#[tokio::test]
async fn where_ignore_files_are_not_obeyed_only_exclusions_count() {
    let world = World::new();
    world.write(".gitignore", "*.log\n");
    world.write("target/x", "1");
    let mut spec = world.spec(&["."]);
    spec.gitignore = false;
    spec.exclude = vec!["*.tmp".to_owned(), "!target/".to_owned()];
    let mut world = world;
    world.watch_so(spec).await;
    world.write("x.tmp", "1");
    world.expect_only("x.log").await;
    world.write("x.tmp", "2");
    world.expect_only("target/x").await;
}

#[tokio::test]
async fn a_polled_tree_obeys_the_same_rules() {
    let world = World::new();
    world.write(".gitignore", "*.log\ngen\n");
    world.write("gen/x", "1");
    world.write("a", "1");
    let mut spec = world.spec(&["."]);
    spec.poll = true;
    let mut world = world;
    assert_eq!(world.watch_so(spec).await.folders, 1);
    world.write("x.log", "1");
    world.write("gen/x", "2");
    world.expect_only("a").await;
    world.write(".gitignore", "*.log\n");
    assert_eq!(world.names().await, set(&[".gitignore"]));
    world.write("x.log", "2");
    world.expect_only("gen/x").await;
}

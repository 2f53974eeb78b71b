//! From a saved file to a new process: what is built, what is started, and what serves meanwhile.

use std::time::Duration;

use monday_tests::process::Process;
use monday_tests::world::World;
use serde_json::Value;

use crate::project::{await_line, is_line, lines_of, start};

/// An app whose build copies its source, and whose process says what was built.
fn app(build: &str) -> String {
    format!(
        "\
projects:
  - name: shop
    local:
      - name: api
        path: src
        watch: true
        build: {{commands: ['{build}']}}
        run: {{commands: ['echo serving $(cat built)', exec sleep 1000]}}
"
    )
}

fn world(source: &str) -> World {
    let world = World::new();
    std::fs::create_dir(world.home().join("src")).unwrap();
    save(&world, source);
    world
}

fn save(world: &World, source: &str) {
    world.write("home/src/source", source);
}

/// Every line of the app until the one with this text.
fn lines_until(process: &mut Process, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.contains(text)) {
        let event = process.event_where(text, |event| is_line(event, "api", "serving"));
        lines.extend(lines_of(&event).map(str::to_owned));
    }
    lines
}

fn is_notice(event: &Value, text: &str) -> bool {
    event["event"] == "notice"
        && event["message"]
            .as_str()
            .is_some_and(|said| said.contains(text))
}

#[test]
fn a_saved_file_is_built_and_served_and_the_line_that_says_so_names_it() {
    let world = world("one");
    let (mut process, _) = start(&world, &app("cp source built"));
    await_line(&mut process, "api", "serving one");
    save(&world, "two");
    process.event_where("what changed", |event| {
        is_notice(event, "changed") && is_notice(event, "source")
    });
    await_line(&mut process, "api", "serving two");
}

#[test]
fn after_a_failed_build_the_old_process_serves_on_and_it_is_said() {
    let world = world("one");
    let (mut process, _) = start(&world, &app("grep -v broken source > built"));
    await_line(&mut process, "api", "serving one");
    save(&world, "broken");
    let said = process.event_where("the failure", |event| is_notice(event, "build failed"));
    assert_eq!(said["level"], "error");
    assert!(
        is_notice(&said, "the process from before goes on"),
        "{said}"
    );
    let status = crate::project::status(&world, "shop");
    assert_eq!(status["apps"][0]["phase"], "running");
    assert_eq!(status["apps"][0]["generation"], 1);
    save(&world, "three");
    await_line(&mut process, "api", "serving three");
}

#[test]
fn a_change_during_a_build_gives_that_build_up() {
    let world = world("one");
    // A build of the text `slow` takes for ever, and says that it began.
    let build =
        "echo building $(cat source); if grep -q slow source; then sleep 1000; fi; cp source built";
    let (mut process, _) = start(&world, &app(build));
    await_line(&mut process, "api", "serving one");
    save(&world, "slow");
    await_line(&mut process, "api:build", "building slow");
    save(&world, "three");
    let lines = lines_until(&mut process, "serving three");
    assert!(!lines.iter().any(|line| line.contains("slow")), "{lines:?}");
    // Nothing is left of the build that was given up: it would sleep on.
    let sleeping = |survivor: &monday_tests::survivors::Survivor| survivor.command == "sleep 1000";
    assert_eq!(
        world.survivors().iter().filter(|one| sleeping(one)).count(),
        1
    );
}

#[test]
fn three_saves_in_a_second_are_one_restart() {
    let world = world("one");
    let yaml = app("cp source built").replace("watch: true", "watch: {debounce: 1s}");
    let (mut process, _) = start(&world, &yaml);
    await_line(&mut process, "api", "serving one");
    for text in ["two", "three", "four"] {
        save(&world, text);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(lines_until(&mut process, "four"), ["serving four"]);
    // What a second restart would be told of comes before the answer to this save.
    save(&world, "five");
    assert_eq!(lines_until(&mut process, "five"), ["serving five"]);
}

#[test]
fn a_checkout_of_a_thousand_files_is_one_rebuild() {
    monday_tests::needs_programs!("git");
    let world = world("one");
    let git = "git -C src -c user.name=x -c user.email=x@example.com -c init.defaultBranch=main";
    let commit = |text: &str| {
        format!(
            "for n in $(seq 1000); do echo {text} > src/f$n; done; cp src/f1 src/source; {git} add -A; {git} commit -qm {text}\n"
        )
    };
    let script = format!(
        "set -e; {git} init -q; echo built > src/.gitignore; {}{}",
        commit("one"),
        commit("two")
    );
    let _ = world.sh(&script).expect_code(0);
    let (mut process, _) = start(&world, &app("cp source built"));
    await_line(&mut process, "api", "serving two");
    let _ = world.sh(&format!("{git} checkout -q HEAD^")).expect_code(0);
    assert_eq!(lines_until(&mut process, "serving one"), ["serving one"]);
    save(&world, "three");
    assert_eq!(lines_until(&mut process, "three"), ["serving three"]);
}

#[test]
fn what_a_build_writes_into_the_tree_does_not_build_it_again_for_ever() {
    let world = world("one");
    // The product is not left out, and differs each time.
    let (mut process, _) = start(&world, &app("cp source built; date +%N > stamp"));
    await_line(&mut process, "api", "serving one");
    for text in ["two", "three", "four", "five"] {
        save(&world, text);
        await_line(&mut process, "api", &format!("serving {text}"));
    }
    // By now it is known what the build writes, so this is the only restart.
    save(&world, "six");
    assert_eq!(lines_until(&mut process, "serving six"), ["serving six"]);
    save(&world, "seven");
    assert_eq!(
        lines_until(&mut process, "serving seven"),
        ["serving seven"]
    );
}

/// Long enough for a change to be told and to become a new process.
fn let_changes_come() {
    std::thread::sleep(Duration::from_millis(700));
}

#[test]
fn what_the_first_build_writes_into_the_tree_is_no_change() {
    let world = world("one");
    let build = "cp source built; sleep 0.3; date +%N > stamp";
    let (mut process, _) = start(&world, &app(build));
    await_line(&mut process, "api", "serving one");
    let_changes_come();
    save(&world, "two");
    let why = process.event_where("what changed", |event| is_notice(event, "changed"));
    assert!(is_notice(&why, "src/source changed"), "{why}");
    assert_eq!(lines_until(&mut process, "two"), ["serving two"]);
    // Somebody touches a product: that counts once, and what the build then does to it does not.
    let_changes_come();
    world.write("home/src/stamp", "");
    assert_eq!(lines_until(&mut process, "two"), ["serving two"]);
    let_changes_come();
    save(&world, "three");
    assert_eq!(lines_until(&mut process, "three"), ["serving three"]);
}

#[test]
fn what_git_tracks_and_is_saved_during_the_first_build_is_built_again() {
    monday_tests::needs_programs!("git");
    let world = world("one");
    let _ = world
        .sh("git init -q src && git -C src add source")
        .expect_code(0);
    let build = "cp source built; date +%N > stamp; echo copied $(cat source); sleep 1";
    let config = world.configure(&app(build));
    let mut process = Process::start(crate::project::command(&world, "shop", &config));
    await_line(&mut process, "api:build", "copied one");
    save(&world, "two");
    let why = process.event_where("what changed", |event| is_notice(event, "changed"));
    assert!(is_notice(&why, "src/source"), "{why}");
    assert_eq!(lines_until(&mut process, "serving"), ["serving two"]);
}

#[test]
fn without_git_as_well_a_save_during_the_first_build_is_not_lost() {
    let world = world("one");
    let build = "x=$(cat source); touch new; echo read $x; sleep 1; echo $x > built";
    let config = world.configure(&app(build));
    let mut process = Process::start(crate::project::command(&world, "shop", &config));
    for text in ["one", "two", "three"] {
        await_line(&mut process, "api:build", &format!("read {text}"));
        save(
            &world,
            match text {
                "one" => "two",
                "two" => "three",
                _ => "four",
            },
        );
    }
    await_line(&mut process, "api", "serving four");
}

#[test]
fn what_setup_and_files_make_is_no_change() {
    let world = World::new();
    let yaml = "\
projects:
  - name: shop
    local:
      - name: api
        path: src
        setup: {commands: ['mkdir src', 'for n in 1 2 3 4 5; do echo $n > src/$n; done']}
        files: [{to: src/gen.conf, content: one}]
        watch: true
        run: {command: 'echo serving $(cat gen.conf); exec sleep 1000'}
";
    let (mut process, _) = start(&world, yaml);
    await_line(&mut process, "api", "serving one");
    let_changes_come();
    world.write("home/src/gen.conf", "two");
    assert_eq!(lines_until(&mut process, "serving"), ["serving two"]);
    let transcript = process.transcript();
    assert!(!transcript.contains(".monday-"), "{transcript}");
}

#[test]
fn a_setup_that_does_not_make_the_folder_says_so() {
    let world = World::new();
    let yaml = app("true").replace("watch: true", "setup: {command: 'true'}");
    let (mut process, _) = start(&world, &yaml);
    let failed = process.event_where("the failure", |event| {
        event["event"] == "app" && event["phase"] == "failed"
    });
    let why = failed["reason"].as_str().unwrap_or_default();
    assert!(why.contains("setup ended well but did not make"), "{why}");
}

#[test]
fn an_app_that_changes_what_it_watches_is_suspended_and_the_path_is_named() {
    let world = World::new();
    std::fs::create_dir(world.home().join("src")).unwrap();
    let yaml = "\
projects:
  - name: shop
    local:
      - name: api
        path: src
        watch: {debounce: 20ms}
        run: {command: 'sleep 0.1; date +%N > own; exec sleep 1000'}
";
    let (mut process, _) = start(&world, yaml);
    let said = process.event_where("the end of the loop", |event| {
        is_notice(event, "are not followed any more")
    });
    assert!(is_notice(&said, "src/own"), "{said}");
}

#[test]
fn an_app_that_crashes_again_and_again_waits_longer_each_time_and_says_so() {
    let world = World::new();
    let yaml = "\
projects:
  - name: shop
    local:
      - name: api
        restart: {policy: on-failure, backoff: 20ms, max_restarts: 4}
        run: {command: 'echo up; exit 3'}
";
    let (mut process, _) = start(&world, yaml);
    let mut pauses = Vec::new();
    let last = loop {
        let event = process.event_where("the next state of api", |event| {
            event["event"] == "app" && event["exit"]["code"] == 3
        });
        let reason = event["reason"].as_str().unwrap_or_default().to_owned();
        let Some(rest) = reason.strip_prefix("started again in ") else {
            break event;
        };
        let (number, unit) = rest.split_once(' ').unwrap();
        let unit = if unit.starts_with("ms") { 1.0 } else { 1000.0 };
        pauses.push(number.parse::<f64>().unwrap() * unit);
        assert!(
            reason.contains(&format!("number {} in a row", pauses.len())),
            "{reason}"
        );
    };
    assert_eq!(pauses.len(), 4, "{pauses:?}");
    assert!(pauses[3] > pauses[0] * 2.0, "{pauses:?}");
    assert_eq!(last["exit"]["code"], 3, "{last}");
}

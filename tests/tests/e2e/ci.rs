//! The form for scripts and CI: a subset, waiting until it is ready, COMMAND, logs as files, the background.

use std::time::Duration;

use monday_tests::process::{Finished, Process};
use monday_tests::wait::{Deadline, PATIENCE};
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::project::named;

/// `api` becomes ready after a moment, `db` is there at once, `web` needs both, `mail` nobody.
const YAML: &str = "\
projects:
  - name: shop
    local:
      - {name: db, run: {command: 'echo db is up; exec sleep 1000'}}
      - name: api
        run: {command: 'sleep 0.3; touch ready; echo api is up; exec sleep 1000'}
        ready: {exec: 'test -e ready', interval: 50ms}
        depends_on: [db]
      - {name: web, run: {command: 'echo web is up; exec sleep 1000'}, depends_on: {api: ready}}
      - {name: mail, run: {command: 'echo mail is up; exec sleep 1000'}}
";

/// One that never becomes ready and says why.
const LATE: &str = "\
projects:
  - name: shop
    local:
      - {name: good, run: {command: 'echo good is up; exec sleep 1000'}}
      - name: late
        run: {command: 'for i in $(seq 1 30); do echo \"line $i of late\"; done; exec sleep 1000'}
        ready: {exec: 'false', interval: 50ms}
";

fn supervise(world: &World, yaml: &str, words: &[&str]) -> Process {
    let config = world.configure(yaml);
    let mut command = world.command("monday-supervisor");
    command
        .args(["run", "shop", "--config"])
        .arg(config)
        .arg("--hosts-file")
        .arg(world.hosts_file())
        .args(words);
    Process::start(command)
}

fn tell(world: &World, words: &[&str]) -> Finished {
    world.run("monday-supervisor", words)
}

fn status(world: &World) -> Value {
    let told = tell(world, &["status", "shop", "--output", "json"]).expect_code(0);
    serde_json::from_str(&told.stdout).expect("JSON")
}

fn names(list: &Value) -> Vec<&str> {
    let items = list.as_array().expect("a list").iter();
    items.filter_map(|item| item["name"].as_str()).collect()
}

/// Nothing of the run is left.
fn assert_nothing_left(world: &World) {
    world.assert_no_survivors(PATIENCE);
    world.assert_hosts_untouched();
    assert_eq!(world.runtime_files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn command_begins_when_everything_is_ready_and_owns_standard_output() {
    let world = World::new();
    let script = "test -e ready && echo from command; exit 7";
    let done = supervise(
        &world,
        YAML,
        &["--wait", "--timeout", "60s", "--", "sh", "-c", script],
    )
    .finish()
    .expect_code(7);
    assert_eq!(done.stdout, "from command\n");
    for line in ["api is up", "web is up", "mail is up", "shop is up"] {
        assert!(done.stderr.contains(line), "no `{line}` in {}", done.stderr);
    }
    assert!(
        !done.stderr.contains('\u{1b}'),
        "no colours without a terminal"
    );
    assert_nothing_left(&world);
}

#[test]
fn who_is_not_ready_in_time_is_named_with_its_last_lines() {
    let world = World::new();
    let late = supervise(&world, LATE, &["--timeout", "1s", "--", "echo", "never"])
        .finish()
        .expect_code(124);
    assert_eq!(late.stdout, "", "COMMAND was not started");
    assert!(
        late.stderr.contains("late: running, not ready yet"),
        "{}",
        late.stderr
    );
    for number in [11, 30] {
        let line = format!("  late | line {number} of late");
        assert!(
            late.stderr.contains(&line),
            "no `{line}` in {}",
            late.stderr
        );
    }
    assert!(
        !late.stderr.contains("  late | line 10 of late"),
        "{}",
        late.stderr
    );
    assert_nothing_left(&world);
}

#[test]
fn an_app_that_is_not_ready_in_its_own_time_is_a_time_out_and_one_that_dies_is_a_failure() {
    let world = World::new();
    let yaml = LATE.replace("interval: 50ms}", "interval: 50ms, retries: 5}");
    let late = supervise(&world, &yaml, &["--wait", "--", "echo", "never"])
        .finish()
        .expect_code(124);
    assert!(
        late.stdout.is_empty() && late.stderr.contains("late"),
        "{}",
        late.stderr
    );
    let yaml = "projects: [{name: shop, local: [{name: bad, run: {command: 'echo no way; exit 3'}, ready: {exec: 'false'}}]}]\n";
    let failed = supervise(&world, yaml, &["--wait", "--", "echo", "never"])
        .finish()
        .expect_code(1);
    assert!(
        failed.stdout.is_empty()
            && failed.stderr.contains("bad has failed")
            && failed.stderr.contains("no way"),
        "{}",
        failed.stderr
    );
    assert_nothing_left(&world);
}

#[test]
fn an_app_that_dies_while_others_are_waited_for_is_a_failure_at_once() {
    let world = World::new();
    let yaml = "\
projects:
  - name: shop
    local:
      - {name: slow, run: {command: 'until test -e slow; do sleep 0.05; done; echo ok; exec sleep 1000'}, ready: {log: ok}}
      - {name: bad, run: {command: 'sleep 0.6; echo no way; exit 1'}}
";
    let failed = supervise(&world, yaml, &["--wait", "--", "echo", "never"])
        .finish()
        .expect_code(1);
    assert_eq!(failed.stdout, "", "COMMAND was not started");
    for part in ["bad has failed: ended, exit status 1", "bad | no way"] {
        assert!(failed.stderr.contains(part), "{}", failed.stderr);
    }
    // The same from a second terminal.
    let mut run = supervise(&world, yaml, &[]);
    run.line_with("bad: running");
    let late = tell(&world, &["wait", "--timeout", "60s"]).expect_code(1);
    assert!(late.stderr.contains("bad has failed"), "{}", late.stderr);
    run.signal(Signal::SIGTERM);
    assert_eq!(run.wait(), 143);
    assert_nothing_left(&world);
}

#[test]
fn a_command_that_never_began_is_a_failure_whoever_stopped_the_project() {
    let world = World::new();
    for words in [
        &["--wait", "--", "echo", "never"][..],
        &["--", "echo", "never"],
    ] {
        let mut run = supervise(&world, LATE, words);
        run.error_line_with("line 30 of late");
        let _ = tell(&world, &["down"]).expect_code(0);
        let ended = run.finish_open().expect_code(1);
        assert_eq!(ended.stdout, "");
        let why = "the command was not started";
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }
    assert_nothing_left(&world);
}

#[test]
fn an_interrupt_in_the_middle_leaves_nothing() {
    let world = World::new();
    let mut waiting = supervise(&world, LATE, &["--wait", "--", "echo", "never"]);
    waiting.error_line_with("line 30 of late");
    waiting.signal(Signal::SIGINT);
    let ended = waiting.finish_open().expect_code(130);
    assert_eq!(ended.stdout, "");
    assert_nothing_left(&world);
    let mut running = supervise(
        &world,
        YAML,
        &["--wait", "--", "sh", "-c", "echo begun; exec sleep 1000"],
    );
    running.line_with("begun");
    running.signal(Signal::SIGINT);
    let _ = running.finish_open().expect_code(130);
    assert_nothing_left(&world);
}

#[test]
fn a_project_that_is_up_already_is_left_alone() {
    let world = World::new();
    let mut first = supervise(&world, YAML, &[]);
    first.line_with("shop is up");
    for words in [&["--wait", "--", "echo", "never"][..], &["-d"]] {
        let second = supervise(&world, YAML, words).finish().expect_code(1);
        assert_eq!(second.stdout, "");
        let pid = format!("pid {}", first.pid());
        assert!(second.stderr.contains(&pid), "{}", second.stderr);
    }
    assert_eq!(status(&world)["pid"], first.pid());
    first.signal(Signal::SIGTERM);
    assert_eq!(first.wait(), 143);
    assert_nothing_left(&world);
}

#[test]
fn a_subset_brings_what_it_depends_on_and_leaves_out_what_is_excepted() {
    let world = World::new();
    let mut part = supervise(&world, YAML, &["api"]);
    part.line_with("shop is up");
    assert_eq!(names(&status(&world)["apps"]), ["db", "api"]);
    let _ = tell(&world, &["down"]).expect_code(0);
    assert_eq!(part.wait(), 0);
    let mut part = supervise(&world, YAML, &["--except", "db", "--except", "mail"]);
    part.line_with("api: does not wait for `db`");
    part.line_with("shop is up");
    assert_eq!(names(&status(&world)["apps"]), ["api", "web"]);
    drop(part);
    let refused = supervise(&world, YAML, &["wbe"]).finish().expect_code(2);
    assert!(
        refused.stderr.contains("did you mean `web`?"),
        "{}",
        refused.stderr
    );
}

#[test]
fn of_an_app_and_a_forward_of_one_name_the_chosen_side_runs() {
    let world = World::new();
    let yaml = format!(
        "projects: [{{name: shop, local: [{{name: api, run: {{command: exec sleep 1000}}}}], forward: [{{name: api, type: proxy, values: {{hostname: {}, proxy_hostname: 127.0.0.1, ports: ['{}:1']}}}}]}}]\n",
        world.host("api"),
        monday_tests::port::free_port()
    );
    for (words, apps, forwards) in [
        (&[][..], &["api"][..], &[][..]),
        (&["--local", "api"], &["api"], &[]),
        (&["--forward", "api"], &[], &["api"]),
    ] {
        let mut run = supervise(&world, &yaml, words);
        run.line_with("shop is up");
        let status = status(&world);
        assert_eq!(names(&status["apps"]), apps);
        assert_eq!(names(&status["forwards"]), forwards);
        let _ = tell(&world, &["down"]).expect_code(0);
        assert_eq!(run.wait(), 0);
    }
}

#[test]
fn in_the_background_wait_means_the_same_and_failure_is_told_before_the_prompt_is_back() {
    const YAML: &str = "\
projects:
  - name: shop
    local:
      - {name: api, run: 'sleep 0.3; echo serving; exec sleep 1000', ready: {log: serving}}
";
    let world = World::new();
    let _ = supervise(&world, YAML, &["-d", "--wait", "--timeout", "60s"])
        .finish()
        .expect_code(0);
    assert_eq!(status(&world)["apps"][0]["ready"], true);
    let _ = tell(&world, &["down"]).expect_code(0);
    for (run, code) in [("exec sleep 1000", 124), ("exit 3", 1)] {
        let yaml = YAML.replace("sleep 0.3; echo serving; exec sleep 1000", run);
        let failed = supervise(&world, &yaml, &["-d", "--wait", "--timeout", "500ms"]);
        let failed = failed.finish().expect_code(code);
        assert!(failed.stderr.contains("api"), "{}", failed.stderr);
        let _ = tell(&world, &["status"]).expect_code(1);
    }
}

#[test]
fn in_the_background_it_is_waited_for_read_and_ended() {
    let world = World::new();
    let started = supervise(&world, YAML, &["-d"]).finish().expect_code(0);
    assert!(
        started.stderr.contains("runs in the background"),
        "{}",
        started.stderr
    );
    let _ = tell(&world, &["wait", "--timeout", "60s"]).expect_code(0);
    let mut follow = world.start("monday-supervisor", ["logs", "-f", "shop", "db", "web"]);
    follow.line_with("| db is up");
    let logs = tell(&world, &["logs", "shop"]).expect_code(0).stdout;
    for line in ["api is up", "db is up", "web is up", "mail is up"] {
        assert!(logs.contains(line), "no `{line}` in {logs}");
    }
    let json = tell(&world, &["logs", "web", "-n", "1", "--output", "json"]).expect_code(0);
    let line: Value = serde_json::from_str(json.stdout.trim_end()).expect("one line of JSON");
    assert_eq!(
        (&line["app"], &line["line"]),
        (&"web".into(), &"web is up".into())
    );
    let none = tell(&world, &["logs", "--since", "1ms"]).expect_code(0);
    assert_eq!(none.stdout, "");
    let wrong = tell(&world, &["logs", "wbe"]).expect_code(1);
    assert!(
        wrong.stderr.contains("did you mean `web`?"),
        "{}",
        wrong.stderr
    );
    let mut attached = world.start("monday-supervisor", ["attach"]);
    attached.line_with("mail is up");
    let pid = status(&world)["pid"].as_u64().unwrap();
    let _ = tell(&world, &["down"]).expect_code(0);
    attached.line_with("stopping: asked to");
    assert_eq!(attached.wait(), 0);
    assert_eq!(follow.wait(), 0);
    let deadline = Deadline::patient();
    while std::path::Path::new(&format!("/proc/{pid}")).exists() && !deadline.passed() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_nothing_left(&world);
}

#[test]
fn a_background_start_that_fails_says_why() {
    let world = World::new();
    let yaml = "projects: [{name: shop, local: [{name: api, run: {command: true}}]}]\n";
    let mut command = world.command("monday-supervisor");
    command
        .args(["run", "shop", "-d", "--config"])
        .arg(world.configure(yaml))
        .env("MONDAY_BIN_DIR", world.path("nowhere"));
    let failed = Process::start(command).finish().expect_code(1);
    assert!(failed.stderr.contains("nowhere"), "{}", failed.stderr);
    assert_nothing_left(&world);
}

#[test]
fn each_app_has_a_log_file_of_its_own() {
    let world = World::new();
    let folder = world.path("logs");
    let folder = folder.to_str().unwrap();
    let _ = supervise(&world, YAML, &["--wait", "--log-dir", folder, "--", "true"])
        .finish()
        .expect_code(0);
    let read =
        |name: &str| std::fs::read_to_string(world.path(&format!("logs/{name}.log"))).unwrap();
    assert_eq!(read("api"), "api is up\n");
    assert_eq!(read("db"), "db is up\n");
    assert!(read("monday-supervisor").contains("shop is up"));
}

#[test]
fn long_waits_for_nothing_are_no_part_of_json() {
    let world = World::new();
    let done = supervise(&world, YAML, &["--wait", "--output", "json", "--", "true"])
        .finish()
        .expect_code(0);
    assert_eq!(done.stdout, "");
    let lines: Vec<Value> = done
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(lines[0]["event"], "ready");
    assert_eq!(named(&lines[0]["apps"], "api")["ready"], true);
}

//! The commands of a second terminal, through the built executable, against projects that run.

use monday_tests::process::Finished;
use monday_tests::wait::PATIENCE;
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::project::{named, start, start_named};
use crate::shop::shop;

/// Two apps, of which one never becomes ready, and a forward.
fn yaml(world: &World) -> String {
    format!(
        "\
projects:
  - name: shop
    local:
      - {{name: api, run: {{command: 'echo api is up; trap \"echo caught; exit 5\" USR1; while :; do sleep 0.05; done'}}}}
      - {{name: worker, run: {{command: 'echo worker is up; exec sleep 1000'}}, ready: {{exec: 'false', timeout: 1h}}}}
    forward:
      - {{name: db, type: proxy, values: {{hostname: {}, proxy_hostname: 127.0.0.1, ports: ['{}:1']}}}}
",
        world.host("db"),
        monday_tests::port::free_port(),
    )
}

/// Runs a command of a second terminal.
fn tell(world: &World, words: &[&str]) -> Finished {
    world.run("monday-supervisor", words)
}

/// The same with JSON as the answer.
fn ask(world: &World, words: &[&str], code: i32) -> Value {
    let words = [words, &["--output", "json"]].concat();
    let finished = tell(world, &words).expect_code(code);
    let line = finished.stdout.trim_end();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn apps_are_stopped_started_and_restarted_as_text_and_as_json() {
    let world = World::new();
    let (_project, ready) = start(&world, &yaml(&world));
    let first = named(&ready["apps"], "api")["pid"].as_u64().unwrap();
    let text = tell(&world, &["restart", "api"]).expect_code(0).stdout;
    assert!(text.starts_with("api: running, pid "), "{text}");
    let status = ask(&world, &["status", "shop", "api"], 0);
    let again = &status["apps"][0];
    assert_ne!(again["pid"].as_u64().unwrap(), first);
    assert_eq!(again["restarts"], 1);
    assert_eq!(status["apps"].as_array().unwrap().len(), 1);

    let stopped = ask(&world, &["stop", "shop", "api"], 0);
    assert_eq!(stopped["apps"][0]["phase"], "stopped");
    let text = tell(&world, &["status"]).expect_code(0).stdout;
    for word in [
        "APP",
        "api",
        "stopped",
        "killed by SIGTERM",
        "not ready yet",
        "db",
        "open",
    ] {
        assert!(text.contains(word), "`{word}` is missing in\n{text}");
    }
    let started = ask(&world, &["start", "api"], 0);
    assert_eq!(started["apps"][0]["phase"], "running");
    assert_eq!(started["apps"][0]["generation"], 3);
    let same = ask(&world, &["start", "api"], 0);
    assert_eq!(same["apps"][0]["pid"], started["apps"][0]["pid"]);

    let _ = tell(&world, &["signal", "USR1", "shop", "api"]).expect_code(0);
    let ended = ask(&world, &["wait", "api", "--until", "completed"], 1);
    assert_eq!(ended["error"]["data"]["kind"], "failed");
    assert_eq!(ended["error"]["data"]["names"][0], "api");
    let _ = tell(&world, &["stop"]).expect_code(0);
    let all = ask(&world, &["status"], 0);
    assert_eq!(named(&all["apps"], "worker")["phase"], "stopped");
    let _ = tell(&world, &["signal", "USR1", "shop"]).expect_code(2);
}

#[test]
fn a_stopped_app_stays_stopped_and_restart_brings_it_back() {
    let world = World::new();
    let (_project, _) = start(&world, &yaml(&world));
    let _ = tell(&world, &["stop", "api", "--timeout", "0"]).expect_code(0);
    let _ = tell(&world, &["restart", "api"]).expect_code(0);
    let _ = tell(&world, &["wait", "api", "--timeout", "20s"]).expect_code(0);
    assert_eq!(
        ask(&world, &["status", "api"], 0)["apps"][0]["phase"],
        "running"
    );
}

#[test]
fn usage_and_traffic_are_told_when_they_are_asked_for() {
    let world = World::new();
    let (yaml, _) = shop(&world);
    let (mut project, ready) = start(&world, &yaml);
    crate::project::await_line(&mut project, "back", "listening");
    let _ = monday_tests::http::get(crate::shop::api_address(&ready)).unwrap();
    let status = ask(&world, &["status", "--usage"], 0);
    let usage = &named(&status["apps"], "back")["usage"];
    assert!(
        usage["memory"].as_u64().unwrap() > 0 && usage["processes"] == 1,
        "{usage}"
    );
    let traffic = &named(&status["forwards"], "api")["routes"][0]["traffic"];
    assert_eq!(traffic["accepted"], 1, "{traffic}");
    let _ = tell(&world, &["reconnect", "api"]).expect_code(0);
    assert_eq!(
        monday_tests::http::get(crate::shop::api_address(&ready)).unwrap(),
        "hello from back"
    );
}

#[test]
fn waiting_ends_with_124_and_names_who_is_not_ready() {
    let world = World::new();
    let (_project, _) = start(&world, &yaml(&world));
    let late = tell(&world, &["wait", "--timeout", "100ms"]).expect_code(124);
    assert!(
        late.stderr.contains("worker: running, not ready yet") && !late.stderr.contains("api"),
        "{}",
        late.stderr
    );
    let late = ask(&world, &["wait", "worker", "--timeout", "1ms"], 124);
    assert_eq!(late["error"]["data"]["names"][0], "worker");
    let ready = tell(&world, &["wait", "api", "db"]).expect_code(0);
    assert_eq!(ready.stdout, "api, db: ready\n");
}

#[test]
fn a_wrong_name_suggests_the_right_one_and_nothing_is_done() {
    let world = World::new();
    let (_project, _) = start(&world, &yaml(&world));
    for words in [
        ["restart", "wroker"],
        ["stop", "wroker"],
        ["start", "wroker"],
        ["status", "wroker"],
        ["wait", "wroker"],
    ] {
        let refused = tell(&world, &words).expect_code(1);
        assert!(
            refused.stderr.contains("did you mean `worker`?"),
            "{}",
            refused.stderr
        );
    }
    let refused = tell(&world, &["reconnect", "bd"]).expect_code(1);
    assert!(
        refused.stderr.contains("did you mean `db`?"),
        "{}",
        refused.stderr
    );
    let refused = ask(&world, &["restart", "api", "wroker"], 1);
    assert_eq!(refused["error"]["data"]["kind"], "not_found");
    assert_eq!(ask(&world, &["status", "api"], 0)["apps"][0]["restarts"], 0);
}

#[test]
fn without_a_running_project_every_command_says_so_with_status_1() {
    let world = World::new();
    for words in [
        &["status"][..],
        &["restart", "api"],
        &["stop"],
        &["start"],
        &["signal", "HUP", "api"],
        &["reconnect"],
        &["wait"],
        &["down"],
    ] {
        let refused = tell(&world, words).expect_code(1);
        assert_eq!(refused.stdout, "");
        assert!(
            refused.stderr.contains("no project is running"),
            "{}",
            refused.stderr
        );
    }
}

#[test]
fn two_projects_are_told_apart_and_down_ends_only_the_one() {
    let world = World::new();
    let project = |name: &str| {
        format!(
            "projects: [{{name: {name}, local: [{{name: api, run: {{command: exec sleep 1000}}}}]}}]\n"
        )
    };
    let (mut one, _) = start_named(&world, "one", &project("one"));
    let (two, _) = start_named(&world, "two", &project("two"));
    let refused = tell(&world, &["status"]).expect_code(1);
    assert!(refused.stderr.contains("one, two"), "{}", refused.stderr);
    let refused = tell(&world, &["restart", "tow", "api"]).expect_code(1);
    assert!(
        refused.stderr.contains("did you mean `two`?"),
        "{}",
        refused.stderr
    );
    assert_eq!(ask(&world, &["status", "two"], 0)["pid"], two.pid());
    let down = tell(&world, &["down", "one"]).expect_code(0);
    assert_eq!(down.stdout, "one is down\n");
    assert_eq!(one.wait(), 0);
    assert_eq!(ask(&world, &["status"], 0)["project"], "two");
    let _ = tell(&world, &["down"]).expect_code(0);
    drop(two);
    world.assert_no_survivors(PATIENCE);
}

#[test]
fn a_supervisor_that_hangs_is_named_and_not_waited_for() {
    let world = World::new();
    let (project, _) = start(&world, &yaml(&world));
    project.signal(Signal::SIGSTOP);
    let refused = tell(&world, &["status"]).expect_code(1);
    project.signal(Signal::SIGCONT);
    assert!(
        refused.stderr.contains("does not answer"),
        "{}",
        refused.stderr
    );
}

//! What comes back after it died, and what does not.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use monday_tests::http;
use monday_tests::port::free_port;
use monday_tests::wait::Deadline;
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::project::{await_line, control, is_line, kill_hard, named, pid_of, start, status};
use crate::promise::best_of_three;
use crate::shop::{api_address, host_lines, shop};

#[test]
fn a_killed_monday_run_takes_its_apps_whole_tree_and_the_app_is_started_again() {
    let world = World::new();
    // The grandchild ran away and holds a lock: a second start that came too early would see it.
    let yaml = "\
projects:
  - name: shop
    local:
      - name: api
        run:
          command: |
            flock --nonblock lock true || echo the old one is still there
            setsid sh -c 'trap \"\" TERM HUP; exec flock lock sh -c \"echo up; exec sleep 1000\"' &
            wait
      - name: other
        run: {command: echo up; exec sleep 1000}
";
    let (mut process, _) = start(&world, yaml);
    await_line(&mut process, "api", "up");
    let before = status(&world, "shop");
    let old: Vec<u32> = world
        .survivors()
        .iter()
        .map(|survivor| survivor.pid)
        .collect();
    let guardian = pid_of(&before["sidecars"], "api");
    kill_hard(guardian);
    let event = process.event_where("a line of api", |event| {
        is_line(event, "api", "up") || is_line(event, "api", "still there")
    });
    assert!(is_line(&event, "api", "up"), "{event}");
    let after = status(&world, "shop");
    let app = named(&after["apps"], "api");
    assert_eq!(
        (&app["phase"], &app["restarts"]),
        (&json!("running"), &json!(1))
    );
    assert_ne!(pid_of(&after["sidecars"], "api"), guardian);
    assert_eq!(
        named(&after["apps"], "other"),
        named(&before["apps"], "other")
    );
    // Of the old tree nothing is left: the survivors are as many as before.
    assert_eq!(world.survivors().len(), old.len());
}

#[test]
fn an_app_that_ends_at_once_runs_once() {
    let world = World::new();
    let names: Vec<String> = (0..20).map(|n| format!("job{n}")).collect();
    let apps: Vec<String> = names
        .iter()
        .map(|name| format!("{{name: {name}, run: {{command: echo ran >> {name}}}}}"))
        .collect();
    let yaml = format!("projects: [{{name: shop, local: [{}]}}]\n", apps.join(", "));
    let (mut process, _) = start(&world, &yaml);
    let mut missing = names.clone();
    while !missing.is_empty() {
        let event = process.event_where("the end of a job", |event| event["phase"] == "exited");
        missing.retain(|name| event["name"] != **name);
    }
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    for name in names {
        let ran = std::fs::read_to_string(world.home().join(&name)).unwrap();
        assert_eq!(ran, "ran\n", "{name}");
    }
}

#[test]
fn an_app_that_has_ended_is_not_started_again_by_the_death_of_its_monday_run() {
    let world = World::new();
    let yaml =
        "projects: [{name: shop, local: [{name: job, run: {command: echo done; exit 3}}]}]\n";
    let (mut process, _) = start(&world, yaml);
    let mut events = control(&world, "shop");
    let subscribed = events.ask("subscribe");
    if subscribed["status"]["apps"][0]["phase"] != "exited" {
        events.event_where("the end of job", |event| event["phase"] == "exited");
    }
    let guardian = pid_of(&status(&world, "shop")["sidecars"], "job");
    kill_hard(guardian);
    events.event_where("a new monday-run", |event| {
        event["event"] == "sidecar"
            && event["pid"]
                .as_u64()
                .is_some_and(|pid| pid != u64::from(guardian))
    });
    let job = named(&status(&world, "shop")["apps"], "job").clone();
    if (&job["phase"], &job["exit"], &job["restarts"])
        != (&json!("exited"), &json!({"code": 3}), &json!(0))
    {
        process.fail(&format!("it is not as it ended: {job}"));
    }
    // A person may start it again, though the new monday-run never saw it.
    let restarted = control(&world, "shop").call("restart", &json!({"names": ["job"]}));
    assert_eq!(named(&restarted.unwrap()["apps"], "job")["name"], "job");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
}

#[test]
fn a_killed_monday_tcpproxy_is_back_within_a_second_with_the_same_addresses() {
    best_of_three(
        "the way back of monday-tcpproxy",
        Duration::from_secs(1),
        || {
            let world = World::new();
            let (yaml, _) = shop(&world);
            let (mut process, ready) = start(&world, &yaml);
            await_line(&mut process, "back", "listening");
            let address = api_address(&ready);
            assert_eq!(http::get(address).unwrap(), "hello from back");
            let proxy = pid_of(&ready["sidecars"], "monday-tcpproxy");
            let begin = Instant::now();
            kill_hard(proxy);
            until_it_answers(address);
            let took = begin.elapsed();
            let after = status(&world, "shop");
            assert_ne!(pid_of(&after["sidecars"], "monday-tcpproxy"), proxy);
            assert_eq!(named(&after["apps"], "back")["restarts"], 0);
            assert_eq!(api_address(&after), address);
            took
        },
    );
}

#[test]
fn a_killed_monday_ipalias_is_back_within_a_second_with_the_same_addresses() {
    best_of_three(
        "the way back of monday-ipalias",
        Duration::from_secs(1),
        || {
            let world = World::new();
            let (yaml, _) = shop(&world);
            let (mut process, ready) = start(&world, &yaml);
            await_line(&mut process, "back", "listening");
            let lines = host_lines(&world);
            assert_eq!(lines.len(), 2, "{lines:?}");
            let ipalias = pid_of(&ready["sidecars"], "monday-ipalias");
            let begin = Instant::now();
            kill_hard(ipalias);
            process.event_where("the new monday-ipalias", |event| {
                event["event"] == "sidecar"
                    && event["name"] == "monday-ipalias"
                    && event["pid"]
                        .as_u64()
                        .is_some_and(|pid| pid != u64::from(ipalias))
            });
            // It answers when it has been told its wishes.
            let socket =
                named(&status(&world, "shop")["sidecars"], "monday-ipalias")["socket"].clone();
            let socket = std::path::PathBuf::from(socket.as_str().unwrap());
            let deadline = Deadline::patient();
            let mut control = monday_tests::control::Control::connect(&socket);
            control.ask("subscribe");
            while control.ask("list")["names"].as_array().unwrap().len() < 2 {
                assert!(!deadline.passed(), "the names do not come back");
                control.event_where("names", |event| event["event"] == "assigned");
            }
            let took = begin.elapsed();
            assert_eq!(host_lines(&world), lines);
            assert_eq!(http::get(api_address(&ready)).unwrap(), "hello from back");
            process.signal(Signal::SIGTERM);
            assert_eq!(process.wait(), 143);
            world.assert_hosts_untouched();
            took
        },
    );
}

/// Asks until there is an answer: while nobody listens, a connection is refused at once.
fn until_it_answers(address: SocketAddr) {
    let deadline = Deadline::patient();
    loop {
        match http::get(address) {
            Ok(answer) => return assert_eq!(answer, "hello from back"),
            Err(error) => assert!(!deadline.passed(), "it does not answer any more: {error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_app_is_restarted_from_a_second_terminal() {
    let world = World::new();
    let yaml = "projects: [{name: shop, local: [{name: api, run: {command: echo up $$; exec sleep 1000}}]}]\n";
    let (mut process, _) = start(&world, yaml);
    let first = await_line(&mut process, "api", "up");
    let mut control = control(&world, "shop");
    let restarted = control.call("restart", &json!({"names": ["api"]})).unwrap();
    assert_eq!(named(&restarted["apps"], "api")["phase"], "running");
    let second = await_line(&mut process, "api", "up");
    assert_ne!(first, second);
    let refused = control
        .call("restart", &json!({"names": ["api", "nothing"]}))
        .unwrap_err();
    assert_eq!(json!(refused.data.kind), "not_found");
    assert!(
        refused.message.contains("nothing") && refused.message.contains("api"),
        "{refused}"
    );
}

#[test]
fn a_port_that_somebody_took_meanwhile_keeps_no_other_forward_away_and_comes_back_when_it_is_free()
{
    let world = World::new();
    let (yaml, _) = shop(&world);
    let other = free_port();
    let yaml = format!(
        "{yaml}      - name: other
        type: proxy
        values:
          hostname: {}
          proxy_hostname: {}
          ports: ['{other}:9']
",
        world.host("other"),
        world.host("back"),
    );
    let (mut process, ready) = start(&world, &yaml);
    let address = api_address(&ready);
    // Nobody puts a new one in its place before the port is taken.
    process.signal(Signal::SIGSTOP);
    kill_hard(pid_of(&ready["sidecars"], "monday-tcpproxy"));
    let deadline = Deadline::patient();
    let holder = loop {
        match TcpListener::bind(address) {
            Ok(holder) => break holder,
            Err(error) => assert!(!deadline.passed(), "{error}"),
        }
    };
    process.signal(Signal::SIGCONT);
    let lost = process.event_where("the loss of api", |event| {
        event["event"] == "forward" && event["name"] == "api" && event["error"].is_string()
    });
    let pid = format!("pid {}", std::process::id());
    assert!(lost["error"].as_str().unwrap().contains(&pid), "{lost}");
    let status = status(&world, "shop");
    assert!(named(&status["forwards"], "other")["error"].is_null());
    let other = named(&status["forwards"], "other")["routes"][0]["listen"].as_str();
    let other: SocketAddr = other.unwrap().parse().unwrap();
    while let Err(error) = TcpStream::connect(other) {
        assert!(!deadline.passed(), "the other forward: {error}");
    }
    drop(holder);
    process.event_where("api's return", |event| {
        event["event"] == "forward" && event["name"] == "api" && event["error"].is_null()
    });
    assert_eq!(http::get(address).unwrap(), "hello from back");
}

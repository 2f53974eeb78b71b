//! Several supervisors of one user.

use monday_tests::port::free_port;
use monday_tests::process::Process;
use monday_tests::world::World;
use nix::sys::signal::Signal;

use crate::project::{command, named, pid_of, start, start_named, status};
use crate::shop::{host_lines, shop};

#[test]
fn the_same_project_twice_is_an_error_that_names_the_first() {
    let world = World::new();
    let (yaml, _) = shop(&world);
    let (process, _) = start(&world, &yaml);
    let config = world.path("config/shop.yaml");
    let second = Process::start(command(&world, "shop", &config))
        .finish()
        .expect_code(1);
    let pid = format!("pid {}", process.pid());
    assert!(
        second.stderr.contains(&pid) && second.stderr.contains("shop"),
        "{}",
        second.stderr
    );
    assert_eq!(status(&world, "shop")["pid"], process.pid());
}

#[test]
fn two_projects_run_side_by_side_and_one_leaves_the_other_alone() {
    let world = World::new();
    let project = |name: &str| {
        format!(
            "projects: [{{name: {name}, local: [{{name: api, hostname: {host}, run: {{command: echo up; exec sleep 1000}}}}], forward: [{{name: db, type: proxy, values: {{hostname: {db}, proxy_hostname: 127.0.0.1, ports: ['{port}:1']}}}}]}}]\n",
            host = world.host(&format!("{name}-api")),
            db = world.host(&format!("{name}-db")),
            port = free_port(),
        )
    };
    let (mut one, _) = start_named(&world, "one", &project("one"));
    let (_two, _) = start_named(&world, "two", &project("two"));
    assert_eq!(host_lines(&world).len(), 4);
    one.signal(Signal::SIGTERM);
    assert_eq!(one.wait(), 143);
    let left = host_lines(&world);
    assert!(
        left.len() == 2 && left.iter().all(|line| line.contains("two-")),
        "{left:?}"
    );
    let two = status(&world, "two");
    assert_eq!(named(&two["apps"], "api")["phase"], "running");
    assert!(named(&two["forwards"], "db")["error"].is_null());
}

#[test]
fn a_name_and_port_that_two_projects_want_is_an_error_for_the_second_that_names_the_first() {
    let world = World::new();
    let port = free_port();
    let project = |name: &str| {
        format!(
            "projects: [{{name: {name}, local: [{{name: job, run: {{command: echo up; exec sleep 1000}}}}], forward: [{{name: db, type: proxy, values: {{hostname: {db}, proxy_hostname: 127.0.0.1, ports: ['{port}:1']}}}}]}}]\n",
            db = world.host("db"),
        )
    };
    let (_one, first) = start_named(&world, "one", &project("one"));
    let (two, _) = start_named(&world, "two", &project("two"));
    let second = status(&world, "two");
    assert!(
        named(&second["forwards"], "db")["error"].is_string(),
        "{second}"
    );
    assert_eq!(
        named(&second["apps"], "job")["phase"],
        "running",
        "the rest goes on"
    );
    two.signal(Signal::SIGTERM);
    let told = two.finish_open().expect_code(143);
    let holder = pid_of(&first["sidecars"], "monday-ipalias");
    let names_it = told
        .stdout
        .lines()
        .filter(|line| line.contains("\"error\""))
        .any(|line| {
            line.contains(&port.to_string())
                && line.contains(&holder.to_string())
                && line.contains("one")
        });
    assert!(names_it, "nothing names the first project: {}", told.stdout);
    assert!(named(&status(&world, "one")["forwards"], "db")["error"].is_null());
}

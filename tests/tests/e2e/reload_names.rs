//! A running project gets host names that it did not have when it was started: as root where that takes no password, else
//! for its own apps only.

use std::fs;

use monday_tests::process::Process;
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::escalated::{ask, by_right, yaml};
use crate::machine::{INSTALLED, ORIGINAL, enter, machine};
use crate::project::{await_line, control, named, status};

/// Without host names.
fn plain(project: &str) -> String {
    format!(
        "projects: [{{name: {project}, local: [{{name: back, run: {{command: exec sleep 1000}}}}]}}]\n"
    )
}

fn start(world: &World, escalate: &str) -> Process {
    let config = world.file("config/shop.yaml", &plain("shop"));
    let mut command = world.command("monday-supervisor");
    command
        .args(["run", "shop", "--output", "json", "--escalate", escalate])
        .arg("--config")
        .arg(config)
        .env("MONDAY_BIN_DIR", INSTALLED);
    let mut process = Process::start(command);
    process.ready();
    process
}

#[test]
fn names_that_come_with_a_reload_are_written_as_root_where_that_takes_no_password() {
    let test = "reload_names::names_that_come_with_a_reload_are_written_as_root_where_that_takes_no_password";
    if !enter(test, "sudo") {
        return;
    }
    let world = machine();
    let mut process = start(&world, "sudo");
    let (root, _) = by_right(process.pid());
    assert!(root.is_empty(), "{root:?}");
    world.write("config/shop.yaml", &yaml(&world, "shop"));
    let reloaded = world.run("monday-supervisor", ["reload", "shop"]);
    assert_eq!(reloaded.code, 0, "{reloaded:?}");
    assert_eq!(ask(&world, "shop"), "hello from shop");
    assert_eq!(status(&world, "shop")["names"], true);
    let (root, _) = by_right(process.pid());
    assert!(root.contains("monday-ipalias"), "{root:?}");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), ORIGINAL);
}

#[test]
fn a_low_port_that_comes_with_a_reload_makes_a_running_monday_ipalias_root() {
    let test =
        "reload_names::a_low_port_that_comes_with_a_reload_makes_a_running_monday_ipalias_root";
    if !enter(test, "sudo") {
        return;
    }
    let world = machine();
    // Names alone take no right here: everybody may write the file.
    let writable = std::process::Command::new("chmod")
        .args(["666", "/etc/hosts"])
        .status();
    assert!(writable.unwrap().success());
    let full = yaml(&world, "shop");
    let without = full.split("    forward:").next().unwrap().to_owned();
    let config = world.file("config/shop.yaml", &without);
    let mut command = world.command("monday-supervisor");
    command
        .args(["run", "shop", "--output", "json", "--escalate", "sudo"])
        .arg("--config")
        .arg(config)
        .env("MONDAY_BIN_DIR", INSTALLED);
    let mut process = Process::start(command);
    let ready = process.ready();
    await_line(&mut process, "back", "listening");
    let (root, _) = by_right(process.pid());
    assert!(root.is_empty(), "{root:?}");
    world.write("config/shop.yaml", &full);
    let reloaded = world.run("monday-supervisor", ["reload", "shop"]);
    assert_eq!(reloaded.code, 0, "{reloaded:?}");
    assert_eq!(ask(&world, "shop"), "hello from shop");
    let after = status(&world, "shop");
    // What ran goes on where it was.
    for member in ["ip", "pid"] {
        assert_eq!(
            named(&after["apps"], "back")[member],
            named(&ready["apps"], "back")[member]
        );
    }
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), ORIGINAL);
}

#[test]
fn without_a_right_names_that_come_with_a_reload_are_the_apps_own() {
    let test = "reload_names::without_a_right_names_that_come_with_a_reload_are_the_apps_own";
    if !enter(test, "getent") {
        return;
    }
    let world = machine();
    let mut process = start(&world, "none");
    let look = "until getent hosts shop-back.named.test; do sleep 0.1; done; echo names: $MONDAY_HOSTS; exec sleep 1000";
    let named_yaml = format!(
        "projects: [{{name: shop, local: [{{name: back, hostname: shop-back.named.test, run: {{command: '{look}'}}}}]}}]\n"
    );
    world.write("config/shop.yaml", &named_yaml);
    let reloaded = control(&world, "shop").call("reload", &json!({}));
    assert!(reloaded.is_ok(), "{reloaded:?}");
    await_line(&mut process, "back", "names: private");
    let after = status(&world, "shop");
    assert_eq!(after["private_names"], true, "{after}");
    assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), ORIGINAL);

    // What could not be opened is a failure of the command, and what takes a new start is said.
    let low = named_yaml.replace(
        "]}]\n",
        "], forward: [{name: web, type: proxy, values: {hostname: web.named.test, proxy_hostname: 127.0.0.1, ports: ['80:9090']}}]}]\nhosts: system\n",
    );
    world.write("config/shop.yaml", &low);
    let reloaded = world
        .run("monday-supervisor", ["reload", "shop"])
        .expect_code(1);
    assert!(
        reloaded
            .stderr
            .contains("web: it cannot listen on port 80: ")
            && reloaded.stdout.contains("web is new"),
        "{reloaded:?}"
    );
    process.signal(Signal::SIGTERM);
    let told = process.finish_open().expect_code(143);
    assert!(
        told.stdout.contains("takes effect at the next start"),
        "{}",
        told.stdout
    );
}

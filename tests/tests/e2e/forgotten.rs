//! sudo forgets: monday-ipalias was root, dies, and cannot become root again. And where sudo knows a password only on the
//! terminal where it was typed.

use std::fs;
use std::process::Command;

use monday_tests::wait::Deadline;

use crate::escalated::{ask, find_below, yaml};
use crate::machine::{INSTALLED, ORIGINAL, enter, machine};
use crate::project::kill_hard;
use crate::screen::{Screen, want_password};

fn forget() {
    let forgot = Command::new("sh")
        .args(["-c", "rm -rf /run/sudo/ts/*"])
        .status();
    assert!(forgot.unwrap().success());
}

#[test]
fn what_monday_ipalias_wrote_as_root_is_removed_at_the_end_though_sudo_asks_again() {
    let test =
        "forgotten::what_monday_ipalias_wrote_as_root_is_removed_at_the_end_though_sudo_asks_again";
    if !enter(test, "script") {
        return;
    }
    let world = machine();
    want_password();
    let config = world.file("config/shop.yaml", &yaml(&world, "shop"));
    let words = format!("run shop --config {}", config.display());
    for answers in [true, false] {
        let mut screen = Screen::start(&world, &words);
        screen.until("password for nobody: ");
        screen.type_keys("secret\n");
        screen.until("shop is up");
        assert_eq!(ask(&world, "shop"), "hello from shop");
        forget();
        kill_hard(find_below(screen.pid(), "monday-ipalias"));
        screen.until("cannot become root any more");
        // Names lead there still, and port 80 is served still.
        assert_eq!(ask(&world, "shop"), "hello from shop");
        screen.type_keys("\x03");
        // Asked for again, after everything else has ended.
        screen.shown.clear();
        screen.until("password for nobody: ");
        if answers {
            screen.type_keys("secret\n");
            screen.until("removed the lines of");
            screen.end();
            assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), ORIGINAL);
            forget();
        } else {
            screen.type_keys("\x03");
            screen.until(&format!("sudo {INSTALLED}/monday-ipalias clean"));
            screen.end();
            let cleaned = Command::new(format!("{INSTALLED}/monday-ipalias"))
                .arg("clean")
                .status();
            assert!(cleaned.unwrap().success());
            assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), ORIGINAL);
        }
    }
}

#[test]
fn a_project_in_the_background_asks_on_the_terminal_before_it_leaves_it() {
    let test = "forgotten::a_project_in_the_background_asks_on_the_terminal_before_it_leaves_it";
    if !enter(test, "script") {
        return;
    }
    let world = machine();
    want_password();
    let config = world.file("config/shop.yaml", &yaml(&world, "shop"));
    let words = format!("run shop -d --config {}", config.display());
    let mut screen = Screen::start(&world, &words);
    screen.until("password for nobody: ");
    screen.type_keys("secret\n");
    screen.until("runs in the background");
    // The terminal goes, and the project stays.
    screen.end();
    assert_eq!(ask(&world, "shop"), "hello from shop");
    let status = world
        .run("monday-supervisor", ["status", "shop"])
        .expect_code(0);
    assert!(
        status.stdout.contains("host names: system"),
        "{}",
        status.stdout
    );
    let down = world.run("monday-supervisor", ["down", "shop"]);
    assert_eq!(down.code, 0, "{down:?}");
    assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), ORIGINAL);

    // Nobody who could be asked: the way out is said where it was started.
    forget();
    let started = {
        let mut command = world.command("monday-supervisor");
        command
            .args(["run", "shop", "-d", "--config"])
            .arg(&config)
            .env("MONDAY_BIN_DIR", INSTALLED);
        monday_tests::process::Process::start(command).finish()
    };
    let started = started.expect_code(0);
    assert!(
        started
            .stderr
            .contains("warning: without root: only the project's own apps"),
        "{}",
        started.stderr
    );
    let deadline = Deadline::patient();
    loop {
        let status = world.run("monday-supervisor", ["status", "shop"]);
        let status = status.expect_code(0).stdout;
        if status.contains("host names: private") {
            break;
        }
        assert!(!deadline.passed(), "{status}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let down = world.run("monday-supervisor", ["down", "shop"]);
    assert_eq!(down.code, 0, "{down:?}");
}

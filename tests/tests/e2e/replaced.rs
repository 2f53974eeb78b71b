//! Whoever replaces `/etc/hosts` by renaming another file over it takes nothing from those who have a hosts file of their
//! own.

use std::fs;

use monday_tests::process::Process;
use monday_tests::wait::Deadline;
use monday_tests::world::World;
use nix::sys::signal::Signal;

use crate::machine::{INSTALLED, enter, machine};
use crate::project::await_line;

/// Replaces it as an editor, `sed -i` and monday-ipalias itself do.
fn replace(line: &str) {
    let mut hosts = fs::read_to_string("/etc/hosts").unwrap();
    hosts.push_str(line);
    fs::write("/etc/hosts.new", hosts).unwrap();
    fs::rename("/etc/hosts.new", "/etc/hosts").unwrap();
}

/// Removes it, and makes it only after a while.
fn make_anew() {
    let hosts = fs::read("/etc/hosts").unwrap();
    fs::remove_file("/etc/hosts").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    fs::write("/etc/hosts", hosts).unwrap();
}

/// A command that says each time when it is asked by a file whether it finds the name; it asks again for a second, for
/// what was replaced is put right within milliseconds, not at once.
const LOOKER: &str = "
    echo begun
    for turn in 1 2 3 4 5 6; do
        until test -e turn$turn; do sleep 0.02; done
        found=gone
        for again in 1 2 3 4 5 6 7 8 9 10; do
            getent hosts only.test > /dev/null && { found=there; break; }
            sleep 0.1
        done
        echo turn $turn: $found
    done";

fn names_survive(world: &World) {
    let hosts = world.file("own", "127.77.3.4 only.test\n");
    let mut command = world.command("monday-run");
    command
        .arg("--hosts-file")
        .arg(&hosts)
        .args(["--", "sh", "-c", LOOKER]);
    let mut process = Process::start(command);
    process.line_with("begun");
    for turn in 1..=6 {
        match turn {
            1 => {}
            4 => make_anew(),
            5 => {
                // In quick succession.
                for _ in 0..20 {
                    replace("");
                }
            }
            _ => replace("192.0.2.1 more.example\n"),
        }
        drop(world.file(&format!("home/turn{turn}"), ""));
        process.line_with(&format!("turn {turn}: there"));
    }
    assert_eq!(process.wait(), 0);
}

#[test]
fn a_command_of_an_ordinary_user_keeps_its_names() {
    let test = "replaced::a_command_of_an_ordinary_user_keeps_its_names";
    if enter(test, "getent") {
        names_survive(&machine());
    }
}

#[test]
fn a_command_of_root_keeps_its_names() {
    let test = "replaced::a_command_of_root_keeps_its_names";
    if enter(test, "getent") {
        drop(machine());
        names_survive(&World::new());
    }
}

/// One project with names that only its apps see, and another whose monday-ipalias replaces the hosts file as root.
#[test]
fn apps_with_private_names_live_beside_a_project_that_writes_the_hosts_file() {
    let test = "replaced::apps_with_private_names_live_beside_a_project_that_writes_the_hosts_file";
    if !enter(test, "sudo") {
        return;
    }
    let world = machine();
    let run = |project: &str, escalate: &str, more: &str| {
        let yaml = format!(
            "\
projects:
  - name: {project}
    local:
      - name: back
        hostname: back.{project}.test
        setup: {{commands: ['getent hosts back.{project}.test']}}
        run:
          command: |
            echo begun
            {more}
"
        );
        let config = world.file(&format!("config/{project}.yaml"), &yaml);
        let mut command = world.command("monday-supervisor");
        command
            .args(["run", project, "--output", "json", "--escalate", escalate])
            .arg("--config")
            .arg(config)
            .env("MONDAY_BIN_DIR", INSTALLED);
        let mut process = Process::start(command);
        process.ready();
        await_line(&mut process, "back", "begun");
        process
    };
    let look = "until test -e $HOME/look; do sleep 0.02; done
            for again in 1 2 3 4 5 6 7 8 9 10; do getent hosts back.one.test && break; sleep 0.1; done
            getent hosts back.one.test > /dev/null && echo still there || echo all gone
            exec sleep 1000";
    let mut one = run("one", "none", look);
    let mut two = run("two", "sudo", "exec sleep 1000");
    let deadline = Deadline::patient();
    while !fs::read_to_string("/etc/hosts")
        .unwrap()
        .contains("back.two.test")
    {
        assert!(
            !deadline.passed(),
            "the other project's names are not there"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(world.file("home/look", ""));
    await_line(&mut one, "back", "still there");
    for process in [&mut one, &mut two] {
        process.signal(Signal::SIGTERM);
        assert_eq!(process.wait(), 143);
    }
}

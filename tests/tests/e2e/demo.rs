//! `make demo` works: as whoever runs the tests and as an ordinary user, with host names and without.
//!
//! The command is the Makefile's own, with the executables that were built for the tests instead of a release build. It
//! runs in a network of its own, where its ports are free.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use monday_tests::executable;
use monday_tests::namespace::Privacy;
use monday_tests::process::{Finished, Process};
use monday_tests::world::World;
use monday_tests::{needs_namespaces, needs_programs};
use nix::sys::signal::Signal;

const PRIVACY: Privacy = Privacy::HostsAndNetwork;

/// What `make demo` runs after it has built everything.
fn recipe(world: &World, demo_for: &str) -> String {
    let mut release = String::from("RELEASE=");
    let _ = write!(release, "{}", world.executables().display());
    let output = Command::new("make")
        .args(["--dry-run", "--no-print-directory", "demo", &release])
        .arg(format!("DEMO_FOR={demo_for}"))
        .current_dir(executable::workspace())
        // What an outer make says is not about this one.
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .env_remove("MAKELEVEL")
        .stdin(Stdio::null())
        .output()
        .expect("make can be run");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let at = lines
        .find("DEMO_PROGRAM=")
        .expect("the demo is told its program");
    lines[at..].to_owned()
}

/// The repository's folder as the recipe sees it: a user of the tests' own may not reach the real one.
fn checkout(world: &World) {
    let folder = "supervisor/examples/demo";
    std::fs::create_dir_all(world.home().join(folder)).unwrap();
    let file = format!("{folder}/monday.yaml");
    let text = std::fs::read_to_string(executable::workspace().join(&file)).unwrap();
    world.write(&format!("home/{file}"), &text);
}

fn start(world: &World, demo_for: &str) -> Process {
    checkout(world);
    let mut command = world.command("sh");
    command.args(["-c", &recipe(world, demo_for)]);
    Process::start(command)
}

/// The first URL of a line.
fn url(line: &str) -> &str {
    let at = line.find("http://").expect("a URL");
    line[at..].split_whitespace().next().expect("a URL")
}

fn curl(world: &World, demo: &Process, url: &str) -> Finished {
    let mut command = world.command_beside(demo, "curl");
    command.args(["-sS", "--max-time", "20", url]);
    Process::start(command).finish().expect_code(0)
}

/// Opens what the demo prints, and ends it as a person would.
fn plays(world: &World, names: bool) {
    let mut demo = start(world, "");
    let open = demo.line_with("open  http://");
    let try_it = demo.line_with("try   curl http://");
    assert_eq!(url(&open).contains("demo.test"), names, "{open}");
    assert_eq!(url(&try_it).contains("demo.test"), names, "{try_it}");
    // The front may be up before the back: it says so then, and the next time it is there.
    let answer = curl(world, &demo, url(&try_it)).stdout;
    assert!(answer.starts_with("hello from back"), "{answer}");
    let answer = curl(world, &demo, url(&open)).stdout;
    assert!(
        answer.starts_with("front asked back and heard: hello from back"),
        "{answer}"
    );
    demo.signal(Signal::SIGINT);
    assert_eq!(demo.wait(), 130);
    world.assert_hosts_untouched();
    world.assert_no_survivors(Duration::ZERO);
    assert_eq!(world.runtime_files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn it_answers_under_its_names_where_the_hosts_file_can_be_written() {
    needs_programs!("make", "curl", "ip");
    needs_namespaces!(PRIVACY);
    plays(&World::new().with(PRIVACY), true);
}

#[test]
fn it_answers_under_its_addresses_for_an_ordinary_user() {
    needs_programs!("make", "curl", "ip");
    needs_namespaces!(PRIVACY);
    let mut world = World::ordinary().with(PRIVACY);
    world.lock_hosts();
    plays(&world, world.is_root_there());
}

#[test]
fn it_ends_by_itself_after_the_time_that_was_asked_for() {
    needs_programs!("make", "ip");
    needs_namespaces!(PRIVACY);
    let world = World::new().with(PRIVACY);
    let mut demo = start(&world, "0.3s");
    // Standard output belongs to COMMAND; what happens is on standard error then.
    demo.error_line_with("open  http://");
    assert_eq!(demo.wait(), 0);
    world.assert_hosts_untouched();
    world.assert_no_survivors(Duration::ZERO);
}

//! A project of an ordinary user on a machine with sudo or doas: monday-ipalias becomes root, and nothing else does.
//!
//! The machine is the test's own: private mounts and a private network, with a copy of `/etc` in which `nobody` may run
//! that one program as root.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use monday_tests::http;
use monday_tests::process::Process;
use monday_tests::user::NOBODY;
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::machine::{INSTALLED, ORIGINAL, enter, machine};
use crate::project::{await_line, control, kill_hard, named, pid_of, status};
use crate::screen::{Screen, want_password};

/// A back that writes a file, and a forward to it on port 80.
pub(crate) fn yaml(world: &World, project: &str) -> String {
    format!(
        "\
projects:
  - name: {project}
    local:
      - name: back
        hostname: {back}
        run:
          command: |
            touch made-by-{project}
            exec monday-fixture http $MONDAY_HOST_BACK:9090 'hello from {project}'
    forward:
      - name: web
        type: proxy
        values:
          hostname: {web}
          proxy_hostname: {back}
          ports: ['80:9090']
",
        back = world.host(&format!("{project}-back")),
        web = world.host(&format!("{project}-web")),
    )
}

pub(crate) fn start(world: &World, project: &str, escalate: &str) -> (Process, Value) {
    let config = world.file(&format!("config/{project}.yaml"), &yaml(world, project));
    let mut command = world.command("monday-supervisor");
    command
        .args(["run", project, "--output", "json", "--escalate", escalate])
        .arg("--config")
        .arg(config)
        .env("MONDAY_BIN_DIR", INSTALLED);
    let mut process = Process::start(command);
    let ready = process.ready();
    (process, ready)
}

/// What a program of the user's gets from port 80 of a name.
pub(crate) fn ask(world: &World, project: &str) -> String {
    let url = format!("http://{}/", world.host(&format!("{project}-web")));
    let script = format!("until curl -sS --max-time 5 {url}; do sleep 0.1; done");
    let asked = world.run("timeout", ["60", "sh", "-c", &script]);
    asked.expect_code(0).stdout.trim_end().to_owned()
}

/// The names of all programs below a process that run as root, and those that do not.
pub(crate) fn by_right(above: u32) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut root, mut others) = (BTreeSet::new(), BTreeSet::new());
    let mut above = vec![above];
    while let Some(pid) = above.pop() {
        let folder = Path::new("/proc").join(pid.to_string());
        let Ok(status) = fs::read_to_string(folder.join("status")) else {
            continue;
        };
        let field = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_default().trim().to_owned()
        };
        let uids = field("Uid:");
        let name = field("Name:");
        if uids.split_whitespace().any(|uid| uid == "0") {
            root.insert(name);
        } else {
            others.insert(name);
        }
        let children = folder.join(format!("task/{pid}/children"));
        let children = fs::read_to_string(children).unwrap_or_default();
        above.extend(
            children
                .split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    (root, others)
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn only_monday_ipalias_is_root(tool: &str) {
    let world = machine();
    let (mut process, ready) = start(&world, "shop", tool);
    assert_eq!(ready["names"], true, "{ready}");
    assert!(
        named(&ready["forwards"], "web")["error"].is_null(),
        "{ready}"
    );
    await_line(&mut process, "back", "listening");
    assert_eq!(ask(&world, "shop"), "hello from shop");
    // Every other program finds it as well.
    let hosts = fs::read_to_string("/etc/hosts").unwrap();
    assert!(
        hosts.starts_with(ORIGINAL) && hosts.contains(&world.host("shop-web")),
        "{hosts}"
    );
    let (root, others) = by_right(process.pid());
    // sudo, and doas where it was built with PAM, wait for what they have started.
    assert!(root.contains("monday-ipalias"), "{root:?}");
    assert!(root.is_subset(&set(&["monday-ipalias", tool])), "{root:?}");
    let expected = [
        "monday-supervis",
        "monday-run",
        "monday-tcpproxy",
        "monday-fixture",
    ];
    assert_eq!(others, set(&expected));
    let made = fs::metadata(world.home().join("made-by-shop")).unwrap();
    assert_eq!((made.uid(), made.gid()), (NOBODY, NOBODY));
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), ORIGINAL);
    assert_eq!(world.runtime_files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn through_sudo_only_monday_ipalias_is_root_and_port_80_of_a_name_works() {
    let test = "escalated::through_sudo_only_monday_ipalias_is_root_and_port_80_of_a_name_works";
    if enter(test, "sudo") {
        only_monday_ipalias_is_root("sudo");
    }
}

#[test]
fn through_doas_only_monday_ipalias_is_root_and_port_80_of_a_name_works() {
    let test = "escalated::through_doas_only_monday_ipalias_is_root_and_port_80_of_a_name_works";
    if enter(test, "doas") {
        only_monday_ipalias_is_root("doas");
    }
}

/// Waits until a sidecar that was killed is there again.
pub(crate) fn await_again(process: &mut Process, name: &str, before: u32) {
    process.event_where(&format!("a new {name}"), |event| {
        event["event"] == "sidecar"
            && event["name"] == name
            && event["pid"]
                .as_u64()
                .is_some_and(|pid| pid != u64::from(before))
    });
}

/// The program of that name below a process.
pub(crate) fn find_below(above: u32, name: &str) -> u32 {
    let mut above = vec![above];
    while let Some(pid) = above.pop() {
        let folder = format!("/proc/{pid}");
        let comm = fs::read_to_string(format!("{folder}/comm")).unwrap_or_default();
        if comm.trim_end() == name {
            return pid;
        }
        let children = fs::read_to_string(format!("{folder}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        above.extend(
            children
                .split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    panic!("there is no {name}");
}

#[test]
fn both_helpers_come_back_after_a_kill_with_names_and_port_80() {
    let test = "escalated::both_helpers_come_back_after_a_kill_with_names_and_port_80";
    if !enter(test, "sudo") {
        return;
    }
    let world = machine();
    let (mut process, ready) = start(&world, "shop", "auto");
    await_line(&mut process, "back", "listening");
    let proxy = pid_of(&ready["sidecars"], "monday-tcpproxy");
    kill_hard(proxy);
    await_again(&mut process, "monday-tcpproxy", proxy);
    assert_eq!(ask(&world, "shop"), "hello from shop");
    let before = pid_of(&ready["sidecars"], "monday-ipalias");
    kill_hard(find_below(process.pid(), "monday-ipalias"));
    await_again(&mut process, "monday-ipalias", before);
    assert_eq!(ask(&world, "shop"), "hello from shop");
    let after = status(&world, "shop");
    assert_eq!(
        named(&after["apps"], "back")["ip"],
        named(&ready["apps"], "back")["ip"]
    );
    // The new one hands ports over as well.
    let proxy = pid_of(&after["sidecars"], "monday-tcpproxy");
    kill_hard(proxy);
    await_again(&mut process, "monday-tcpproxy", proxy);
    assert_eq!(ask(&world, "shop"), "hello from shop");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), ORIGINAL);
}

#[test]
fn a_killed_supervisor_leaves_no_root_process_and_no_line() {
    let test = "escalated::a_killed_supervisor_leaves_no_root_process_and_no_line";
    if !enter(test, "sudo") {
        return;
    }
    let world = machine();
    let (mut process, _) = start(&world, "shop", "auto");
    let helper = find_below(process.pid(), "monday-ipalias");
    process.signal(Signal::SIGKILL);
    process.wait();
    let deadline = monday_tests::wait::Deadline::patient();
    while Path::new(&format!("/proc/{helper}")).exists()
        || fs::read_to_string("/etc/hosts").unwrap() != ORIGINAL
    {
        assert!(!deadline.passed(), "it lives on, or its lines do");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn two_projects_share_nothing_but_the_file() {
    let test = "escalated::two_projects_share_nothing_but_the_file";
    if !enter(test, "sudo") {
        return;
    }
    let world = machine();
    let (mut one, _) = start(&world, "one", "auto");
    let (mut two, _) = start(&world, "two", "auto");
    assert_eq!(ask(&world, "one"), "hello from one");
    assert_eq!(ask(&world, "two"), "hello from two");
    one.signal(Signal::SIGTERM);
    assert_eq!(one.wait(), 143);
    let hosts = fs::read_to_string("/etc/hosts").unwrap();
    assert!(
        !hosts.contains("one-web") && hosts.contains("two-web"),
        "{hosts}"
    );
    assert_eq!(ask(&world, "two"), "hello from two");
    two.signal(Signal::SIGTERM);
    assert_eq!(two.wait(), 143);
    assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), ORIGINAL);
}

#[test]
fn without_the_right_everything_goes_on_and_one_line_says_what_does_not() {
    let test = "escalated::without_the_right_everything_goes_on_and_one_line_says_what_does_not";
    if !enter(test, "sudo") {
        return;
    }
    let world = machine();
    let (mut process, ready) = start(&world, "shop", "none");
    assert_eq!(ready["names"], false, "{ready}");
    let error = named(&ready["forwards"], "web")["error"].as_str().unwrap();
    assert!(error.contains("--escalate"), "{error}");
    await_line(&mut process, "back", "listening");
    let ip = named(&ready["apps"], "back")["ip"].as_str().unwrap();
    let address = format!("{ip}:9090").parse().unwrap();
    assert_eq!(http::get(address).unwrap(), "hello from shop");
    assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), ORIGINAL);
    let (root, _) = by_right(process.pid());
    assert!(root.is_empty(), "{root:?}");
    control(&world, "shop")
        .call("restart", &json!({"names": ["back"]}))
        .unwrap();
    process.signal(Signal::SIGTERM);
    let told = process.finish_open().expect_code(143);
    let warnings = told
        .stdout
        .lines()
        .filter(|line| line.contains("without root: ") && line.contains("--escalate is none"));
    assert_eq!(warnings.count(), 1, "{}", told.stdout);
}

#[test]
fn on_a_terminal_the_password_is_asked_for_before_anything_else_is_shown() {
    let test = "escalated::on_a_terminal_the_password_is_asked_for_before_anything_else_is_shown";
    if !enter(test, "script") {
        return;
    }
    let world = machine();
    want_password();
    let config = world.file("config/shop.yaml", &yaml(&world, "shop"));
    let words = format!("run shop --config {}", config.display());
    let mut screen = Screen::start(&world, &words);
    screen.until("password for nobody: ");
    let before = screen.shown.clone();
    assert!(before.contains("monday-ipalias needs root"), "{before}");
    // sudo may say something of its own; the project has said nothing yet.
    assert!(
        !before.contains("shop, from") && !before.contains(" | "),
        "{before}"
    );
    screen.type_keys("secret\n");
    screen.until("shop is up");
    assert_eq!(screen.shown.matches("password for").count(), 1);
    assert_eq!(ask(&world, "shop"), "hello from shop");
    // The terminal's Ctrl-C.
    screen.type_keys("\x03");
    screen.end();
    assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), ORIGINAL);
}

#[test]
fn where_both_helpers_die_at_once_port_80_comes_back_as_soon_as_it_can_be_handed_over() {
    let test = "escalated::where_both_helpers_die_at_once_port_80_comes_back_as_soon_as_it_can_be_handed_over";
    if !enter(test, "sudo") {
        return;
    }
    let world = machine();
    let (mut process, ready) = start(&world, "shop", "auto");
    await_line(&mut process, "back", "listening");
    kill_hard(find_below(process.pid(), "monday-ipalias"));
    kill_hard(pid_of(&ready["sidecars"], "monday-tcpproxy"));
    assert_eq!(ask(&world, "shop"), "hello from shop");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), ORIGINAL);
}

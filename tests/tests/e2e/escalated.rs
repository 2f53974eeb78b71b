//! A project of an ordinary user on a machine with sudo or doas: monday-ipalias becomes root, and nothing else does.
//!
//! The machine is the test's own: private mounts and a private network, with a copy of `/etc` in which `nobody` may run
//! that one program as root.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use monday_tests::process::Process;
use monday_tests::skip::{missing_programs, skip};
use monday_tests::user::{NOBODY, is_root};
use monday_tests::world::World;
use monday_tests::{executable, http};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::project::{await_line, control, kill_hard, named, pid_of, status};

/// Says to the test that it runs in its own namespaces.
const INSIDE: &str = "MONDAY_TEST_INSIDE_NAMESPACE";

/// What the machine's hosts file holds; the last line has no end.
const ORIGINAL: &str = "127.0.0.1 localhost\n192.0.2.7 elsewhere.example";

/// The machine: mounts, a loopback device, an empty `/run` and a copy of `/etc`.
const MACHINE: &str = "
    mount -t tmpfs -o mode=755 none /run && cp -a /etc /run/etc && mount --bind /run/etc /etc &&
    mkdir -p /etc/sudoers.d && ip link set lo up";

/// Where the executables are installed on the machine.
const INSTALLED: &str = "/run/bin";

/// Runs the test of that name again on a machine of its own; whether this is that run.
fn enter(test: &str, tool: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    if !is_root() {
        skip("it takes root to make a machine on which somebody may become root");
        return false;
    }
    let missing = missing_programs(&["unshare", "ip", "setpriv", "curl", tool]);
    if !missing.is_empty() {
        skip(&format!("these programs are not installed: {missing:?}"));
        return false;
    }
    let status = Command::new("unshare")
        .args(["--mount", "--net", "--propagation", "private", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed on its machine");
    false
}

/// A user's world on the machine, where the user may run monday-ipalias as root, in the words that `setup --print` gives.
fn machine() -> World {
    let made = Command::new("sh").args(["-ec", MACHINE]).status().unwrap();
    assert!(made.success());
    fs::write("/etc/hosts", ORIGINAL).unwrap();
    fs::set_permissions("/etc/hosts", fs::Permissions::from_mode(0o644)).unwrap();
    let world = World::ordinary();
    // Where only root can put another program in the place of the one that may become root.
    fs::create_dir(INSTALLED).unwrap();
    for name in ["monday-ipalias", "monday-run", "monday-tcpproxy"] {
        fs::copy(executable::find(name), Path::new(INSTALLED).join(name)).unwrap();
    }
    let helper = format!("{INSTALLED}/monday-ipalias");
    let printed = world
        .run(&helper, ["setup", "--print", "--output", "json"])
        .expect_code(0);
    let lines: Value = serde_json::from_str(&printed.stdout).unwrap();
    for (file, key, mode) in [
        ("/etc/sudoers.d/monday", "sudoers", 0o440),
        ("/etc/doas.conf", "doas", 0o600),
    ] {
        fs::write(file, format!("{}\n", lines[key].as_str().unwrap())).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }
    world
}

/// A back that writes a file, and a forward to it on port 80.
fn yaml(world: &World, project: &str) -> String {
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

fn start(world: &World, project: &str, escalate: &str) -> (Process, Value) {
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
fn ask(world: &World, project: &str) -> String {
    let url = format!("http://{}/", world.host(&format!("{project}-web")));
    let script = format!("until curl -sS --max-time 5 {url}; do sleep 0.1; done");
    let asked = world.run("timeout", ["60", "sh", "-c", &script]);
    asked.expect_code(0).stdout.trim_end().to_owned()
}

/// The names of all programs below a process that run as root, and those that do not.
fn by_right(above: u32) -> (BTreeSet<String>, BTreeSet<String>) {
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
fn await_again(process: &mut Process, name: &str, before: u32) {
    process.event_where(&format!("a new {name}"), |event| {
        event["event"] == "sidecar"
            && event["name"] == name
            && event["pid"]
                .as_u64()
                .is_some_and(|pid| pid != u64::from(before))
    });
}

/// The program of that name below a process.
fn find_below(above: u32, name: &str) -> u32 {
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
        .filter(|line| line.contains("--escalate is none"));
    assert_eq!(warnings.count(), 1, "{}", told.stdout);
}

/// What is shown on a terminal of the test's own.
struct Screen {
    script: Child,
    shown: String,
}

impl Screen {
    /// Reads until this is shown.
    fn until(&mut self, text: &str) {
        let mut bytes = [0; 256];
        while !self.shown.contains(text) {
            let screen = self.script.stdout.as_mut().unwrap();
            let read = screen.read(&mut bytes).unwrap();
            assert_ne!(read, 0, "`{text}` is not in: {}", self.shown);
            let more = String::from_utf8_lossy(&bytes[..read]);
            self.shown.push_str(&more);
        }
    }

    fn type_keys(&mut self, keys: &str) {
        let keyboard = self.script.stdin.as_mut().unwrap();
        keyboard.write_all(keys.as_bytes()).unwrap();
    }
}

#[test]
fn on_a_terminal_the_password_is_asked_for_before_anything_else_is_shown() {
    let test = "escalated::on_a_terminal_the_password_is_asked_for_before_anything_else_is_shown";
    if !enter(test, "script") {
        return;
    }
    let world = machine();
    fs::remove_file("/etc/doas.conf").unwrap();
    let with_password = "
        printf 'root:*:1:0:::::\\nnobody:*:1:0:::::\\n' > /etc/shadow && chmod 600 /etc/shadow &&
        echo nobody:secret | chpasswd && sed -i s/NOPASSWD/PASSWD/ /etc/sudoers.d/monday";
    let made = Command::new("sh").args(["-ec", with_password]).status();
    assert!(made.unwrap().success());
    let config = world.file("config/shop.yaml", &yaml(&world, "shop"));
    let supervisor = world.executables().join("monday-supervisor");
    let words = format!(
        "{} run shop --config {}",
        supervisor.display(),
        config.display()
    );
    let script = world
        .command("script")
        .args([
            "--quiet",
            "--flush",
            "--return",
            "--command",
            &words,
            "/dev/null",
        ])
        .env("MONDAY_BIN_DIR", INSTALLED)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let shown = String::new();
    let mut screen = Screen { script, shown };
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
    screen.script.wait().unwrap();
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

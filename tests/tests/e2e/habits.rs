//! What people are used to from other tools: completion, manual pages, a look at the machine, a clean-up.

use std::time::Duration;

use monday_tests::executable::SUPERVISOR;
use monday_tests::needs_programs;
use monday_tests::process::{Finished, Process};
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::project::{await_line, kill_hard, named, start, status};

/// All that are installed beside the supervisor.
const EXECUTABLES: [&str; 5] = [
    "monday-run",
    "monday-watch",
    "monday-fwd",
    "monday-ipalias",
    "monday-tcpproxy",
];

const YAML: &str = "\
projects:
  - name: shop
    local: [{name: web, run: 'true'}, {name: worker, run: 'true'}]
  - name: showroom
    local: [{name: page, run: 'true'}]
";

/// What bash offers for a line, by the script that the executable prints.
fn offered_by_bash(world: &World, executable: &str, line: &str) -> Vec<String> {
    let script = format!(
        "source <(MONDAY_COMPLETE=bash {executable})\n\
         read -ra COMP_WORDS <<< {line:?}; [[ {line:?} == *' ' ]] && COMP_WORDS+=('')\n\
         COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); COMP_TYPE=9\n\
         compopt() {{ return 0; }}\n\
         _clap_complete_{} {executable} \"${{COMP_WORDS[COMP_CWORD]}}\"\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        executable.replace('-', "_")
    );
    let finished = world.run("bash", ["-c", &script]).expect_code(0);
    finished
        .stdout
        .lines()
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn bash_completes_commands_projects_and_options() {
    needs_programs!("bash");
    let world = World::new();
    let config = world.configure(YAML);
    let config = config.display();
    let offered = |line: &str| offered_by_bash(&world, SUPERVISOR, line);
    // `run` may be left out, so a project may stand where a command may.
    let all = offered(&format!("monday-supervisor --config {config} "));
    for word in ["validate", "doctor", "shop", "showroom"] {
        assert!(
            all.iter().any(|offer| offer == word),
            "{word} is not in {all:?}"
        );
    }
    assert_eq!(
        offered(&format!("monday-supervisor --config {config} sho")),
        ["shop", "showroom"]
    );
    assert_eq!(
        offered(&format!("monday-supervisor config --config {config} show")),
        ["showroom"]
    );
    assert_eq!(offered("monday-supervisor validate --outp"), ["--output"]);
    assert_eq!(
        offered("monday-supervisor validate --output "),
        ["text", "json"]
    );
    // A configuration that is not there is no noise.
    assert!(
        offered("monday-supervisor run --config /no/such sho")
            .concat()
            .is_empty()
    );
    assert_eq!(
        offered_by_bash(&world, "monday-run", "monday-run --stop-t"),
        ["--stop-timeout"]
    );
}

#[test]
fn zsh_and_fish_take_their_scripts() {
    needs_programs!("zsh", "fish");
    let world = World::new();
    let config = world.configure(YAML);
    let zsh = "autoload -U compinit && compinit -D && source <(monday-supervisor completions zsh) && \
               (( $+_comps[monday-supervisor] )) && echo registered";
    let finished = world.run("zsh", ["-f", "-c", zsh]).expect_code(0);
    assert_eq!(finished.stdout, "registered\n");
    let fish = format!(
        "monday-supervisor completions fish | source; complete -C 'monday-supervisor config --config {} sho'",
        config.display()
    );
    let finished = world
        .run("fish", ["--no-config", "-c", &fish])
        .expect_code(0);
    let offered: Vec<&str> = finished
        .stdout
        .lines()
        .map(|line| line.split('\t').next().unwrap_or(""))
        .collect();
    assert_eq!(offered, ["shop", "showroom"], "{}", finished.stderr);
}

#[test]
fn every_executable_has_manual_pages() {
    let world = World::new();
    for executable in EXECUTABLES.into_iter().chain([SUPERVISOR]) {
        let pages = world.run(executable, ["--man-pages"]).expect_code(0).stdout;
        assert_eq!(pages.lines().next(), Some(executable), "{pages}");
        for name in pages.lines() {
            let page = world
                .run(executable, ["--man-page", name])
                .expect_code(0)
                .stdout;
            assert!(
                page.contains(".TH") && page.contains(".SH NAME"),
                "{name}:\n{page}"
            );
        }
    }
    let pages = world.run(SUPERVISOR, ["--man-pages"]).stdout;
    assert!(
        pages.lines().any(|name| name == "monday-supervisor-doctor"),
        "{pages}"
    );
    let unknown = world
        .run(SUPERVISOR, ["--man-page", "nothing"])
        .expect_code(2);
    assert!(unknown.stderr.contains("--man-pages"), "{}", unknown.stderr);
}

#[test]
fn version_tells_what_is_installed() {
    let world = World::new();
    let finished = world
        .run(SUPERVISOR, ["version", "--output", "json"])
        .expect_code(0);
    let version: Value = serde_json::from_str(&finished.stdout).unwrap();
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(
        (&version["name"], &version["version"]),
        (&SUPERVISOR.into(), &own.into())
    );
    assert!(version["protocol"].is_u64());
    for executable in EXECUTABLES {
        let installed = named(&version["executables"], executable);
        assert_eq!(installed["version"], own, "{version}");
    }
    let text = world.run(SUPERVISOR, ["version"]).expect_code(0).stdout;
    assert_eq!(
        text.lines().next(),
        Some(format!("monday-supervisor {own}").as_str())
    );
}

fn with_hosts(world: &World, words: &[&str]) -> Finished {
    let mut command = world.command(SUPERVISOR);
    command
        .args(words)
        .arg("--hosts-file")
        .arg(world.hosts_file());
    Process::start(command).finish()
}

/// What the doctor finds, as JSON.
fn examined(world: &World, words: &[&str]) -> Vec<Value> {
    let words = [&["doctor", "--output", "json"], words].concat();
    let finished = with_hosts(world, &words);
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    report["findings"].as_array().unwrap().clone()
}

fn found<'f>(findings: &'f [Value], check: &str) -> Vec<&'f Value> {
    findings
        .iter()
        .filter(|finding| finding["check"] == check)
        .collect()
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let world = World::new();
    let name = world.host("api");
    let config = world.configure(&format!(
        "kubeconfig: {}\nprojects:\n  - name: shop\n    local: [{{name: api, hostname: {name}, run: 'true'}}]\n    \
         forward:\n      - {{name: far, type: kubernetes, values: {{context: prod, labels: {{app: x}}, ports: [80]}}}}\n",
        world.path("home/kubeconfig").display()
    ));
    world.write(
        "home/kubeconfig",
        "contexts: [{name: dev, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n",
    );
    world.write("hosts", &format!("127.0.0.1 localhost\n127.0.1.4 {name}\n"));
    let config = config.display().to_string();
    let findings = examined(&world, &["--config", &config]);
    for check in [
        "configuration",
        "sockets",
        "host names",
        "addresses",
        "dead runs",
    ] {
        assert_eq!(
            found(&findings, check)[0]["verdict"],
            "ok",
            "{check}: {findings:?}"
        );
    }
    let cluster = found(&findings, "clusters")[0];
    assert!(
        cluster["verdict"] == "problem"
            && cluster["message"].as_str().unwrap().contains("`prod`")
            && cluster["advice"][0].as_str().unwrap().contains("dev"),
        "{cluster}"
    );
    let old = found(&findings, "hosts lines")[0];
    assert!(
        old["message"].as_str().unwrap().contains(&name)
            && old["advice"][0].as_str().unwrap().contains("adopt"),
        "{old}"
    );
    let text = with_hosts(&world, &["doctor", "--config", &config])
        .expect_code(1)
        .stdout;
    assert!(
        text.contains("problem  clusters") && text.contains("- take them over: `sudo"),
        "{text}"
    );
    assert!(!text.contains('\x1b'));
}

#[test]
fn clean_ends_what_a_killed_run_has_left_and_nothing_of_one_that_lives() {
    let world = World::new();
    let name = world.host("api");
    // The sleeping one is no child of the app's guardian, and outlives it.
    let yaml = format!(
        "projects:\n  - name: shop\n    local:\n      - {{name: api, hostname: {name}, \
         run: 'setsid sleep 1000 & echo up; wait'}}\n"
    );
    let (mut process, _) = start(&world, &yaml);
    await_line(&mut process, "api", "up");
    let running = with_hosts(&world, &["clean"]).expect_code(0);
    assert!(
        running.stdout.contains("shop runs (pid "),
        "{}",
        running.stdout
    );
    assert!(world.hosts().contains(&name));
    // All guards at once, so that none can clean up: the supervisor is halted first, or it would start new ones.
    let sidecars = status(&world, "shop")["sidecars"].clone();
    process.signal(Signal::SIGSTOP);
    for sidecar in sidecars.as_array().unwrap() {
        kill_hard(u32::try_from(sidecar["pid"].as_u64().unwrap()).unwrap());
    }
    process.signal(Signal::SIGKILL);
    assert_eq!(process.wait(), 137);
    let findings = examined(&world, &[]);
    let left = found(&findings, "dead runs")[0];
    assert!(
        left["message"].as_str().unwrap().contains("(sleep)"),
        "{left}"
    );
    assert!(
        found(&findings, "hosts lines")[0]["message"]
            .as_str()
            .unwrap()
            .contains(&name)
    );
    let finished = with_hosts(&world, &["clean", "--output", "json"]).expect_code(0);
    let done: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(done["ended"][0]["program"], "sleep", "{done}");
    assert_eq!(done["lines"][0]["name"], *name, "{done}");
    assert_eq!(done["problems"].as_array().unwrap().len(), 0, "{done}");
    world.assert_hosts_untouched();
    world.assert_no_survivors(Duration::from_secs(5));
    assert!(!world.supervisor_socket("shop").parent().unwrap().exists());
    assert_eq!(
        with_hosts(&world, &["clean"]).expect_code(0).stdout,
        "nothing to clean\n"
    );
}

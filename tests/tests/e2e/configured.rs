//! What the files of a project ask for, done: setup, rendered files, builds, environment, stop commands; and the commands
//! around the configuration as a person uses them.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use monday_tests::needs_programs;
use monday_tests::process::{Finished, Process};
use monday_tests::wait::Deadline;
use monday_tests::world::World;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::project::{await_line, is_line, start};

/// The split files of a team, in the order in which they are read. The last but one has no line end at its end.
fn team(world: &World) -> [(&'static str, String); 4] {
    let host = |name: &str| world.host(name);
    [
        (
            "monday.forward.yaml",
            format!(
                "<: &logs\n  name: logs\n  type: proxy\n  values:\n    hostname: {}\n    proxy_hostname: 127.0.0.1\n    \
                 ports:\n     - 9200:9\n\n<: &catalog\n  name: catalog\n  type: kubernetes\n  values:\n    \
                 labels: {{app: catalog}}\n    ports: [8080:http]\n",
                host("logs")
            ),
        ),
        (
            "monday.local.yaml",
            format!(
                "<: &basket\n  name: basket\n  path: ~/basket\n  hostname: {}\n  setup:\n    commands:\n      \
                 - mkdir -p ~/basket\n      - echo from setup > ~/basket/trace\n  build:\n    commands:\n      \
                 - echo from build >> trace\n    env: {{CGO_ENABLED: 0}}\n  run:\n    command: cat trace; exec sleep 1000\n    \
                 env:\n      HTTP_PORT: 8005\n  monitoring: &metrics\n    port: 8001\n    url: /metrics\n",
                host("basket")
            ),
        ),
        (
            "monday.monitoring.yaml",
            format!(
                "<: &prometheus\n  name: prometheus\n  path: ~/prometheus\n  hostname: {}\n  setup: mkdir -p ~/prometheus\n  \
                 run:\n    command: exec sleep 1000\n  files:\n    - type: content\n      to: ~/prometheus/conf/prometheus.yml\n      \
                 content: |\n        scrape_configs:\n          {{{{- range $app := .Applications }}}}\n          \
                 {{{{- if $app.Monitoring }}}}\n          - job_name: {{{{ $app.Name }}}}\n            \
                 target: {{{{ $app.Hostname }}}}:{{{{ $app.Monitoring.Port }}}}{{{{ $app.Monitoring.URL }}}} at {{{{ $app.IP }}}}\n          \
                 {{{{- end }}}}\n          {{{{- end }}}}\n          {{{{- range .Forwards }}}}\n          # {{{{ .Name }}}} {{{{ .Values.Ports }}}}\n          \
                 {{{{- end }}}}\n    - type: copy\n      from: ~/rules.sh\n      to: ~/prometheus/rules.sh",
                host("prometheus")
            ),
        ),
        (
            "monday.projects.yaml",
            "local: [*prometheus]\nprojects:\n  - name: shop\n    local: [*basket]\n    forward: [*logs]\n  \
             - name: staging\n    forward: [*catalog]\n"
                .to_owned(),
        ),
    ]
}

#[test]
fn a_team_s_split_files_run_and_their_templates_are_rendered() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = World::new();
    for (name, text) in team(&world) {
        world.write(&format!("config/{name}"), &text);
    }
    world.write("home/rules.sh", "#!/bin/sh\n");
    fs::set_permissions(
        world.path("home/rules.sh"),
        fs::Permissions::from_mode(0o750),
    )
    .unwrap();
    let config = world.config().display().to_string();
    let shown = world
        .run("monday-supervisor", ["config", "shop", "--config", &config])
        .expect_code(0);
    for part in [
        "name: prometheus",
        "name: basket",
        "name: logs",
        "HTTP_PORT: '8005'",
        "9200:9",
    ] {
        assert!(
            shown.stdout.contains(part),
            "{part} is not in\n{}",
            shown.stdout
        );
    }
    let mut command = world.command("monday-supervisor");
    command.args(["run", "shop", "--output", "json", "--config", &config]);
    command.arg("--hosts-file").arg(world.hosts_file());
    let mut process = Process::start(command);
    await_line(&mut process, "basket", "from build");
    let rendered = world.path("home/prometheus/conf/prometheus.yml");
    let deadline = Deadline::patient();
    while !world.path("home/prometheus/rules.sh").exists() {
        assert!(
            !deadline.passed(),
            "the files were not written: {}",
            process.transcript()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let text = fs::read_to_string(rendered).unwrap();
    let target = text.lines().find(|line| line.contains("target:")).unwrap();
    assert!(
        text.starts_with("scrape_configs:\n  - job_name: basket\n")
            && target.contains(&format!("{}:8001/metrics at 127.77.", world.host("basket")))
            && text.ends_with("  # logs [9200:9]\n")
            && !text.contains("job_name: prometheus"),
        "{text}"
    );
    let copied = fs::metadata(world.path("home/prometheus/rules.sh")).unwrap();
    assert_eq!(copied.permissions().mode() & 0o777, 0o750);
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
}

#[test]
fn setup_runs_only_where_the_folder_is_missing_and_the_steps_keep_their_order_and_places() {
    let world = World::new();
    let yaml = "\
setup: {env: {WHO: global}}
build: {env: {WHO: global, LEVEL: global}}
projects:
  - name: shop
    local:
      - name: api
        path: ~/src/api
        setup:
          commands: ['mkdir -p ~/src/api', 'echo \"setup $WHO in $(pwd)\" >> ~/trace']
        files: [{to: ~/src/api/conf, content: '{{ .Name }}'}]
        build:
          commands: ['echo \"build $WHO $LEVEL $(cat conf) in $(pwd)\" >> ~/trace']
          env: {WHO: app, LEVEL: app}
          env_file: ~/build.env
        run:
          command: echo \"run in $(pwd)\" >> ~/trace; echo up; exec sleep 1000
          stop_commands: ['echo \"stop in $(pwd)\" >> ~/trace']
";
    world.write("home/build.env", "# LEVEL=no\nexport LEVEL='of file'\n");
    for round in 0..2 {
        let (mut process, _) = start(&world, yaml);
        await_line(&mut process, "api", "up");
        process.signal(Signal::SIGINT);
        assert_eq!(process.wait(), 130);
        let home = world.home().display().to_string();
        let home = fs::canonicalize(home).unwrap().display().to_string();
        let trace = fs::read_to_string(world.path("home/trace")).unwrap();
        fs::remove_file(world.path("home/trace")).unwrap();
        let mut expected = vec![
            format!("build app of file shop in {home}/src/api"),
            format!("run in {home}/src/api"),
            format!("stop in {home}/src/api"),
        ];
        if round == 0 {
            expected.insert(0, format!("setup global in {home}"));
        }
        assert_eq!(trace.lines().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_failed_step_stops_its_app_and_what_depends_on_it_and_nobody_else() {
    let world = World::new();
    let yaml = "\
projects:
  - name: shop
    local:
      - {name: unbuilt, build: 'echo no compiler; false', run: echo never}
      - {name: unset, path: ~/none, setup: 'echo no network; exit 7', run: echo never}
      - {name: untemplated, files: [{to: ~/old, content: '{{ .Nmae }}'}], run: echo never}
      - {name: waiting, depends_on: [unbuilt], run: echo never}
      - {name: sound, run: 'echo up; exec sleep 1000'}
";
    world.write("home/old", "as it was");
    let (mut process, _) = start(&world, yaml);
    let mut failed = Vec::new();
    let mut up = false;
    while failed.len() < 4 || !up {
        let event = process.event_where("failures and the sound app", |event| {
            event["phase"] == "failed" || is_line(event, "sound", "up")
        });
        assert!(!event.to_string().contains("echo never"), "{event}");
        if event["phase"] == "failed" {
            failed.push((
                event["name"].as_str().unwrap().to_owned(),
                event["reason"].to_string(),
            ));
        } else {
            up = true;
        }
    }
    failed.sort();
    let expected = [
        ("unbuilt", "build failed"),
        ("unset", "setup failed"),
        ("untemplated", "Nmae"),
        ("waiting", "unbuilt"),
    ];
    for ((name, reason), (expected, part)) in failed.iter().zip(expected) {
        assert!(
            name == expected && reason.contains(part),
            "{name}: {reason}"
        );
    }
    assert_eq!(
        fs::read_to_string(world.path("home/old")).unwrap(),
        "as it was"
    );
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
}

#[test]
fn an_env_file_may_be_a_pipe_and_a_pipe_that_nobody_fills_holds_up_nobody() {
    let world = World::new();
    for name in ["secret", "silent"] {
        mkfifo(&world.path(&format!("home/{name}")), Mode::S_IRWXU).unwrap();
    }
    let yaml = "\
projects:
  - name: shop
    local:
      - {name: secretive, run: {command: 'echo \"it is $SECRET\"; exec sleep 1000', env_file: ~/secret}}
      - {name: stuck, run: {command: echo never, env_file: ~/silent}}
      - {name: other, run: 'echo up; exec sleep 1000'}
";
    let path = world.path("home/secret");
    // Opens only when somebody reads.
    let writer = std::thread::spawn(move || {
        let mut pipe = fs::OpenOptions::new().write(true).open(path).unwrap();
        pipe.write_all(b"SECRET='a b'\n").unwrap();
    });
    let config = world.configure(yaml);
    let mut command = world.command("monday-supervisor");
    command.args(["run", "shop", "--config"]).arg(config);
    command.arg("--hosts-file").arg(world.hosts_file());
    let mut process = Process::start(command);
    let (mut told, mut up) = (false, false);
    while !(told && up) {
        let line = process.next_line();
        told |= line.contains("it is a b");
        up |= line.contains("other") && line.ends_with("up");
    }
    writer.join().unwrap();
    // The one that waits for its pipe does not keep the project from stopping.
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait_within(Duration::from_secs(10)), 143);
}

/// Runs `edit` with these variables.
fn edit(world: &World, variables: &[(&str, &str)]) -> Finished {
    let mut command = world.command("monday-supervisor");
    command.args(["edit", "--config"]).arg(world.config());
    command.envs(variables.iter().copied());
    Process::start(command).finish()
}

#[test]
fn edit_opens_every_file_in_the_chosen_editor_and_validates_afterwards() {
    let world = World::new();
    world.write("config/monday.a.yaml", "local: [{name: a, run: 'true'}]\n");
    world.write("config/monday.b.yaml", "projects: [{name: shop}]\n");
    // An editor that notes how it was called, and breaks the last file if it is told to.
    let editor = "#!/bin/sh\necho \"$0 $*\" >> \"$HOME/calls\"\nfor last; do :; done\n\
                  case \"$*\" in *--break*) echo 'projects: [' > \"$last\";; esac\n";
    for name in ["own", "visual", "usual"] {
        let path = world.file(&format!("home/{name}"), editor);
        let made = world.sh(&format!("chmod 755 {}", path.display()));
        assert_eq!(made.code, 0, "{}", made.stderr);
    }
    let home = world.home().display().to_string();
    let (own, visual, usual) = (
        format!("{home}/own"),
        format!("'{home}/visual' -w"),
        format!("{home}/usual"),
    );
    let all = [
        ("EDITOR", usual.as_str()),
        ("VISUAL", visual.as_str()),
        ("MONDAY_EDITOR", own.as_str()),
        ("MONDAY_EDITOR_ARGS", "-n,--wait"),
    ];
    for count in 1..=4 {
        let finished = edit(&world, &all[..count]).expect_code(0);
        assert!(
            finished.stdout.contains("nothing is wrong"),
            "{}",
            finished.stdout
        );
    }
    let files = format!(
        "{0}/monday.a.yaml {0}/monday.b.yaml",
        world.config().display()
    );
    let calls = fs::read_to_string(world.path("home/calls")).unwrap();
    let expected = [
        format!("{home}/usual {files}"),
        format!("{home}/visual -w {files}"),
        format!("{home}/own {files}"),
        format!("{home}/own -n --wait {files}"),
    ];
    assert_eq!(calls.lines().collect::<Vec<_>>(), expected);
    let broken = edit(&world, &[("EDITOR", &format!("{usual} --break"))]).expect_code(2);
    assert!(
        broken.stderr.contains("monday.b.yaml:"),
        "{}",
        broken.stderr
    );
    let missing = edit(&world, &[("EDITOR", "no-such-editor")]).expect_code(1);
    assert!(
        missing.stderr.contains("no-such-editor") && missing.stderr.contains("PATH"),
        "{}",
        missing.stderr
    );
}

#[test]
fn diagnostics_are_coloured_where_colours_are_welcome() {
    let world = World::new();
    let config = world.configure("projects:\n  - name: shop\n    locla: []\n");
    let validate = |variables: &[(&str, &str)]| {
        let mut command = world.command("monday-supervisor");
        command.args(["validate", "--config"]).arg(&config);
        command.envs(variables.iter().copied());
        Process::start(command).finish().expect_code(0).stderr
    };
    let plain = validate(&[]);
    assert!(
        !plain.contains('\x1b') && plain.contains("did you mean `local`?"),
        "{plain}"
    );
    assert!(validate(&[("CLICOLOR_FORCE", "1")]).contains("\x1b["));
    assert!(!validate(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains('\x1b'));
}

#[test]
fn without_a_project_a_terminal_is_asked_which_and_what_is_typed_finds_it() {
    needs_programs!("tmux");
    let world = World::new();
    let config = world.configure(
        "projects:\n  - {name: billing, local: [{name: a, run: 'true'}]}\n  \
         - {name: shop-front, local: [{name: web, run: 'echo the web is up; exec sleep 1000'}]}\n",
    );
    let socket = world.path("tmux");
    let tmux = |words: &[&str]| {
        let mut command = world.command("tmux");
        command.arg("-S").arg(&socket).args(words);
        Process::start(command).finish()
    };
    let press = |words: &[&str]| assert_eq!(tmux(words).code, 0, "{words:?}");
    let run = format!(
        "monday-supervisor run --plain --config {} --hosts-file {}; echo status $?; exec sleep 1000",
        config.display(),
        world.hosts_file().display()
    );
    press(&[
        "-f",
        "/dev/null",
        "new-session",
        "-d",
        "-x",
        "100",
        "-y",
        "30",
        &run,
    ]);
    let await_screen = |text: &str| {
        let deadline = Deadline::patient();
        loop {
            let screen = tmux(&["capture-pane", "-p"]).stdout;
            if screen.contains(text) {
                return;
            }
            assert!(!deadline.passed(), "`{text}` does not appear:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    await_screen("Which project?");
    await_screen("billing  (1 app, 0 forwards)");
    // Fuzzy: the letters in their order.
    press(&["send-keys", "sfr", "Enter"]);
    await_screen("the web is up");
    press(&["send-keys", "C-c"]);
    await_screen("status 130");
    press(&["kill-server"]);
}

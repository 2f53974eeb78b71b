//! The terminal UI, driven in a real terminal (tmux) by keys, and read from its screen.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use monday_tests::needs_programs;
use monday_tests::wait::{Deadline, PATIENCE};
use monday_tests::world::World;

/// A service, an app that dies again and again, one that says a lot, and a forward.
fn yaml(world: &World) -> String {
    format!(
        "\
projects:
  - name: shop
    local:
      - name: api
        run: {{command: 'echo api listens; while :; do sleep 1; done'}}
      - name: loop
        run: {{command: 'echo loop tries; exit 3'}}
        restart: {{policy: always, backoff: 100ms}}
      - name: web
        run: {{command: 'for i in $(seq 1 500); do echo \"request $i\"; done; echo needle in the hay; seq 1 100; exec sleep 1000'}}
    forward:
      - {{name: orders, type: proxy, values: {{hostname: {}, proxy_hostname: 127.0.0.1, ports: ['{}:1']}}}}
",
        world.host("orders"),
        monday_tests::port::free_port()
    )
}

/// A terminal of its own, with a server of its own.
struct Tmux<'w> {
    world: &'w World,
    socket: PathBuf,
}

impl<'w> Tmux<'w> {
    fn start(world: &'w World, width: u16, height: u16, shell: &str) -> Self {
        let tmux = Self {
            world,
            socket: world.path("tmux"),
        };
        let (width, height) = (width.to_string(), height.to_string());
        tmux.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &width,
            "-y",
            &height,
            "sh",
            "-c",
            shell,
        ]);
        tmux
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut command: Command = self.world.command("tmux");
        command.arg("-S").arg(&self.socket).args(words);
        command.env("TERM", "xterm-256color");
        let output = command.output().expect("tmux can be run");
        assert!(
            output.status.success(),
            "tmux {words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"][..], keys].concat());
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen is as it has to be.
    fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Deadline::patient();
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(!deadline.passed(), "{what} is not on the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn until_has(&self, text: &str) -> String {
        self.until(&format!("`{text}`"), |screen| screen.contains(text))
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let mut command = self.world.command("tmux");
        command.arg("-S").arg(&self.socket).arg("kill-server");
        // It may have ended with its only window.
        let _ = command.output();
    }
}

/// What a person types to run the project; afterwards the shell says the status and waits.
fn command_line(world: &World, words: &str) -> String {
    let config = world.configure(&yaml(world));
    format!(
        "echo before; monday-supervisor {words} --config {} --hosts-file {}; echo status $?; stty -a | grep -o ' icanon'; exec sleep 1000",
        config.display(),
        world.hosts_file().display()
    )
}

#[test]
fn a_project_is_looked_at_searched_restarted_resized_and_ended() {
    needs_programs!("tmux", "stty");
    let world = World::new();
    let tmux = Tmux::start(&world, 80, 24, &command_line(&world, "run shop"));
    tmux.until_has("● api");
    let screen = tmux.until("a restart of the crash loop", |screen| {
        screen.contains("loop ×")
    });
    assert!(screen.starts_with("shop"), "{screen}");
    for text in ["● api", "● web", "→ orders", "? keys", "output of all"] {
        assert!(screen.contains(text), "no `{text}` on\n{screen}");
    }
    // The crash loop: its own output, and why it ends.
    tmux.keys(&["j", "j"]);
    tmux.until_has("loop tries");
    tmux.until_has("exit status 3");
    // A search in the output of one app, in the whole screen.
    tmux.keys(&["j", "l"]);
    tmux.until("the output alone", |screen| screen.starts_with("web:"));
    tmux.keys(&["/"]);
    tmux.keys(&["-l", "needle"]);
    tmux.until_has("/needle");
    tmux.keys(&["Enter"]);
    tmux.until_has("needle in the hay");
    tmux.until_has("not following");
    tmux.keys(&["Escape"]);
    tmux.until_has("● api");
    // A restart.
    let before = restarts(&world, "api");
    tmux.keys(&["g", "j"]);
    tmux.until_has("api: running, pid");
    tmux.keys(&["r"]);
    tmux.until_has("api ×1");
    assert_eq!(restarts(&world, "api"), before + 1);
    // It is stopped and started.
    tmux.keys(&["s"]);
    tmux.until_has("○ api");
    tmux.keys(&["s"]);
    tmux.until_has("● api");
    // Another size.
    tmux.tmux(&["resize-window", "-x", "60", "-y", "15"]);
    let small = tmux.until("the foot in the last of 15 lines", |screen| {
        screen
            .lines()
            .nth(14)
            .is_some_and(|foot| foot.contains("? keys"))
    });
    assert!(
        small.lines().all(|line| line.chars().count() <= 60),
        "{small}"
    );
    tmux.keys(&["?"]);
    tmux.until_has("keys ─");
    tmux.keys(&["Escape"]);
    // A question before things die.
    tmux.keys(&["q"]);
    tmux.until_has("will be stopped");
    tmux.keys(&["n"]);
    tmux.until("the question gone", |screen| {
        !screen.contains("will be stopped")
    });
    tmux.keys(&["q"]);
    tmux.until_has("will be stopped");
    tmux.keys(&["y"]);
    let after = tmux.until_has("status 0");
    assert!(
        after.contains("before"),
        "the terminal is as it was:\n{after}"
    );
    tmux.until_has("icanon");
    drop(tmux);
    world.assert_no_survivors(PATIENCE);
    world.assert_hosts_untouched();
}

#[test]
fn a_signal_brings_the_terminal_back() {
    needs_programs!("tmux", "stty");
    for (words, status) in [("run shop", "status 143"), ("shop", "status 130")] {
        let world = World::new();
        let tmux = Tmux::start(&world, 80, 24, &command_line(&world, words));
        tmux.until_has("● api");
        if status == "status 143" {
            let pid = monday_tests::control::Control::connect(&world.supervisor_socket("shop"))
                .ask("status")["pid"]
                .as_i64()
                .unwrap();
            let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
            tmux.until_has(status);
        } else {
            // In raw mode it is a key, and means the same as without a UI.
            tmux.keys(&["C-c"]);
            tmux.until_has("status 0");
        }
        let after = tmux.until_has("icanon");
        assert!(after.contains("before"), "{after}");
        drop(tmux);
        world.assert_no_survivors(PATIENCE);
    }
}

#[test]
fn attach_shows_the_same_and_leaves_it_running() {
    needs_programs!("tmux");
    let world = World::new();
    let config = world.configure(&yaml(&world));
    let started = world.run(
        "monday-supervisor",
        [
            "run",
            "shop",
            "-d",
            "--config",
            config.to_str().unwrap(),
            "--hosts-file",
            world.hosts_file().to_str().unwrap(),
        ],
    );
    let _ = started.expect_code(0);
    let tmux = Tmux::start(
        &world,
        80,
        24,
        "monday-supervisor attach; echo status $?; exec sleep 1000",
    );
    tmux.until_has("● api");
    tmux.keys(&["q"]);
    tmux.until_has("status 0");
    let _ = world
        .run("monday-supervisor", ["status", "shop"])
        .expect_code(0);
    let _ = world.run("monday-supervisor", ["down"]).expect_code(0);
    drop(tmux);
    world.assert_no_survivors(PATIENCE);
}

fn restarts(world: &World, app: &str) -> u64 {
    let status = crate::project::status(world, "shop");
    crate::project::named(&status["apps"], app)["restarts"]
        .as_u64()
        .unwrap()
}

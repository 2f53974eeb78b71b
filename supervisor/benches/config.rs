//! How long the configuration takes: `cargo bench -p monday-supervisor --bench config`.
//!
//! Both figures are measured through the executable, from its start to its end, as a person waits for it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking, and its answer is what it prints"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a team of 2,000 apps may wait for, and what anybody may.
const LARGE_LIMIT: Duration = Duration::from_millis(200);
const TYPICAL_LIMIT: Duration = Duration::from_millis(20);

const FILES: usize = 100;
const APPS_PER_FILE: usize = 20;
const ROUNDS: usize = 15;

/// One file: its apps as shared parts, and a project of them with three forwards.
fn file(number: usize, apps: usize) -> String {
    let mut text = String::new();
    for app in 0..apps {
        let name = format!("app-{number}-{app}");
        write!(
            text,
            "<: &{name}
  name: {name}
  path: $HOME/src/{name}
  hostname: {name}.svc.local
  watch: true
  setup:
    commands:
      - git clone git@example.com:shop/{name} ~/src/{name}
      - make deps
  build:
    commands: [\"go build -o bin/{name} ./cmd/{name}\"]
    env:
      CGO_ENABLED: 0
  run:
    command: ./bin/{name} --port 8005
    env:
      HTTP_PORT: 8005
      DATABASE_URL: postgres://localhost/{name}
      DEBUG: on
  monitoring:
    port: 9100
    url: /metrics
"
        )
        .unwrap();
    }
    write!(text, "projects:\n- name: project-{number}\n  local:\n").unwrap();
    for app in 0..apps {
        writeln!(text, "  - *app-{number}-{app}").unwrap();
    }
    text.push_str("  forward:\n");
    for port in 5432..5435 {
        let values = format!(
            "{{hostname: db-{port}.local, ports: [\"5432:{port}\"], proxy_hostname: db.internal}}"
        );
        writeln!(
            text,
            "  - name: db-{port}\n    type: proxy\n    values: {values}"
        )
        .unwrap();
    }
    text
}

/// The best of some rounds: what the machine does besides only adds.
fn measure(folder: &Path) -> Duration {
    let round = |_| {
        let start = Instant::now();
        let status = Command::new(env!("CARGO_BIN_EXE_monday-supervisor"))
            .args(["validate", "--config"])
            .arg(folder)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        start.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap()
}

fn main() {
    let large = tempfile::tempdir().unwrap();
    for number in 0..FILES {
        let path = large.path().join(format!("monday.{number:03}.yaml"));
        std::fs::write(path, file(number, APPS_PER_FILE)).unwrap();
    }
    let typical = tempfile::tempdir().unwrap();
    std::fs::write(typical.path().join("monday.yaml"), file(0, 10)).unwrap();
    for (what, folder, limit) in [
        ("100 files with 2,000 apps", large.path(), LARGE_LIMIT),
        ("a project of 10 apps", typical.path(), TYPICAL_LIMIT),
    ] {
        let best = measure(folder);
        let verdict = if best <= limit { "within" } else { "OVER" };
        println!("validate {what}: {best:.1?} ({verdict} the limit of {limit:?})");
    }
}

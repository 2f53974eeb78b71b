//! How long the configuration takes, from the start of the executable to its end, as a person waits for it.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Doing as _, Error};
use crate::machine;
use crate::median::median;
use crate::table::Table;

/// What a team of 2,000 apps may wait for, and what anybody may.
const LARGE_LIMIT: Duration = Duration::from_millis(200);
const TYPICAL_LIMIT: Duration = Duration::from_millis(20);

const FILES: usize = 100;
const APPS_PER_FILE: usize = 20;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often each configuration is validated.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// The executable under test. Default: the one beside this program.
    #[arg(long, value_name = "PATH")]
    supervisor: Option<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// The executable is missing, or finds something wrong.
pub(crate) fn run(args: &Args, out: &mut impl Write) -> Result<(), Error> {
    let supervisor = match &args.supervisor {
        Some(path) => path.clone(),
        None => std::env::current_exe()
            .doing("find this program")?
            .with_file_name("monday-supervisor"),
    };
    if !supervisor.is_file() {
        return Err(Error::NotBuilt(supervisor));
    }
    let large = tempfile::tempdir().doing("make a folder")?;
    for number in 0..FILES {
        let path = large.path().join(format!("monday.{number:03}.yaml"));
        std::fs::write(&path, file(number, APPS_PER_FILE)).doing("write a configuration")?;
    }
    let typical = tempfile::tempdir().doing("make a folder")?;
    std::fs::write(typical.path().join("monday.yaml"), file(0, 10))
        .doing("write a configuration")?;
    let mut table = Table::new(&["monday-supervisor validate", "median", "best", "limit", ""]);
    for (what, folder, limit) in [
        ("100 files with 2,000 apps", large.path(), LARGE_LIMIT),
        ("a project of 10 apps", typical.path(), TYPICAL_LIMIT),
    ] {
        let rounds = (0..args.rounds.max(1)).map(|_| measure(&supervisor, folder));
        let milliseconds = rounds.collect::<Result<Vec<f64>, Error>>()?;
        let middle = median(&milliseconds);
        let best = milliseconds.iter().copied().fold(f64::INFINITY, f64::min);
        let limit = limit.as_secs_f64() * 1e3;
        let verdict = if middle <= limit { "within" } else { "OVER" };
        table.row(vec![
            what.to_owned(),
            format!("{middle:.1} ms"),
            format!("{best:.1} ms"),
            format!("{limit:.0} ms"),
            verdict.to_owned(),
        ]);
    }
    write!(out, "{}\n\n{table}", machine::describe()).doing("print the figures")
}

/// One validation, in milliseconds.
fn measure(supervisor: &Path, folder: &Path) -> Result<f64, Error> {
    let start = Instant::now();
    let output = Command::new(supervisor)
        .args(["validate", "--config"])
        .arg(folder)
        .stdout(Stdio::null())
        .output()
        .doing("run monday-supervisor")?;
    let took = start.elapsed();
    if !output.status.success() {
        return Err(Error::Contender {
            program: "monday-supervisor".to_owned(),
            problem: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(took.as_secs_f64() * 1e3)
}

/// One file: its apps as shared parts, and a project of them with three forwards.
fn file(number: usize, apps: usize) -> String {
    let mut text = String::new();
    for app in 0..apps {
        let name = format!("app-{number}-{app}");
        let _ = write!(
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
        );
    }
    let _ = write!(text, "projects:\n- name: project-{number}\n  local:\n");
    for app in 0..apps {
        let _ = writeln!(text, "  - *app-{number}-{app}");
    }
    text.push_str("  forward:\n");
    for port in 5432..5435 {
        let values = format!(
            "{{hostname: db-{port}.local, ports: [\"5432:{port}\"], proxy_hostname: db.internal}}"
        );
        let _ = writeln!(
            text,
            "  - name: db-{port}\n    type: proxy\n    values: {values}"
        );
    }
    text
}

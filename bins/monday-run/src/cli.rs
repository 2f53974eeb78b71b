//! The flags.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anstream::{AutoStream, ColorChoice};
use clap::Parser;
use monday_shared::life::LifeArgs;
use monday_shared::rpc::history::Limits;

use crate::error::RunError;
use crate::run::Settings;
use crate::spec::CheckedSpec;

mod command;

use command::CommandArgs;

/// Runs one command, shows its output, and leaves none of its processes behind
#[derive(Debug, Parser)]
#[command(name = "monday-run", version, override_usage = USAGE, after_long_help = HELP)]
pub struct Cli {
    /// Show this name and a bar before each line of output
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,

    #[command(flatten)]
    command: CommandArgs,

    /// Note in this file what runs, so that the next monday-run with it ends what survived if this one is killed
    ///
    /// With --control, that is done in a file beside the socket, with `.lease` instead of `.sock`.
    #[arg(long, value_name = "PATH")]
    lease: Option<PathBuf>,

    /// Keep so many lines of output, or 4 MiB if they are fewer, for clients of the control socket who come late
    #[arg(long, value_name = "LINES", default_value_t = Limits::default().lines, requires = "control")]
    history: usize,

    #[command(flatten)]
    life: LifeArgs,
}

const USAGE: &str = "\
monday-run [OPTIONS] -- COMMAND...
       monday-run [OPTIONS] --control PATH";

/// What `--help` says below the flags.
const HELP: &str = "\
Output:
  Both streams of COMMAND go to standard output, as with `COMMAND 2>&1`, so that
  `monday-run -- make test | grep FAIL` sees all of it; what monday-run itself has
  to say goes to standard error. Without --name the bytes are passed on as they
  are. COMMAND reads from /dev/null. With --output json each line is an event:
  {\"event\":\"ready\"}, {\"event\":\"state\"} or {\"event\":\"output\"}. Names are coloured
  on a terminal; NO_COLOR and CLICOLOR_FORCE are honoured.

The end:
  COMMAND runs in a session of its own. When it ends, or when monday-run gets INT,
  TERM or HUP (which COMMAND gets then), every process that it started ends with
  it: asked first, then killed. COMMAND and its process group have --stop-timeout
  for that, what COMMAND leaves behind a second of it at most. A second signal
  kills at once.
  The exit status is COMMAND's (128 + number if a signal ended it), 1 if it cannot
  be started, 2 for wrong flags, 124 if it was not ready in time.

The control socket:
  Without COMMAND, monday-run waits to be told one:
    monday-run --control api.sock &
    printf '%s\\n' '{\"id\":1,\"method\":\"start\",\"params\":{\"command\":[\"./api\"]}}' |
      nc -N -U api.sock
  With COMMAND, it ends when COMMAND ends by itself, and stays when a client
  stopped it.

Examples:
  monday-run -- make test
  monday-run --name api --dir services/api --env PORT=8080 -- ./server
  monday-run --stop-signal INT --stop-timeout 30s -- postgres -D data
  monday-run --restart on-failure --ready http=http://localhost:8080/ -- ./server";

/// A name that can stand before a line.
fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(
            "a name is shown before each line: it must not be empty nor contain control characters"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

impl Cli {
    /// The flags that every executable has.
    #[must_use]
    pub fn life(&self) -> &LifeArgs {
        &self.life
    }

    /// What the flags say.
    ///
    /// # Errors
    /// [`RunError`] if that is impossible.
    pub fn settings(self) -> Result<Settings, RunError> {
        let Some(mut spec) = self.command.spec() else {
            if self.life.control.is_none() {
                return Err(RunError::NothingToRun);
            }
            return Ok(Settings {
                name: self.name,
                spec: None,
                lease: self.lease,
                history: self.history,
                life: self.life,
            });
        };
        if is_colourful() {
            // First, so that what was said wins.
            spec.env
                .insert(0, ("FORCE_COLOR".to_owned(), "1".to_owned()));
        }
        Ok(Settings {
            name: self.name,
            spec: Some(CheckedSpec::try_from(spec)?),
            lease: self.lease,
            history: self.history,
            life: self.life,
        })
    }
}

/// Whether what COMMAND writes is seen in colours, which it cannot know.
fn is_colourful() -> bool {
    std::io::stdout().is_terminal()
        && AutoStream::choice(&std::io::stdout()) != ColorChoice::Never
        && std::env::var_os("FORCE_COLOR").is_none()
}

#[cfg(test)]
mod tests {
    use monday_shared::duration::Span;
    use monday_shared::protocol::run::Probe;

    use super::*;

    fn settings(args: &[&str]) -> Result<Settings, RunError> {
        Cli::try_parse_from([&["monday-run"], args].concat())
            .unwrap()
            .settings()
    }

    #[test]
    fn a_command_is_taken_with_its_own_flags() {
        let settings = settings(&["--name", "api", "--", "ls", "--name", "-l"]).unwrap();
        let spec = settings.spec.unwrap();
        assert_eq!((spec.program(), spec.arguments().len()), ("ls", 2));
        assert_eq!(settings.name.as_deref(), Some("api"));
    }

    #[test]
    fn every_flag_about_the_command_is_in_its_specification() {
        let settings = settings(&[
            "--stop-command=a",
            "--restart=always",
            "--max-restarts=2",
            "--ready=exec=b=c",
            "--ready-within=1m",
            "--keep-children",
            "--pty",
            "--log-file=x.log",
            "--log-file-keep=1",
            "./server",
        ]);
        let spec = settings.unwrap().spec.unwrap();
        assert_eq!(spec.stop_commands(), [["/bin/sh", "-c", "a"]]);
        assert_eq!(spec.restart().max_restarts, Some(2));
        let ready = spec.ready().unwrap();
        let script = ["/bin/sh", "-c", "b=c"].map(str::to_owned);
        assert_eq!(ready.probe, Probe::Exec(script.into()));
        assert_eq!(ready.within, Some(Span::from_secs(60)));
        assert!(spec.keep_children() && spec.pty());
        assert_eq!(spec.log_file().unwrap().keep, 1);
    }

    #[test]
    fn without_a_command_there_must_be_a_control_socket() {
        assert!(matches!(settings(&[]), Err(RunError::NothingToRun)));
        assert!(settings(&["--control", "x.sock"]).unwrap().spec.is_none());
    }

    #[test]
    fn flags_about_a_command_without_one_are_refused() {
        for flags in [["--dir", "/"], ["--env", "A=1"], ["--stop-timeout", "1s"]] {
            let args = [&["monday-run", "--control", "x.sock"], &flags[..]].concat();
            assert!(Cli::try_parse_from(args).is_err());
        }
    }

    #[test]
    fn what_is_no_variable_no_signal_or_no_name_is_refused() {
        for flags in [
            ["--ready", "port=80"],
            ["--ready-within", "1s"],
            ["--max-restarts", "x"],
            ["--env", "A"],
            ["--env", "=1"],
            ["--name", ""],
            ["--name", "a\nb"],
        ] {
            let args = [&["monday-run"], &flags[..], &["--", "true"]].concat();
            assert!(Cli::try_parse_from(args).is_err(), "{flags:?}");
        }
        assert!(matches!(
            settings(&["--stop-signal", "TREM", "--", "true"]),
            Err(RunError::Spec(_))
        ));
    }
}

//! The flags.

use std::path::PathBuf;

use clap::Parser;
use monday_shared::duration::Span;
use monday_shared::life::LifeArgs;
use monday_shared::protocol::run::RunSpec;

use crate::error::RunError;
use crate::run::Settings;
use crate::spec::CheckedSpec;

/// Runs one command, shows its output, and leaves none of its processes behind
#[derive(Debug, Parser)]
#[command(name = "monday-run", version, after_long_help = HELP)]
pub struct Cli {
    /// Show this name and a bar before each line of output
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,

    /// Run COMMAND in this folder
    #[arg(long, value_name = "DIR", requires = "command")]
    dir: Option<PathBuf>,

    /// Add a variable to the environment of COMMAND; may be repeated, a later one wins
    #[arg(long, value_name = "K=V", value_parser = variable, requires = "command")]
    env: Vec<(String, String)>,

    /// The signal that asks COMMAND to stop
    #[arg(
        long,
        value_name = "SIGNAL",
        default_value = "TERM",
        requires = "command"
    )]
    stop_signal: String,

    /// How long COMMAND may take to stop before all of it is killed; 0 kills at once
    #[arg(long, value_name = "TIME", default_value = "10s", requires = "command")]
    stop_timeout: Span,

    /// Note in this file what runs, so that the next monday-run with it ends what survived if this one is killed
    #[arg(long, value_name = "PATH")]
    lease: Option<PathBuf>,

    #[command(flatten)]
    life: LifeArgs,

    /// What to run, and its arguments
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

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
  it: asked first, killed after --stop-timeout. A second signal kills at once.
  The exit status is COMMAND's (128 + number if a signal ended it), 1 if it cannot
  be started, 2 for wrong flags.

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
  monday-run --stop-signal INT --stop-timeout 30s -- postgres -D data";

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

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
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
        if self.command.is_empty() && self.life.control.is_none() {
            return Err(RunError::NothingToRun);
        }
        let spec = CheckedSpec::try_from(RunSpec {
            dir: self.dir,
            env: self.env,
            stop_signal: self.stop_signal,
            stop_timeout: self.stop_timeout,
            ..RunSpec::new(self.command.clone())
        });
        Ok(Settings {
            name: self.name,
            spec: (!self.command.is_empty()).then_some(spec).transpose()?,
            lease: self.lease,
            life: self.life,
        })
    }
}

#[cfg(test)]
mod tests {
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

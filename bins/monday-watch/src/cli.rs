//! The flags.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use monday_shared::duration::Span;
use monday_shared::life::{LifeArgs, OutputFormat};
use monday_shared::protocol::watch::WatchSpec;

use crate::error::Error;
use crate::job;
use crate::job::busy::OnBusy;
use crate::run::Settings;
use monday_shared::signal_name;

/// What the watch of the command line is known by.
const ID: &str = "watch";

/// Says what changes in folders and files, and runs a command each time
#[derive(Debug, Parser)]
#[command(
    name = "monday-watch",
    version,
    after_long_help = HELP,
    override_usage = "monday-watch [OPTIONS] PATH... [-- COMMAND...]"
)]
pub struct Cli {
    /// Folders, with all that is below them, and files; what does not exist yet is waited for
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Leave out what matches, as a line of a .gitignore at each PATH; may be repeated
    ///
    /// `.git`, `node_modules`, `vendor`, `target` and what editors write beside a file are left out anyway; `!vendor`
    /// brings one of them back.
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,

    /// Do not obey .gitignore and .ignore files
    #[arg(long)]
    no_gitignore: bool,

    /// How long nothing may change before a change is told
    #[arg(long, value_name = "TIME", default_value = "100ms")]
    debounce: Span,

    /// Look again and again instead of being told by the system
    #[arg(long)]
    poll: bool,

    /// End after the first change; with COMMAND, after it was run for that
    #[arg(long, requires = "paths")]
    once: bool,

    /// With --once, end with status 124 if nothing changes in this time
    #[arg(long, value_name = "TIME", requires = "once")]
    timeout: Option<Span>,

    /// Run COMMAND at the first change, and not at the start as well
    #[arg(long, requires = "command")]
    postpone: bool,

    /// What to do about a change while COMMAND runs
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "restart",
        requires = "command"
    )]
    on_busy: OnBusy,

    /// What --on-busy signal sends
    #[arg(
        long,
        value_name = "SIGNAL",
        default_value = "HUP",
        requires = "command"
    )]
    signal: String,

    /// The signal that asks COMMAND to stop
    #[arg(
        long,
        value_name = "SIGNAL",
        default_value = "TERM",
        requires = "command"
    )]
    stop_signal: String,

    /// How long COMMAND may take to stop before all of it is killed; 0 kills at once
    ///
    /// What COMMAND leaves behind when it has ended has a second of that at most.
    #[arg(long, value_name = "TIME", default_value = "10s", requires = "command")]
    stop_timeout: Span,

    #[command(flatten)]
    life: LifeArgs,

    /// What to run, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What `--help` says below the flags.
const HELP: &str = "\
What is told:
  What is new, gone or written, once it has been quiet for --debounce: a save, a
  checkout or a build is one change. Not what is only read, nor new rights. While git
  holds its index.lock, it is waited for. Links within PATH are not followed; PATH
  itself may be one. A watched folder that vanishes is waited for.

COMMAND:
  It runs at the start and at each change, in a process group of its own, reads from
  /dev/null and writes where monday-watch writes; what monday-watch itself has to say goes
  to standard error then. MONDAY_CHANGED names what changed, a path a line (the
  first hundred), MONDAY_CHANGED_COUNT says how many there are. When it is stopped, all
  that it started ends with it. A change that COMMAND makes itself, right after its
  start, ten times in a row, does not start it any more.
  With --output json its output becomes events too, on standard output.

Where the system cannot tell:
  On network drives, and where a limit of the system is reached, PATH is looked at
  again and again; what limit that is and how to raise it is said.

Exit status: 0 after --once (or COMMAND's), 124 after --timeout, 128 + number after a
signal, 2 for wrong flags.

Examples:
  monday-watch src
  monday-watch src Cargo.toml -- cargo run
  monday-watch --on-busy queue --exclude '*.md' . -- make test
  monday-watch --once --timeout 30s build/app && ./deploy";

impl Cli {
    /// The flags that every executable has.
    #[must_use]
    pub fn life(&self) -> &LifeArgs {
        &self.life
    }

    /// What the flags say.
    ///
    /// # Errors
    /// [`Error`] if that is impossible.
    pub fn settings(self) -> Result<Settings, Error> {
        if self.paths.is_empty() && (self.life.control.is_none() || !self.command.is_empty()) {
            return Err(Error::NothingToWatch);
        }
        let job = if self.command.is_empty() {
            None
        } else {
            Some(job::Settings {
                words: self.command,
                on_busy: self.on_busy,
                signal: signal_name::parse(&self.signal)?,
                stop_signal: signal_name::parse(&self.stop_signal)?,
                stop_timeout: self.stop_timeout.0,
                captured: self.life.output == OutputFormat::Json,
            })
        };
        let spec = (!self.paths.is_empty()).then(|| WatchSpec {
            exclude: self.exclude,
            debounce: self.debounce,
            gitignore: !self.no_gitignore,
            poll: self.poll,
            ..WatchSpec::new(ID, self.paths)
        });
        Ok(Settings {
            spec,
            job,
            postpone: self.postpone || self.once,
            once: self.once,
            timeout: self.timeout.map(|timeout| timeout.0),
            life: self.life,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn settings(line: &str) -> Result<Settings, Error> {
        let words = line.split_ascii_whitespace();
        Cli::try_parse_from(words).unwrap().settings()
    }

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn paths_flags_and_command_are_told_apart() {
        let settings = settings("x src --exclude *.md a.txt --poll -- make -B --poll").unwrap();
        let spec = settings.spec.unwrap();
        assert_eq!(spec.paths, ["src", "a.txt"].map(PathBuf::from));
        assert_eq!(
            (spec.exclude, spec.poll, spec.gitignore),
            (vec!["*.md".to_owned()], true, true)
        );
        assert_eq!(
            settings.job.unwrap().words,
            ["make", "-B", "--poll"].map(OsString::from)
        );
    }

    #[test]
    fn without_a_path_there_must_be_a_control_socket_and_no_command() {
        assert!(matches!(settings("x"), Err(Error::NothingToWatch)));
        assert!(settings("x --control s.sock").unwrap().spec.is_none());
        assert!(matches!(
            settings("x --control s.sock -- make"),
            Err(Error::NothingToWatch)
        ));
    }

    #[test]
    fn flags_that_make_no_sense_are_refused() {
        for line in [
            "x src --timeout 1s",
            "x src --postpone",
            "x src --on-busy never -- a",
            "x src --debounce 5 -- a",
        ] {
            assert!(
                Cli::try_parse_from(line.split_ascii_whitespace()).is_err(),
                "{line}"
            );
        }
        assert!(matches!(
            settings("x src --signal HOP -- a"),
            Err(Error::Signal(_))
        ));
    }
}

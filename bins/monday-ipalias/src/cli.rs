//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use monday_shared::life::LifeArgs;

use crate::error::Error;
use crate::hosts::file::HowToWrite;
use crate::hosts::step::Steps;
use crate::lease::LeaseFolder;
use crate::privilege::{PrivilegeError, Standing};
use crate::range::Range;
use crate::settings::Settings;
use crate::status::DEFAULT_FILE;
use monday_shared::hostname::{Flaw, Hostname};

const EXAMPLES: &str = "\
Examples:
  monday-ipalias api.svc.local db.svc.local
      until Ctrl-C, both names lead to a loopback address of their own
  monday-ipalias api.svc.local -- ./run-tests
      while ./run-tests runs, which finds the address in MONDAY_HOST_API_SVC_LOCAL
  monday-ipalias list
  monday-ipalias clean

  sudo monday-ipalias adopt api.svc.local
      take over a line 127.0.1.x that the older Go tool has left in the hosts file

The words list, clean, adopt, setup, assign and help are verbs where they come first. A host of such a name:
monday-ipalias assign list

Through sudo or doas it serves only whoever called it: --hosts-file and COMMAND are refused, the environment is ignored,
and --control has to be in a folder of mode 0700 of the caller's own. How to do without a password: monday-ipalias setup
--print";

/// Gives host names a loopback address of their own, and a line in the hosts file
///
/// A name keeps its address from run to run. The lines stand in a marked block that goes when this ends; nothing else
/// in the file is touched. Where the file may not be written, the addresses work nevertheless.
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    after_help = EXAMPLES,
    override_usage = "monday-ipalias [OPTIONS] NAME... [-- COMMAND...]\n       monday-ipalias [OPTIONS] list|clean\n       monday-ipalias [OPTIONS] adopt NAME...\n       monday-ipalias setup --print",
    subcommand_negates_reqs = true
)]
pub struct Cli {
    #[command(flatten)]
    hosts: HostsArgs,

    #[command(flatten)]
    life: LifeArgs,

    #[command(flatten)]
    names: NamesArgs,

    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Clone, Debug, Args)]
struct HostsArgs {
    /// The hosts file [default: /etc/hosts]
    #[arg(long, value_name = "PATH")]
    hosts_file: Option<PathBuf>,

    /// Keep the hosts file a copy of this one, with the names added; a name that this one has, too, is ours there
    ///
    /// For a private hosts file, such as monday-run gives to a program. Whatever else stands in the hosts file goes.
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,

    /// Where addresses are taken from; a part of 127.0.0.0/8
    #[arg(long, value_name = "CIDR", default_value = "127.77.0.0/16")]
    range: Range,

    /// Write over the content of the hosts file, never put a new file in its place
    #[arg(long)]
    in_place: bool,

    /// Only print what would be written
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Debug, Default, Args)]
struct NamesArgs {
    /// The host names; more can be assigned over the control socket
    #[arg(value_name = "NAME", required_unless_present = "control", value_parser = host_name)]
    names: Vec<String>,

    /// Run this with the addresses in its environment, and end with it
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<OsString>,
}

#[derive(Clone, Debug, Subcommand)]
enum Verb {
    /// Gives names an address, as without a verb
    Assign(NamesArgs),
    /// Lists the names that monday-ipalias has given an address, and who has them
    List,
    /// Removes what a killed monday-ipalias has left behind
    Clean,
    /// Takes over lines 127.0.1.x that the older Go tool of the same name has left for these names
    Adopt {
        /// The host names
        #[arg(value_name = "NAME", required = true, value_parser = host_name)]
        names: Vec<String>,
    },
    /// Says how to let it run as root without a password
    Setup {
        /// Print it; nothing is changed
        #[arg(long, required = true)]
        print: bool,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Serve names until the end.
    Serve {
        /// The names to begin with.
        names: Vec<String>,
        /// What to run meanwhile.
        command: Vec<OsString>,
    },
    /// Print what serving these names would write.
    Preview {
        /// The names.
        names: Vec<String>,
    },
    /// Print who has which name.
    List,
    /// Take over foreign lines.
    Adopt {
        /// For these names.
        names: Vec<String>,
        /// Only print what that would be.
        dry_run: bool,
    },
    /// Print how to let it run as root.
    Setup,
    /// Remove what the dead have left.
    Clean {
        /// Only print what that would be.
        dry_run: bool,
    },
}

/// The verbs that take a file or names and end.
const VERBS: [&str; 5] = ["list", "clean", "adopt", "setup", "assign"];

/// Whether a word is another one with one letter wrong, missing or too many, or two of them in each other's place.
fn is_slip(word: &str, meant: &str) -> bool {
    let (word, meant) = (word.as_bytes(), meant.as_bytes());
    let alike = |one: &mut dyn Iterator<Item = (&u8, &u8)>| one.take_while(|(a, b)| a == b).count();
    let front = alike(&mut word.iter().zip(meant));
    let (word, meant) = (&word[front..], &meant[front..]);
    let back = alike(&mut word.iter().rev().zip(meant.iter().rev()));
    let (word, meant) = (&word[..word.len() - back], &meant[..meant.len() - back]);
    match (word, meant) {
        ([_], [_] | []) | ([], [_]) => true,
        ([a, b], [c, d]) => (a, b) == (d, c),
        _ => false,
    }
}

fn host_name(text: &str) -> Result<String, Flaw> {
    text.parse::<Hostname>().map(|_| text.to_owned())
}

impl Cli {
    /// Reads the command line of this process; ends the process if it makes no sense.
    #[must_use]
    pub fn parse_or_exit() -> Self {
        Self::try_read(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn try_read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::from_arg_matches(&Self::grammar().try_get_matches_from(words)?)
    }

    /// The command line, where every flag may stand before and after the verb.
    #[must_use]
    pub fn grammar() -> clap::Command {
        Self::command().mut_args(|arg| {
            let flag = !arg.is_positional();
            arg.global(flag)
        })
    }

    /// The flags of every executable.
    #[must_use]
    pub fn life(&self) -> &LifeArgs {
        &self.life
    }

    /// What is to be done.
    #[must_use]
    pub fn task(&self) -> Task {
        let dry_run = self.hosts.dry_run;
        let NamesArgs { names, command } = match &self.verb {
            Some(Verb::List) => return Task::List,
            Some(Verb::Clean) => return Task::Clean { dry_run },
            Some(Verb::Setup { .. }) => return Task::Setup,
            Some(Verb::Adopt { names }) => {
                let names = names.clone();
                return Task::Adopt { names, dry_run };
            }
            Some(Verb::Assign(names)) => names.clone(),
            None => self.names.clone(),
        };
        if dry_run {
            Task::Preview { names }
        } else {
            Task::Serve { names, command }
        }
    }

    /// The first word, where it is a host name by its place and a verb but for a slip of the finger, and that verb.
    #[must_use]
    pub fn mistyped_verb(&self) -> Option<(&str, &'static str)> {
        let first = self.names.names.first().filter(|_| self.verb.is_none())?;
        let verb = VERBS.into_iter().find(|verb| is_slip(first, verb))?;
        Some((first, verb))
    }

    /// Whether COMMAND is to be run.
    #[must_use]
    pub fn runs_command(&self) -> bool {
        matches!(self.task(), Task::Serve { command, .. } if !command.is_empty())
    }

    fn hosts_file(&self, standing: Standing) -> Result<&Path, PrivilegeError> {
        if standing.user().is_some() && self.hosts.base.is_some() {
            return Err(PrivilegeError::Base);
        }
        let default = Path::new(DEFAULT_FILE);
        let named = self.hosts.hosts_file.as_deref().unwrap_or(default);
        // Compared as a text: another path to the same file is a path that a caller has given.
        if standing.user().is_some() && named.as_os_str() != default.as_os_str() {
            let default = DEFAULT_FILE;
            return Err(PrivilegeError::HostsFile { default });
        }
        Ok(named)
    }

    /// The file that the hosts file is to be a copy of. Never that file itself, and never the machine's own one: it would
    /// lose what others write there.
    fn base(&self, hosts_file: &Path) -> Result<Option<PathBuf>, Error> {
        let Some(base) = &self.hosts.base else {
            return Ok(None);
        };
        let real = |path: &Path| path.canonicalize().ok();
        let is = |other: &Path| {
            hosts_file == other
                || real(hosts_file).is_some_and(|real_path| Some(real_path) == real(other))
        };
        if is(base) || is(Path::new(DEFAULT_FILE)) {
            return Err(Error::Base {
                file: hosts_file.to_owned(),
            });
        }
        Ok(Some(base.clone()))
    }

    /// Where names come from and go to.
    ///
    /// # Errors
    /// [`Error::Leases`] if there is no runtime folder; [`PrivilegeError::HostsFile`] if somebody names a file who may
    /// not.
    pub fn settings(&self, standing: Standing) -> Result<Settings, Error> {
        let hosts_file = self.hosts_file(standing)?;
        let user = standing.user();
        let leases = LeaseFolder::of(user)?;
        let base = match self.task() {
            Task::Serve { .. } | Task::Preview { .. } => self.base(hosts_file)?,
            // The others are about what stands in the file as it is.
            _ => None,
        };
        Ok(Settings {
            how: HowToWrite {
                in_place: self.hosts.in_place,
                // What root writes it reads again, so it is not left in a folder of somebody else's.
                spare_folder: user.is_none().then(|| leases.path().to_owned()),
                base,
                only_where_root_rules: user.is_some(),
                steps: Steps::default(),
            },
            range: self.hosts.range,
            user,
            ..Settings::new(hosts_file.to_owned(), leases)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use monday_shared::life::OutputFormat;

    fn read(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_read(line.split_ascii_whitespace().map(OsString::from))
    }

    fn task(line: &str) -> Task {
        read(line).unwrap().task()
    }

    fn serve(names: &[&str], command: &[&str]) -> Task {
        Task::Serve {
            names: names.iter().map(|&word| word.to_owned()).collect(),
            command: command.iter().map(OsString::from).collect(),
        }
    }

    #[test]
    fn names_and_a_command_are_told_apart() {
        assert_eq!(
            task("x api.local db.local"),
            serve(&["api.local", "db.local"], &[])
        );
        assert_eq!(
            task("x api.local -- curl -v http://api.local list"),
            serve(&["api.local"], &["curl", "-v", "http://api.local", "list"])
        );
        assert_eq!(task("x --control /tmp/s"), serve(&[], &[]));
    }

    #[test]
    fn the_first_word_may_be_a_verb_and_assign_takes_names_that_look_like_one() {
        assert_eq!(task("x list"), Task::List);
        assert_eq!(task("x clean"), Task::Clean { dry_run: false });
        assert_eq!(
            task("x assign list clean -- true"),
            serve(&["list", "clean"], &["true"])
        );
        assert_eq!(task("x api.local list"), serve(&["api.local", "list"], &[]));
        assert!(read("x list api.local").is_err());
    }

    #[test]
    fn a_verb_with_a_slip_of_the_finger_is_recognised() {
        let mistyped = |line: &str| {
            let cli = read(line).unwrap();
            cli.mistyped_verb()
                .map(|(word, verb)| (word.to_owned(), verb))
        };
        for (word, verb) in [
            ("lsit", "list"),
            ("lst", "list"),
            ("claen", "clean"),
            ("cleann", "clean"),
            ("adapt", "adopt"),
        ] {
            assert_eq!(
                mistyped(&format!("x {word}")),
                Some((word.to_owned(), verb))
            );
        }
        for other in [
            "x api.local",
            "x api.local lsit",
            "x assign lsit",
            "x lean.on",
            "x db",
        ] {
            assert_eq!(mistyped(other), None, "{other}");
        }
    }

    #[test]
    fn flags_stand_before_and_after_the_verb() {
        for line in [
            "x --hosts-file /tmp/h --range 127.9.0.0/24 --output json list",
            "x list --hosts-file /tmp/h --range 127.9.0.0/24 --output json",
            "x --output json list --range 127.9.0.0/24 --hosts-file /tmp/h",
            "x api.local --range 127.9.0.0/24 --hosts-file /tmp/h --output json -- true",
            "x assign api.local --range 127.9.0.0/24 --hosts-file /tmp/h --output json",
        ] {
            let cli = read(line).unwrap();
            assert_eq!(
                cli.hosts.hosts_file,
                Some(PathBuf::from("/tmp/h")),
                "{line}"
            );
            assert_eq!(cli.hosts.range.to_string(), "127.9.0.0/24", "{line}");
            assert_eq!(cli.life.output, OutputFormat::Json, "{line}");
        }
    }

    #[test]
    fn adopt_takes_names_and_setup_only_prints() {
        let names = vec!["api.local".to_owned(), "db.local".to_owned()];
        let dry_run = true;
        assert_eq!(
            task("x adopt api.local db.local --dry-run"),
            Task::Adopt { names, dry_run }
        );
        assert_eq!(task("x setup --print"), Task::Setup);
        assert_eq!(
            task("x assign adopt setup"),
            serve(&["adopt", "setup"], &[])
        );
    }

    #[test]
    fn only_a_private_file_is_a_copy_of_another_one() {
        let settings = |line: &str, standing| read(line).unwrap().settings(standing);
        let private = settings(
            "x a.local --hosts-file /tmp/h --base /etc/hosts",
            Standing::Ordinary,
        );
        assert_eq!(private.unwrap().how.base, Some("/etc/hosts".into()));
        for line in [
            "x a.local --base /tmp/h",
            "x a.local --hosts-file /etc/../etc/hosts --base /tmp/h",
            "x a.local --hosts-file /tmp/h --base /tmp/h",
        ] {
            let refused = settings(line, Standing::Ordinary);
            assert!(matches!(refused, Err(Error::Base { .. })), "{line}");
        }
        let served = Standing::Serving(monday_shared::identity::Identity::own());
        let refused = settings("x a.local --base /tmp/h", served);
        assert!(matches!(
            refused,
            Err(Error::Privilege(PrivilegeError::Base))
        ));
    }

    #[test]
    fn whoever_calls_through_sudo_names_no_file_and_root_itself_names_any() {
        let own = monday_shared::identity::Identity::own();
        for file in ["/etc/shadow", "/etc/../etc/hosts", "/etc//hosts"] {
            let cli = read(&format!("x a.local --hosts-file {file}")).unwrap();
            let refused = cli.hosts_file(Standing::Serving(own)).unwrap_err();
            assert!(
                refused.to_string().contains("--hosts-file is refused"),
                "{refused}"
            );
            assert_eq!(cli.hosts_file(Standing::Root).unwrap(), Path::new(file));
        }
        for line in ["x a.local", "x a.local --hosts-file /etc/hosts"] {
            let cli = read(line).unwrap();
            let file = cli.hosts_file(Standing::Serving(own)).unwrap();
            assert_eq!(file, Path::new(DEFAULT_FILE));
        }
    }

    #[test]
    fn a_dry_run_only_prints() {
        let names = vec!["api.local".to_owned()];
        assert_eq!(task("x --dry-run api.local"), Task::Preview { names });
        assert_eq!(task("x clean --dry-run"), Task::Clean { dry_run: true });
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for line in [
            "x",
            "x assign",
            "x 127.0.0.1",
            "x a..b",
            "x api.local --range 10.0.0.0/8",
            "x --frobnicate api.local",
            "x adopt",
            "x adopt a..b",
            "x setup",
        ] {
            assert_eq!(read(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::grammar().debug_assert();
    }
}

//! What the command line may say.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use monday_shared::duration::Span;
use monday_shared::life::LifeArgs;
use monday_shared::life::args::OutputFormat;

use crate::choice::Choice;
use crate::commands::clean::CleanArgs;
use crate::commands::completions::{self, CompletionsArgs};
use crate::commands::config::ShowArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::edit::EditArgs;
use crate::commands::init::InitArgs;
use crate::commands::list::ListArgs;
use crate::commands::remote::TargetArgs;
use crate::commands::remote::act::{DownArgs, SignalArgs, StopArgs, SwitchArgs};
use crate::commands::remote::attach::AttachArgs;
use crate::commands::remote::logs::LogsArgs;
use crate::commands::remote::status::StatusArgs;
use crate::commands::remote::wait::WaitArgs;
use crate::commands::validate::ValidateArgs;
use crate::commands::version::VersionArgs;
use crate::escalate::Wish;

/// Runs a micro-service project on this machine.
///
/// Some services run here as local processes, the others are forwarded; every one is reachable under its own host name
/// on its own loopback address, all from one YAML file.
#[derive(Debug, Parser)]
#[command(
    name = "monday-supervisor",
    version,
    override_usage = "monday-supervisor [run] [OPTIONS] PROJECT [-- COMMAND...]\n       monday-supervisor [OPTIONS] COMMAND",
    after_help = "\
Examples:
  monday-supervisor shop                     run the project `shop`; Ctrl-C stops all of it
  monday-supervisor shop --config team.yaml  from a file (or folder) of your choice
  monday-supervisor run shop -- make check   run it, then a command, then stop all; its status is the command's
  monday-supervisor run list                 run a project that is named like a command
  monday-supervisor shop web                 only `web` and what it depends on
  monday-supervisor shop --forward orders    `orders` forwarded instead of run here
  monday-supervisor run shop -d              in the background; then `logs -f`, `attach`, `down`
  monday-supervisor run shop --wait --timeout 60s -- make check
                                             the same for CI: everything is ready, or it ends with 124
  monday-supervisor status                   from a second terminal; so are restart, stop, start, logs, wait

`monday-supervisor run --help` shows the options of run, and so on for every command.

The configuration is read from --config, else $MONDAY_CONFIG_PATH, else ./monday.yaml, else your home folder."
)]
pub struct Cli {
    /// What to do; without one: `run`.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line. Options may stand before the command, and `run` may be left out.
    ///
    /// Ends the process on a mistake, as clap does, and on `--help` and `--version`.
    #[must_use]
    pub fn from_args(args: impl IntoIterator<Item = OsString>) -> Self {
        Self::parse_from(with_command_first(args.into_iter().collect()))
    }
}

/// Puts the command first, or `run` where none is named.
fn with_command_first(mut args: Vec<OsString>) -> Vec<OsString> {
    let definition = Cli::command();
    let options = args.iter().skip(1).take_while(|arg| *arg != "--");
    let mut first_word = None;
    let mut is_value = false;
    for (at, arg) in options.enumerate() {
        let text = arg.to_string_lossy();
        match text.as_ref() {
            // About the whole, when no command comes before it.
            "-h" | "--help" | "-V" | "--version" => return args,
            _ if std::mem::take(&mut is_value) => {}
            option if option.starts_with('-') && option != "-" => {
                is_value = takes_next_word(&definition, option);
            }
            _ => {
                first_word = Some(at + 1);
                break;
            }
        }
    }
    let command = first_word.filter(|at| is_command(&definition, &args[*at]));
    let word = command.map_or_else(|| OsString::from("run"), |at| args.remove(at));
    args.insert(args.len().min(1), word);
    args
}

fn is_command(definition: &clap::Command, word: &OsStr) -> bool {
    word == "help"
        || word
            .to_str()
            .is_some_and(|word| definition.find_subcommand(word).is_some())
}

/// Whether the word after this option is its value: `--config PATH`, but not `--config=PATH` or `--lifeline`.
fn takes_next_word(definition: &clap::Command, option: &str) -> bool {
    let takes_value = |arg: &clap::Arg| {
        let named = match option.strip_prefix("--") {
            Some(long) => arg.get_long() == Some(long),
            None => arg
                .get_short()
                .is_some_and(|short| option == format!("-{short}")),
        };
        named && arg.get_action().takes_values()
    };
    definition
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .any(takes_value)
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a project (the default)
    #[command(after_help = "\
Examples:
  monday-supervisor run shop                    until Ctrl-C
  monday-supervisor run shop -- make check      then a command, whose status it ends with
  monday-supervisor run shop --output json      events for programs")]
    Run(RunArgs),
    /// Tell everything that is wrong with the configuration; exit status 2 if a project cannot run
    #[command(after_help = "\
Examples:
  monday-supervisor validate                              all projects
  monday-supervisor validate shop --config team.yaml      one of them, from a file of your choice
  monday-supervisor validate --strict                     in CI: a warning fails as well
  monday-supervisor validate --output json | jq -r '.diagnostics[] | \"\\(.file // \"-\"):\\(.line // 0): \\(.message)\"'")]
    Validate(ValidateArgs),
    /// List the projects with their apps and forwards
    #[command(after_help = "\
Examples:
  monday-supervisor list
  monday-supervisor list --output json | jq -r '.projects[].name'")]
    List(ListArgs),
    /// Show what a project will really run: merged, expanded, as YAML
    #[command(after_help = "\
Examples:
  monday-supervisor config shop
  monday-supervisor config shop > shop.yaml && monday-supervisor shop --config shop.yaml     the same, of one file")]
    Config(ShowArgs),
    /// Print the JSON schema of the configuration, for editors
    #[command(after_help = "\
Example:
  monday-supervisor schema > monday.schema.json
  # yaml-language-server: $schema=monday.schema.json      as the first line of monday.yaml")]
    Schema,
    /// Write a commented monday.yaml to start from; never overwrites
    #[command(after_help = "\
Examples:
  monday-supervisor init
  monday-supervisor init ~/projects && monday-supervisor hello --config ~/projects")]
    Init(InitArgs),
    /// Open the configuration in your editor, then validate it
    #[command(after_help = "\
Examples:
  monday-supervisor edit                                        in $VISUAL or $EDITOR
  MONDAY_EDITOR=code MONDAY_EDITOR_ARGS=-n,--wait monday-supervisor edit")]
    Edit(EditArgs),
    /// How a running project is: apps, forwards, addresses, what goes through them
    #[command(after_help = "\
Examples:
  monday-supervisor status                      of the project that runs
  monday-supervisor status shop --output json | jq -r '.apps[] | .name'")]
    Status(StatusArgs),
    /// Start apps of a running project again
    #[command(after_help = "\
Examples:
  monday-supervisor restart api                 one app of the project that runs
  monday-supervisor restart shop                all apps of shop")]
    Restart(TargetArgs),
    /// Stop apps of a running project; they stay stopped until `start`
    #[command(after_help = "\
Examples:
  monday-supervisor stop api                    one app
  monday-supervisor stop shop                   all apps of shop; `down` ends the supervisor as well")]
    Stop(StopArgs),
    /// Start apps that were stopped or have ended
    #[command(after_help = "\
Examples:
  monday-supervisor start api")]
    Start(TargetArgs),
    /// Send a signal to apps of a running project
    #[command(after_help = "\
Examples:
  monday-supervisor signal HUP api              as `kill -HUP` of its process")]
    Signal(SignalArgs),
    /// Open forwards of a running project anew
    #[command(after_help = "\
Examples:
  monday-supervisor reconnect db.local")]
    Reconnect(TargetArgs),
    /// Let the app here, or the forward, serve a name that has both: NAME local, NAME forward
    Switch(SwitchArgs),
    /// Apply what changed in the configuration of a running project, and only that
    Reload(DownArgs),
    /// Wait until a running project, or apps and forwards of it, are ready
    #[command(after_help = "\
Examples:
  monday-supervisor wait --timeout 60s          until everything is ready; exit status 124 if it is not in time
  monday-supervisor wait shop api")]
    Wait(WaitArgs),
    /// What apps of a running project wrote
    Logs(LogsArgs),
    /// Show a project that runs in the background or elsewhere
    Attach(AttachArgs),
    /// Stop a running project, supervisor included
    #[command(after_help = "\
Examples:
  monday-supervisor down shop")]
    Down(DownArgs),
    /// Look whether this machine is ready for monday, and say what to do where it is not
    #[command(after_help = "\
Examples:
  monday-supervisor doctor
  monday-supervisor doctor --output json | jq '.findings[] | select(.verdict != \"ok\")'

Exit status 1 if something will not work.")]
    Doctor(DoctorArgs),
    /// End what killed runs have left behind: processes, sockets, lines of the hosts file
    #[command(after_help = "\
Examples:
  monday-supervisor clean
  monday-supervisor clean --escalate none     without sudo: leave the hosts file as it is

Nothing of a project that runs is touched.")]
    Clean(CleanArgs),
    /// Tell the version, and what of monday is installed where
    #[command(after_help = "\
Examples:
  monday-supervisor version
  monday-supervisor version --output json | jq -r .version")]
    Version(VersionArgs),
    /// Print the script by which a shell completes commands, projects, apps and forwards
    #[command(after_help = "\
Examples:
  source <(monday-supervisor completions bash)       in ~/.bashrc
  source <(monday-supervisor completions zsh)        in ~/.zshrc, behind compinit
  monday-supervisor completions fish | source        in config.fish

`make install` puts them in place for everybody; for the other executables: MONDAY_COMPLETE=bash monday-run")]
    Completions(CompletionsArgs),
}

/// Where the configuration is.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// Read this file, or the monday*.yaml of this folder; may be given several times
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
}

/// What to do when the configuration changes while a project runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReloadMode {
    /// Say so; `reload` applies it.
    #[default]
    Announce,
    /// Apply what differs at once.
    Auto,
    /// Nothing.
    Off,
}

/// What `run` takes.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The project to run
    #[arg(value_name = "PROJECT", add = completions::projects())]
    pub project: Option<String>,

    /// Only these of its apps and forwards, with what they depend on
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// Without this app or forward; may be given several times
    #[arg(long, value_name = "NAME")]
    pub except: Vec<String>,

    /// Where there is an app and a forward of this name or host name: the app (that is the default)
    #[arg(long, value_name = "NAME")]
    pub local: Vec<String>,

    /// Where there is an app and a forward of this name or host name: the forward
    #[arg(long, value_name = "NAME")]
    pub forward: Vec<String>,

    /// Run in the background, and return once the control socket answers; with --wait or --timeout once everything is
    /// ready, or with its status when that failed
    #[arg(short, long, conflicts_with = "command")]
    pub detach: bool,

    /// How the process in the background is told that it is one.
    #[arg(long, hide = true, conflicts_with = "detach")]
    pub in_background: bool,

    /// Count as up, and start COMMAND, only when everything is ready; end if something fails
    #[arg(long)]
    pub wait: bool,

    /// The same, but give up after this time with status 124 (that of an app's own `ready.retries`, too)
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<Span>,

    /// Also write what each app says into a file of this folder
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<PathBuf>,

    /// Plain lines, also on a terminal
    #[arg(long)]
    pub plain: bool,

    /// What to do when the configuration changes meanwhile
    #[arg(long, value_name = "WHAT", default_value = "announce")]
    pub reload: ReloadMode,

    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// The hosts file that gets the project's host names
    #[arg(long, value_name = "PATH", default_value = "/etc/hosts")]
    pub hosts_file: PathBuf,

    /// How monday-ipalias may become root, where host names or ports below 1024 take it
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub escalate: Wish,

    /// What every executable takes.
    #[command(flatten)]
    pub life: LifeArgs,

    /// Run COMMAND once everything is up, with the addresses in its environment; then stop and exit with its status
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

impl RunArgs {
    /// What of the project was chosen.
    #[must_use]
    pub fn choice(&self) -> Choice {
        Choice {
            names: self.names.clone(),
            except: self.except.clone(),
            local: self.local.clone(),
            forward: self.forward.clone(),
        }
    }

    /// Whether a terminal shall show more than lines.
    #[must_use]
    pub fn wants_ui(&self) -> bool {
        !self.plain
            && !self.in_background
            && self.command.is_empty()
            && self.life.output == OutputFormat::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reordered(line: &str) -> String {
        let args = line.split(' ').map(OsString::from).collect();
        let words = with_command_first(args);
        let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
        words.join(" ")
    }

    #[test]
    fn run_may_be_left_out_and_options_may_come_first() {
        for (given, expected) in [
            ("m shop", "m run shop"),
            ("m run shop", "m run shop"),
            ("m", "m run"),
            ("m --config x shop", "m run --config x shop"),
            ("m --config run shop", "m run --config run shop"),
            ("m --config=x run shop", "m run --config=x shop"),
            ("m --output json run shop", "m run --output json shop"),
            ("m --lifeline run list", "m run --lifeline list"),
            ("m -- run", "m run -- run"),
            ("m --help", "m --help"),
            ("m --config x", "m run --config x"),
            ("m help run", "m help run"),
            ("m --output json list", "m list --output json"),
            ("m validate shop", "m validate shop"),
        ] {
            assert_eq!(reordered(given), expected, "{given}");
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}

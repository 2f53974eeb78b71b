//! What every executable offers to shells and to whoever packages it, before its command line is read.
//!
//! - `MONDAY_COMPLETE=bash EXECUTABLE` (or `zsh`, `fish`, ...) prints the script that makes that shell complete its command
//!   line; the script asks the executable itself, so what is completed is never older than the executable.
//! - `EXECUTABLE --man-pages` lists its manual pages, one a line, and `EXECUTABLE --man-page NAME` prints one of them as
//!   roff. Both write to standard output only, so that they are harmless with any rights.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Command;
use clap_complete::CompleteEnv;
use clap_complete::env::Shells;
use clap_mangen::Man;

/// The variable that asks for completions; clap's own default, `COMPLETE`, may mean something else to somebody.
pub const COMPLETE_VARIABLE: &str = "MONDAY_COMPLETE";

/// Gives what is offered, if that is what this process was started for: then it ends here, otherwise nothing happens.
///
/// To be called first in `main`, while there is one thread only.
pub fn offer(definition: fn() -> Command) {
    CompleteEnv::with_factory(definition)
        .var(COMPLETE_VARIABLE)
        .complete();
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let text = match words.as_slice() {
        ["--man-pages"] => page_names(&definition()),
        ["--man-page", name] => match page(&definition(), name) {
            Ok(text) => text,
            Err(error) => {
                let _ = writeln!(io::stderr(), "cannot print the manual page {name}: {error}");
                std::process::exit(super::exit::USAGE.into());
            }
        },
        _ => return,
    };
    // Who closes the pipe early has read enough.
    let _ = io::stdout().write_all(text.as_bytes());
    std::process::exit(0);
}

/// Prints the script that makes a shell complete the command line of an executable.
///
/// # Errors
/// Standard output cannot be written, or there is no such shell.
pub fn print_completions(definition: &Command, shell: &str) -> io::Result<ExitCode> {
    let shells = Shells::builtins();
    let completer = shells.completer(shell).ok_or(io::ErrorKind::NotFound)?;
    let name = definition.get_name();
    let mut script = Vec::new();
    completer.write_registration(COMPLETE_VARIABLE, name, name, name, &mut script)?;
    io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Every command that has a page, with the name of that page: the executable itself, and what it can be told to do.
fn pages(definition: &Command) -> Vec<(String, Command)> {
    let mut definition = definition.clone().disable_help_subcommand(true);
    definition.build();
    let own = (definition.get_name().to_owned(), definition.clone());
    let commands = definition
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let named =
        commands.map(|command| (format!("{}-{}", own.0, command.get_name()), command.clone()));
    let named: Vec<(String, Command)> = named.collect();
    std::iter::once(own).chain(named).collect()
}

fn page_names(definition: &Command) -> String {
    let names = pages(definition).into_iter().map(|(name, _)| name + "\n");
    names.collect()
}

fn page(definition: &Command, name: &str) -> io::Result<String> {
    let pages = pages(definition);
    let Some((_, command)) = pages.into_iter().find(|(page, _)| page == name) else {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "there is no such page; `--man-pages` lists them",
        ));
    };
    let mut roff = Vec::new();
    Man::new(command).manual("monday").render(&mut roff)?;
    let text = String::from_utf8(roff).map_err(io::Error::other)?;
    // What stands below the options of `--help`: examples first.
    Ok(text.replacen(".SH EXTRA", ".SH EXAMPLES", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Command {
        Command::new("monday-x")
            .version("1")
            .about("Does things")
            .after_help("Examples:\n  monday-x go")
            .subcommand(Command::new("go").about("Goes"))
            .subcommand(Command::new("secret").hide(true))
    }

    #[test]
    fn there_is_a_page_for_the_executable_and_for_each_command() {
        assert_eq!(page_names(&definition()), "monday-x\nmonday-x-go\n");
        let own = page(&definition(), "monday-x").unwrap();
        assert!(
            own.contains("Does things") && own.contains(".SH EXAMPLES"),
            "{own}"
        );
        assert!(page(&definition(), "monday-x-go").unwrap().contains("Goes"));
        assert!(page(&definition(), "monday-x-secret").is_err());
    }
}

//! `monday-supervisor edit`: the configuration in an editor, and a look at it afterwards.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};

use clap::Args;
use monday_shared::life::args::OutputFormat;
use monday_shared::start_fault::{Attempt, explain};
use tokio::signal::unix::{SignalKind, signal};

use super::{failed, refuse, refuse_because, validate};
use crate::cli::ConfigArgs;
use crate::config::{Surroundings, System, search};

/// The editors that are tried where none is named, as Debian and git do.
const USUAL_EDITORS: [&str; 4] = ["editor", "nano", "vim", "vi"];

/// What `edit` takes.
#[derive(Clone, Debug, Args)]
pub struct EditArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Opens every file of the configuration in an editor, waits for it, and validates.
#[must_use]
pub fn run(args: &EditArgs) -> ExitCode {
    let machine = System::new();
    let search = args.config.search();
    if search.paths.iter().any(|path| path == Path::new("-")) {
        let help = "name the file itself: `monday-supervisor edit --config FILE`";
        let message = "the standard input cannot be edited".to_owned();
        return refuse_because("no-file", message, help, OutputFormat::Text);
    }
    let files = match search::paths(&search, &machine) {
        Ok(files) => files,
        Err(report) => return refuse(&report, OutputFormat::Text),
    };
    let mut words = match editor(&machine) {
        Ok(words) => words,
        Err(message) => {
            let help = "name one: `MONDAY_EDITOR=nano monday-supervisor edit`";
            return refuse_because("no-editor", message, help, OutputFormat::Text);
        }
    };
    let program = words.remove(0);
    let arguments = words
        .into_iter()
        .map(OsString::from)
        .chain(files.into_iter().map(PathBuf::into_os_string));
    match wait_for(&program, arguments) {
        Err(error) => failed(&explain(&Attempt::here(&program), error).to_string()),
        Ok(status) if !status.success() => {
            failed(&format!("the editor `{program}` ended with {status}"))
        }
        Ok(_) => validate::validate(&search, None, false, OutputFormat::Text),
    }
}

/// The editor and its arguments: `MONDAY_EDITOR` with `MONDAY_EDITOR_ARGS`, else `VISUAL`, else `EDITOR`, else a usual one.
fn editor(machine: &dyn Surroundings) -> Result<Vec<String>, String> {
    for variable in ["MONDAY_EDITOR", "VISUAL", "EDITOR"] {
        let Some(value) = machine.non_empty(variable) else {
            continue;
        };
        let mut words = shlex::split(&value)
            .filter(|words| !words.is_empty())
            .ok_or_else(|| {
                format!("{variable} is no command: a quote in `{value}` is never closed")
            })?;
        if variable == "MONDAY_EDITOR" {
            // The Go program separates them by commas.
            let arguments = machine.non_empty("MONDAY_EDITOR_ARGS").unwrap_or_default();
            words.extend(
                arguments
                    .split(',')
                    .filter(|argument| !argument.is_empty())
                    .map(str::to_owned),
            );
        }
        return Ok(words);
    }
    let path = machine.variable("PATH").unwrap_or_default();
    let found = USUAL_EDITORS
        .into_iter()
        .find(|name| std::env::split_paths(&path).any(|folder| machine.exists(&folder.join(name))));
    found
        .map(|name| vec![name.to_owned()])
        .ok_or_else(|| "no editor is named by MONDAY_EDITOR, VISUAL or EDITOR, and none of the usual ones is there".to_owned())
}

/// Runs the editor to its end. What the terminal sends meanwhile (Ctrl-C) is for the editor.
fn wait_for(
    program: &str,
    arguments: impl Iterator<Item = OsString>,
) -> std::io::Result<ExitStatus> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Caught, not ignored: the editor starts with the usual behaviour.
        let _interrupt = signal(SignalKind::interrupt())?;
        let _quit = signal(SignalKind::quit())?;
        tokio::process::Command::new(program)
            .args(arguments)
            .status()
            .await
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::surroundings::fake::Fake;

    fn chosen(machine: &Fake) -> String {
        editor(machine).unwrap().join("|")
    }

    #[test]
    fn the_editor_is_monday_s_own_then_visual_then_editor_then_a_usual_one() {
        let usual = Fake::new()
            .set("PATH", "/usr/bin:/bin")
            .file("/bin/vi", "")
            .file("/usr/bin/nano", "");
        let editor = usual.clone().set("EDITOR", "ed");
        let visual = editor.clone().set("VISUAL", "code --wait '-x y'");
        let own = visual
            .clone()
            .set("MONDAY_EDITOR", "subl -n")
            .set("MONDAY_EDITOR_ARGS", "-t,--wait");
        assert_eq!(chosen(&usual), "nano");
        assert_eq!(chosen(&editor), "ed");
        assert_eq!(chosen(&visual), "code|--wait|-x y");
        assert_eq!(chosen(&own), "subl|-n|-t|--wait");
        assert_eq!(chosen(&own.set("MONDAY_EDITOR", "")), "code|--wait|-x y");
    }

    #[test]
    fn no_editor_and_half_a_quote_say_so() {
        assert!(
            editor(&Fake::new())
                .unwrap_err()
                .contains("none of the usual ones")
        );
        assert!(
            editor(&Fake::new().set("EDITOR", "code '--wait"))
                .unwrap_err()
                .contains("EDITOR")
        );
    }
}

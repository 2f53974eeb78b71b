//! Makes sure that monday-ipalias can be started as root from now on without asking: the password is asked for here, by
//! sudo itself and on the terminal, or not at all.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use monday_shared::platform;

use super::decide::Escalation;
use super::facts::{silent_words, starts_silently};

/// What sudo asks with; `%p` becomes whose password it wants (sudo(8), `-p`).
const PROMPT: &str =
    "monday-ipalias needs root for host names and low ports. [sudo] password for %p: ";

/// Why it goes on without root.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// sudo could not be run.
    #[error("{} cannot be run: {source}", tool.display())]
    Tool {
        /// Which.
        tool: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The password was wrong, or nobody gave one, or the user may not.
    #[error("sudo gave no right (no password, a wrong one, or the user is not in sudoers)")]
    NoRight,
    /// It was authenticated, and still it does not start.
    #[error(
        "sudo does not start {} without asking again: the user may not run it, or sudo remembers no password \
         (timestamp_timeout=0); `monday-ipalias setup --print` says what would allow it", helper.display()
    )]
    NotStarted {
        /// What was started.
        helper: PathBuf,
    },
}

/// Asks for the password if it has to be asked for, and returns the words that come before the path of the helper. Blocks
/// until somebody has answered.
///
/// # Errors
/// [`Refused`] says why it cannot be started as root.
pub fn prepare(escalation: &Escalation, helper: &Path) -> Result<Vec<OsString>, Refused> {
    let Escalation::Through { tool, ask } = escalation else {
        return Ok(Vec::new());
    };
    if *ask {
        authenticate(tool)?;
        if !starts_silently(tool, helper) {
            return Err(Refused::NotStarted {
                helper: helper.to_owned(),
            });
        }
    }
    // Never without `-n`: what is started later has no terminal to ask on.
    Ok(silent_words(tool))
}

/// `sudo -v`: it asks on the terminal, whatever our standard streams are, and remembers the answer.
fn authenticate(sudo: &Path) -> Result<(), Refused> {
    let mut command = Command::new(sudo);
    command
        .args(["-v", "-p", PROMPT])
        // Nothing of ours is a way for a password.
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // Ctrl-C at the prompt is for sudo, too.
    platform::unblock_signals(&mut command);
    let status = command.status().map_err(|source| Refused::Tool {
        tool: sudo.to_owned(),
        source,
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(Refused::NoRight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escalate::tests::program;

    /// A sudo that remembers for as long as the file `remembered` is there.
    fn sudo(folder: &Path, on_v: &str) -> PathBuf {
        let sudo = folder.join("sudo");
        let remembered = folder.join("remembered").display().to_string();
        program(
            &sudo,
            &format!(
                "case $1 in -v) {} ;; -n) test -e {remembered} || exit 1; shift 2; exec \"$@\" ;; *) exit 9 ;; esac",
                on_v.replace("REMEMBER", &format!("touch {remembered}"))
            ),
        );
        sudo
    }

    fn prepared(on_v: &str, ask: bool) -> Result<Vec<OsString>, Refused> {
        let folder = tempfile::tempdir().unwrap();
        let helper = folder.path().join("monday-ipalias");
        program(&helper, "echo monday-ipalias 1.2.3");
        let tool = sudo(folder.path(), on_v);
        prepare(&Escalation::Through { tool, ask }, &helper)
    }

    #[test]
    fn the_password_is_asked_for_once_and_later_starts_never_ask() {
        let words = prepared("REMEMBER", true).unwrap();
        assert_eq!(words[1..], ["-n", "--"]);
        assert!(Path::new(&words[0]).ends_with("sudo"));
        let silent = prepared("exit 9", false).unwrap();
        assert_eq!(silent[1..], ["-n", "--"]);
        let helper = Path::new("/usr/bin/monday-ipalias");
        assert!(prepare(&Escalation::Plain, helper).unwrap().is_empty());
    }

    #[test]
    fn a_refusal_and_a_sudo_that_forgets_at_once_are_told_apart() {
        assert!(matches!(prepared("exit 1", true), Err(Refused::NoRight)));
        assert!(matches!(
            prepared("exit 0", true),
            Err(Refused::NotStarted { .. })
        ));
        let tool = PathBuf::from("/no/such/sudo");
        let escalation = Escalation::Through { tool, ask: true };
        let error = prepare(&escalation, Path::new("/x")).unwrap_err();
        assert!(error.to_string().contains("/no/such/sudo"), "{error}");
    }
}

//! Why a program cannot be started: the system gives one number for many faults, and this finds the one that is meant.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use crate::platform::private_hosts::WhyNot;

/// The start of a program that failed.
#[derive(Clone, Debug)]
pub struct Attempt<'a> {
    /// The program: a path, or a name that is looked for in `path`.
    pub program: &'a str,
    /// The folder that it was to run in; nothing: our own.
    pub dir: Option<&'a Path>,
    /// The `PATH` that was searched.
    pub path: OsString,
}

impl<'a> Attempt<'a> {
    /// In our own folder, with our own `PATH`.
    #[must_use]
    pub fn here(program: &'a str) -> Self {
        Self {
            program,
            dir: None,
            path: std::env::var_os("PATH").unwrap_or_default(),
        }
    }
}

/// Why a program cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// The folder is not there.
    #[error("cannot run `{program}` in the folder `{}`: {why}; create it or correct the path", dir.display())]
    Folder {
        /// The program.
        program: String,
        /// Where it should run.
        dir: PathBuf,
        /// What is wrong with the folder.
        why: String,
    },
    /// No folder of `PATH` holds the program.
    #[error(
        "cannot run `{program}`: there is no such program in PATH ({path}); install it, or write its path"
    )]
    NotFound {
        /// The program.
        program: String,
        /// Where it was looked for.
        path: String,
    },
    /// The path of the program leads nowhere.
    #[error("cannot run `{program}`: there is no such file{}; build it first, or correct the path", within(dir.as_deref()))]
    NoFile {
        /// The program.
        program: String,
        /// The folder that the path is relative to.
        dir: Option<PathBuf>,
    },
    /// The program is a script whose interpreter is missing.
    #[error(
        "cannot run `{program}`: its first line asks for `{interpreter}`, which does not exist; install that, or correct the line"
    )]
    NoInterpreter {
        /// The program.
        program: String,
        /// What its first line names.
        interpreter: String,
    },
    /// The program may not be executed.
    #[error("cannot run `{program}`: {why}")]
    NotExecutable {
        /// The program.
        program: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The hosts file that it is to see cannot be used.
    #[error("cannot run `{program}`: its hosts file `{}` cannot be used: {source}; create it, or correct the path", path.display())]
    HostsFile {
        /// The program.
        program: String,
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// It cannot have a hosts file of its own.
    #[error("cannot run `{program}` with a hosts file of its own: {why}")]
    PrivateHosts {
        /// The program.
        program: String,
        /// What forbids it, and what would allow it.
        why: WhyNot,
    },
    /// Something else.
    #[error("cannot run `{program}`: {source}{}", advice(.source))]
    Os {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
}

fn within(dir: Option<&Path>) -> String {
    dir.map_or_else(String::new, |dir| {
        format!(" (seen from `{}`)", dir.display())
    })
}

fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOEXEC) => "; it is no program for this machine, rebuild it here",
        Some(Errno::E2BIG) => "; its arguments and environment are too long together",
        Some(Errno::EAGAIN) => {
            "; too many processes are running, see `ulimit -u` and the limit of the control group"
        }
        Some(Errno::EMFILE | Errno::ENFILE) => "; too many files are open, see `ulimit -n`",
        _ => "",
    }
}

/// Looks for what is at fault.
#[must_use]
pub fn explain(attempt: &Attempt, error: io::Error) -> StartFault {
    let program = attempt.program.to_owned();
    if let Some(why) = WhyNot::of(&error) {
        return StartFault::PrivateHosts { program, why };
    }
    if let Some(dir) = attempt.dir
        && let Some(why) = folder_fault(dir)
    {
        return StartFault::Folder {
            program,
            dir: dir.to_owned(),
            why,
        };
    }
    match error.kind() {
        io::ErrorKind::NotFound => not_found(attempt, program),
        io::ErrorKind::PermissionDenied => {
            match candidates(attempt).into_iter().find(|p| p.exists()) {
                Some(file) => StartFault::NotExecutable {
                    why: not_executable(&file),
                    program,
                },
                None => StartFault::Os {
                    program,
                    source: error,
                },
            }
        }
        _ => StartFault::Os {
            program,
            source: error,
        },
    }
}

fn folder_fault(dir: &Path) -> Option<String> {
    match dir.metadata() {
        Ok(found) if !found.is_dir() => Some("it is no folder".to_owned()),
        Ok(_) if access(dir, AccessFlags::X_OK).is_err() => {
            Some("it may not be entered".to_owned())
        }
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some("it does not exist".to_owned())
        }
        Err(error) => Some(error.to_string()),
    }
}

fn not_found(attempt: &Attempt, program: String) -> StartFault {
    let found = candidates(attempt).into_iter().find(|p| p.exists());
    match found {
        // The file is there, so what is not found is what shall run it.
        Some(file) => match interpreter(&file) {
            Some(interpreter) => StartFault::NoInterpreter {
                program,
                interpreter,
            },
            None => StartFault::NotExecutable {
                program,
                why: "it needs a loader that does not exist here: it was built for another system, rebuild it".to_owned(),
            },
        },
        None if program.contains('/') => StartFault::NoFile {
            program,
            dir: attempt.dir.map(Path::to_owned),
        },
        None => StartFault::NotFound {
            program,
            path: attempt.path.to_string_lossy().into_owned(),
        },
    }
}

fn not_executable(file: &Path) -> String {
    if file.is_dir() {
        return "it is a folder".to_owned();
    }
    match interpreter(file).filter(|interpreter| !is_executable(Path::new(interpreter))) {
        Some(interpreter) if is_executable(file) => {
            format!("its first line asks for `{interpreter}`, which may not be executed")
        }
        _ => format!(
            "{} may not be executed; if it is meant to be, try `chmod +x {0}`",
            file.display()
        ),
    }
}

fn is_executable(file: &Path) -> bool {
    access(file, AccessFlags::X_OK).is_ok()
}

/// What the `#!` line of a script names.
fn interpreter(file: &Path) -> Option<String> {
    use std::io::Read as _;
    // Linux reads no more than 256 bytes of that line (execve(2)).
    let mut head = Vec::new();
    std::fs::File::open(file)
        .ok()?
        .take(256)
        .read_to_end(&mut head)
        .ok()?;
    let line = head
        .strip_prefix(b"#!")?
        .split(|&byte| byte == b'\n')
        .next()?;
    let line = String::from_utf8_lossy(line);
    line.split_whitespace().next().map(str::to_owned)
}

/// The files that the program's name can mean, as exec sees them: from the folder that it runs in.
fn candidates(attempt: &Attempt) -> Vec<PathBuf> {
    let dir = attempt.dir.unwrap_or(Path::new(""));
    if attempt.program.contains('/') {
        return vec![dir.join(attempt.program)];
    }
    std::env::split_paths(&attempt.path)
        .map(|folder| dir.join(folder).join(attempt.program))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// The fault that starting the program meets.
    fn fault(program: &str, dir: Option<&Path>) -> StartFault {
        let mut command = std::process::Command::new(program);
        command.current_dir(dir.unwrap_or(Path::new(".")));
        let attempt = Attempt {
            dir,
            ..Attempt::here(program)
        };
        explain(&attempt, command.spawn().unwrap_err())
    }

    fn file(dir: &Path, name: &str, text: &str, mode: u32) {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_missing_program_is_named_with_the_path_that_was_searched() {
        let attempt = Attempt {
            path: "/nowhere:/neither".into(),
            ..Attempt::here("no-such-program-here")
        };
        let error = explain(&attempt, io::ErrorKind::NotFound.into());
        assert!(matches!(error, StartFault::NotFound { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("no-such-program-here") && text.contains("/nowhere:/neither"));
    }

    #[test]
    fn a_missing_file_is_named_with_the_folder_it_is_relative_to() {
        let dir = tempfile::tempdir().unwrap();
        let error = fault("./server", Some(dir.path()));
        assert!(matches!(error, StartFault::NoFile { .. }), "{error:?}");
        assert!(error.to_string().contains(dir.path().to_str().unwrap()));
    }

    #[test]
    fn a_missing_folder_is_named_even_when_the_program_exists() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        let error = fault("sh", Some(&gone));
        assert!(error.to_string().contains("does not exist"), "{error}");
        file(dir.path(), "file", "", 0o644);
        let error = fault("sh", Some(&dir.path().join("file")));
        assert!(error.to_string().contains("no folder"), "{error}");
    }

    #[test]
    fn a_file_that_may_not_be_executed_is_told_apart_from_one_that_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        file(dir.path(), "script", "#!/bin/sh\n", 0o644);
        let error = fault("./script", Some(dir.path()));
        assert!(
            matches!(error, StartFault::NotExecutable { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("chmod +x"), "{error}");
        let error = fault("/", None);
        assert!(error.to_string().contains("a folder"), "{error}");
    }

    #[test]
    fn a_script_whose_interpreter_is_missing_names_the_interpreter() {
        let dir = tempfile::tempdir().unwrap();
        file(dir.path(), "script", "#!/nowhere/interpreter -x\n", 0o755);
        let error = fault("./script", Some(dir.path()));
        assert!(
            matches!(error, StartFault::NoInterpreter { .. }),
            "{error:?}"
        );
        assert!(
            error.to_string().contains("`/nowhere/interpreter`"),
            "{error}"
        );
    }
}

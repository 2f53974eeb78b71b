//! Why a command cannot be started: what is wrong with the program, or with what we give it.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use monday_shared::start_fault::{self, Attempt, StartFault};

use crate::spec::CheckedSpec;

/// Why a command cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program, its folder, or the system.
    #[error(transparent)]
    Program(#[from] StartFault),
    /// Its log file cannot be written.
    #[error("cannot run `{program}`: its log file `{}` cannot be opened: {source}; create its folder, or correct the path", path.display())]
    LogFile {
        /// The program.
        program: String,
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// The socket on which it is to say that it is ready cannot be made.
    #[error("cannot run `{program}`: the socket for its NOTIFY_SOCKET cannot be made: {source}")]
    Notify {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Looks for what is at fault.
pub(super) fn explain(spec: &CheckedSpec, error: io::Error) -> SpawnError {
    let attempt = Attempt {
        program: spec.program(),
        dir: spec.dir(),
        path: search_path(spec),
    };
    start_fault::explain(&attempt, error).into()
}

/// The variable that the command will see, since that is the one that is searched.
fn search_path(spec: &CheckedSpec) -> OsString {
    spec.env()
        .iter()
        .rev()
        .find(|(name, _)| name == "PATH")
        .map(|(_, value)| OsString::from(value))
        .or_else(|| std::env::var_os("PATH"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use monday_shared::protocol::run::RunSpec;

    use super::super::{Output, Surroundings, spawn};
    use super::*;

    fn fault(spec: RunSpec) -> String {
        let spec = CheckedSpec::try_from(spec).unwrap();
        let error = spawn(&spec, &Surroundings::default(), Output::Pipes).unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_missing_program_is_named_with_the_path_that_was_searched() {
        let mut spec = RunSpec::new(vec!["no-such-program-here".to_owned()]);
        spec.env = vec![("PATH".to_owned(), "/nowhere:/neither".to_owned())];
        let text = fault(spec);
        assert!(text.contains("no-such-program-here") && text.contains("/nowhere:/neither"));
    }

    #[test]
    fn a_missing_file_is_named_with_the_folder_it_is_relative_to() {
        let mut spec = RunSpec::new(vec!["./no-such-server".to_owned()]);
        spec.dir = Some(Path::new("/").to_owned());
        assert!(fault(spec).contains("(seen from `/`)"));
    }
}

//! A specification that was checked: what can be said to be wrong before anything is started is said there.

use std::path::Path;
use std::time::Duration;

use monday_shared::protocol::run::{LogFile, Probe, Readiness, RestartPolicy, RunSpec};
use nix::sys::signal::Signal;

use crate::probe::{http, tcp};
use monday_shared::signal_name::{self, SignalError};

/// What is wrong with a [`RunSpec`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// There is no program.
    #[error("the command is empty: give a program and its arguments")]
    NoProgram,
    /// A text holds a zero byte, which no program can be given.
    #[error("{what} contains a zero byte, which the operating system cannot pass on: remove it")]
    ZeroByte {
        /// Which text.
        what: String,
    },
    /// A command beside the main one has no program.
    #[error("{what} is empty: give a program and its arguments")]
    Empty {
        /// Which.
        what: String,
    },
    /// A probe cannot be tried.
    #[error("`{text}` is no {what} that readiness can be asked of: {help}")]
    Probe {
        /// What it should be.
        what: &'static str,
        /// What it is.
        text: String,
        /// What to write.
        help: String,
    },
    /// A variable's name cannot be one.
    #[error(
        "`{name}` cannot be the name of an environment variable: it must not be empty nor contain `=`"
    )]
    VariableName {
        /// The name.
        name: String,
    },
    /// The stop signal is none.
    #[error("the stop signal cannot be used: {0}")]
    StopSignal(#[from] SignalError),
}

/// A [`RunSpec`] in which nothing is wrong that can be known beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedSpec {
    spec: RunSpec,
    stop_signal: Signal,
}

impl TryFrom<RunSpec> for CheckedSpec {
    type Error = SpecError;

    fn try_from(spec: RunSpec) -> Result<Self, SpecError> {
        if spec.command.first().is_none_or(String::is_empty) {
            return Err(SpecError::NoProgram);
        }
        for (at, word) in spec.command.iter().enumerate() {
            no_zero(word.as_bytes(), || {
                format!("word {} of the command", at + 1)
            })?;
        }
        if let Some(dir) = &spec.dir {
            no_zero(dir.as_os_str().as_encoded_bytes(), || {
                "the folder".to_owned()
            })?;
        }
        for (name, value) in &spec.env {
            if name.is_empty() || name.contains('=') {
                return Err(SpecError::VariableName { name: name.clone() });
            }
            no_zero(name.as_bytes(), || "the name of a variable".to_owned())?;
            no_zero(value.as_bytes(), || format!("the variable `{name}`"))?;
        }
        for words in &spec.stop_commands {
            let command = || "a stop command".to_owned();
            if words.first().is_none_or(String::is_empty) {
                return Err(SpecError::Empty { what: command() });
            }
            no_zero(words.concat().as_bytes(), command)?;
        }
        if let Some(ready) = &spec.ready {
            check_probe(&ready.probe)?;
        }
        let stop_signal = signal_name::parse(&spec.stop_signal)?;
        Ok(Self { spec, stop_signal })
    }
}

fn check_probe(probe: &Probe) -> Result<(), SpecError> {
    let wrong = |what, text: &str, help: &str| SpecError::Probe {
        what,
        text: text.to_owned(),
        help: help.to_owned(),
    };
    match probe {
        Probe::Http(url) if http::Url::parse(url).is_none() => {
            Err(wrong("URL", url, "write `http://HOST:PORT/PATH`"))
        }
        Probe::Tcp(address) if !tcp::is_address(address) => {
            Err(wrong("address", address, "write `HOST:PORT`"))
        }
        Probe::Log(pattern) => match regex::bytes::Regex::new(pattern) {
            Ok(_) => Ok(()),
            Err(error) => Err(wrong("regular expression", pattern, &error.to_string())),
        },
        Probe::Exec(words) if words.first().is_none_or(String::is_empty) => Err(SpecError::Empty {
            what: "the readiness command".to_owned(),
        }),
        Probe::Exec(words) => no_zero(words.concat().as_bytes(), || {
            "the readiness command".to_owned()
        }),
        Probe::Http(_) | Probe::Tcp(_) | Probe::Notify => Ok(()),
    }
}

fn no_zero(text: &[u8], what: impl FnOnce() -> String) -> Result<(), SpecError> {
    if text.contains(&0) {
        return Err(SpecError::ZeroByte { what: what() });
    }
    Ok(())
}

impl CheckedSpec {
    /// The program, as it was written: a path or a name to be looked up in `PATH`.
    #[must_use]
    pub fn program(&self) -> &str {
        self.spec.command.first().map_or("", String::as_str)
    }

    /// The arguments after the program.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        self.spec.command.get(1..).unwrap_or_default()
    }

    /// Where it runs, if that was said.
    #[must_use]
    pub fn dir(&self) -> Option<&Path> {
        self.spec.dir.as_deref()
    }

    /// What is added to the environment; of two with the same name the later one wins.
    #[must_use]
    pub fn env(&self) -> &[(String, String)] {
        &self.spec.env
    }

    /// What asks it to stop.
    #[must_use]
    pub fn stop_signal(&self) -> Signal {
        self.stop_signal
    }

    /// How long it may take to stop.
    #[must_use]
    pub fn stop_timeout(&self) -> Duration {
        self.spec.stop_timeout.0
    }

    /// What is run before it is asked to stop: programs with their arguments.
    #[must_use]
    pub fn stop_commands(&self) -> &[Vec<String>] {
        &self.spec.stop_commands
    }

    /// Whether it is started again when it ends by itself.
    #[must_use]
    pub fn restart(&self) -> RestartPolicy {
        self.spec.restart
    }

    /// When it is ready, if that has to be found out.
    #[must_use]
    pub fn ready(&self) -> Option<&Readiness> {
        self.spec.ready.as_ref()
    }

    /// Whether what it leaves behind lives on.
    #[must_use]
    pub fn keep_children(&self) -> bool {
        self.spec.keep_children
    }

    /// Whether it runs on a terminal of its own.
    #[must_use]
    pub fn pty(&self) -> bool {
        self.spec.pty
    }

    /// The file that gets its output as well.
    #[must_use]
    pub fn log_file(&self) -> Option<&LogFile> {
        self.spec.log_file.as_ref()
    }

    /// What it sees in the place of the machine's hosts file.
    #[must_use]
    pub fn hosts_file(&self) -> Option<&Path> {
        self.spec.hosts_file.as_deref()
    }

    /// Another command in the same surroundings: the same folder, environment and hosts file, nothing else.
    #[must_use]
    pub fn beside(&self, command: Vec<String>) -> RunSpec {
        RunSpec {
            dir: self.spec.dir.clone(),
            env: self.spec.env.clone(),
            hosts_file: self.spec.hosts_file.clone(),
            ..RunSpec::new(command)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(words: &[&str]) -> RunSpec {
        RunSpec::new(words.iter().map(|&word| word.to_owned()).collect())
    }

    #[test]
    fn a_command_without_a_program_is_refused() {
        assert_eq!(CheckedSpec::try_from(spec(&[])), Err(SpecError::NoProgram));
        assert_eq!(
            CheckedSpec::try_from(spec(&["", "x"])),
            Err(SpecError::NoProgram)
        );
    }

    #[test]
    fn a_zero_byte_is_refused_wherever_it_is_and_the_error_says_where() {
        let error = CheckedSpec::try_from(spec(&["sh", "a\0b"])).unwrap_err();
        assert!(error.to_string().contains("word 2"), "{error}");
        let mut with_env = spec(&["sh"]);
        with_env.env = vec![("A".to_owned(), "\0".to_owned())];
        let error = CheckedSpec::try_from(with_env).unwrap_err();
        assert!(error.to_string().contains("`A`"), "{error}");
    }

    #[test]
    fn a_name_that_no_variable_can_have_is_refused() {
        for name in ["", "A=B"] {
            let mut bad = spec(&["sh"]);
            bad.env = vec![(name.to_owned(), "x".to_owned())];
            assert!(matches!(
                CheckedSpec::try_from(bad),
                Err(SpecError::VariableName { .. })
            ));
        }
    }

    #[test]
    fn a_stop_signal_that_is_none_is_refused() {
        let mut bad = spec(&["sh"]);
        bad.stop_signal = "TREM".to_owned();
        assert!(matches!(
            CheckedSpec::try_from(bad),
            Err(SpecError::StopSignal(_))
        ));
    }
}

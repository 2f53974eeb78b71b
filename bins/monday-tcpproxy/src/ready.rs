//! Telling whoever started us that everything is there, in the ways that scripts can wait for.

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use monday_shared::address_env::Variable;
use monday_shared::protocol::tcpproxy::Event;

/// Where to tell it besides standard output.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ReadyArgs {
    /// Write the ready line to this file as well, which is there only once it is complete
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,

    /// Write the ready line to this descriptor as well, and close it
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(RawFd).range(3..))]
    ready_fd: Option<RawFd>,

    /// Write the addresses to this file, as a shell reads them (`MONDAY_ADDR_DB=…`)
    #[arg(long, value_name = "PATH")]
    env_file: Option<PathBuf>,
}

impl ReadyArgs {
    /// Tells it.
    ///
    /// # Errors
    /// What could not be written, and why.
    pub(crate) fn tell(&self, ready: &Event, variables: &[Variable]) -> Result<(), String> {
        let mut line = serde_json::to_vec(ready).map_err(|error| error.to_string())?;
        line.push(b'\n');
        if let Some(path) = &self.env_file {
            let mut lines = String::new();
            for (name, value) in variables {
                lines.extend([name, "=", &quoted(value), "\n"]);
            }
            write_whole(path, lines.as_bytes()).map_err(|error| cannot_write(path, &error))?;
        }
        if let Some(path) = &self.ready_file {
            write_whole(path, &line).map_err(|error| cannot_write(path, &error))?;
        }
        if let Some(number) = self.ready_fd {
            write_to(number, &line).map_err(|error| {
                format!("cannot write to descriptor {number}: {error}; open it as in `3>ready`")
            })?;
        }
        Ok(())
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

/// A value that a shell takes as it is.
fn quoted(value: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '/' | '-' | '_' | '[' | ']');
    if value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

/// Whoever finds the file finds all of it.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // It may not be there at all.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn write_to(number: RawFd, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .open(format!("/dev/fd/{number}"))?;
    file.write_all(bytes)?;
    // Whoever reads it to its end has to see the end.
    nix::unistd::close(number)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_every_value_as_it_is() {
        assert_eq!(quoted("[::1]:80"), "[::1]:80");
        assert_eq!(quoted("/run/my app's.sock"), r"'/run/my app'\''s.sock'");
    }
}

//! The real world, for [`World`].

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{Uid, User, gethostname};

use super::walk::{Query, World};

/// How long a command of `Match exec` may take. Such commands ask which network this is; one that hangs must not keep a
/// tunnel from being made.
const EXEC_WITHIN: Duration = Duration::from_secs(10);

/// The files, the environment and the shell of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

impl World for System {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    fn succeeds(&self, command: &str) -> bool {
        let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
        let child = Command::new(shell)
            .args(["-c", command])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else {
            return false;
        };
        let until = Instant::now() + EXEC_WITHIN;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => {
                    // It may have ended in the meantime.
                    let _ = child.kill();
                    let _ = child.wait();
                    return false;
                }
            }
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// Who asks: this process's user. Its home folder is the one of the user database, as for ssh(1), unless `HOME` says
/// otherwise.
pub(crate) fn query(host: &str) -> Query {
    let uid = Uid::effective();
    let user = User::from_uid(uid).ok().flatten();
    let home = std::env::var_os("HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
        .or_else(|| user.as_ref().map(|user| user.dir.clone()))
        .unwrap_or_else(|| "/".into());
    Query {
        host: host.to_owned(),
        local_user: user.map_or_else(|| uid.to_string(), |user| user.name),
        uid: uid.as_raw(),
        home,
        local_host: gethostname()
            .ok()
            .and_then(|name| name.into_string().ok())
            .unwrap_or_default(),
    }
}

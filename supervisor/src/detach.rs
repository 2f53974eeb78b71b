//! `run -d`: the same command again in the background, waited for until its control socket answers.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use monday_shared::life::exit;
use monday_shared::protocol::common::Hello;
use monday_shared::protocol::supervisor::Wait;
use monday_shared::rpc::client::Client;

use crate::choice::Choice;
use crate::error::Error;
use crate::view::console::tell;

/// The flag that the background process gets.
pub const FLAG: &str = "--in-background";

/// Where it says what does not belong to any app; removed when it ends in order, and by whoever waits for it to be ready
/// when it is not.
pub const LOG: &str = "background.log";

/// How long to wait between two looks for the socket.
const PAUSE: Duration = Duration::from_millis(10);

/// Starts it and waits for its control socket, and until everything is ready where that is wanted; returns the exit
/// status.
///
/// # Errors
/// It cannot be started.
pub async fn run(
    project: &str,
    folder: &Path,
    socket: &Path,
    picked: Option<&Choice>,
    until_ready: Option<Wait>,
) -> Result<u8, Error> {
    if let Some(pid) = monday_shared::socket::owner(socket) {
        return Err(Error::Running {
            project: project.to_owned(),
            pid,
        });
    }
    let log = folder.join(LOG);
    let mut child = spawn(project, picked, &log).map_err(Error::Background)?;
    let mut ready = until_ready.map(|wait| Box::pin(is_ready(socket, child.id(), wait)));
    loop {
        if let Some(status) = child.try_wait().map_err(Error::Background)? {
            show(&log);
            let _ = std::fs::remove_file(&log);
            // Empty, unless a process that is not ours put something there.
            let _ = std::fs::remove_dir(folder);
            return Ok(exit::status_code(status));
        }
        let is_up = match &mut ready {
            None => is_served_by(socket, child.id()).await,
            Some(ready) => tokio::time::timeout(PAUSE, ready).await.is_ok(),
        };
        if is_up {
            show(&log);
            tell(&format!(
                "{project} runs in the background, pid {}; `monday-supervisor attach {project}` shows it, `down {project}` stops it",
                child.id()
            ));
            return Ok(0);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Ends once everything is ready there. If something never will be, that process ends by itself and says why.
async fn is_ready(socket: &Path, pid: u32, wait: Wait) {
    while !is_served_by(socket, pid).await {
        tokio::time::sleep(PAUSE).await;
    }
    let asked = async { Client::connect(socket).await?.call(&wait).await };
    if asked.await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn spawn(project: &str, picked: Option<&Choice>, log: &Path) -> io::Result<Child> {
    let output = std::fs::File::create(log)?;
    Command::new(std::env::current_exe()?)
        .args(arguments(std::env::args_os().skip(1), project, picked))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .spawn()
}

/// Our own arguments for the background process: with its flag instead of `-d`, and with what was picked, since nobody can
/// be asked there.
fn arguments(
    own: impl Iterator<Item = OsString>,
    project: &str,
    picked: Option<&Choice>,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = own
        .filter(|argument| argument != "-d" && argument != "--detach")
        .collect();
    if arguments.first().is_none_or(|first| first != "run") {
        arguments.insert(0, "run".into());
    }
    arguments.insert(1, FLAG.into());
    if let Some(choice) = picked {
        arguments.push(project.into());
        arguments.extend(choice.names.iter().map(OsString::from));
        for name in &choice.forward {
            arguments.extend(["--forward".into(), OsString::from(name)]);
        }
    }
    arguments
}

/// Whether that process answers there, and not one from before.
async fn is_served_by(socket: &Path, pid: u32) -> bool {
    let asked = async { Client::connect(socket).await?.call(&Hello::default()).await };
    let patience = Duration::from_secs(1);
    matches!(tokio::time::timeout(patience, asked).await, Ok(Ok(hello)) if hello.pid == pid)
}

/// What it said so far: what is wrong with the configuration, where names do not go.
fn show(log: &Path) {
    let Ok(text) = std::fs::read(log) else { return };
    // Nobody can be told that standard error is closed.
    let _ = io::stderr().write_all(&text);
}

/// Makes this process one of its own: no terminal's Ctrl-C or end reaches it.
///
/// # Errors
/// What setsid(2) says.
pub fn leave_terminal() -> io::Result<()> {
    nix::unistd::setsid().map(drop).map_err(io::Error::from)
}

/// Where the background process of that folder says what it has to say.
#[must_use]
pub fn log_in(folder: &Path) -> PathBuf {
    folder.join(LOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(own: &str, picked: Option<&Choice>) -> String {
        let own = own.split_whitespace().map(OsString::from);
        let words = arguments(own, "shop", picked);
        let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
        words.join(" ")
    }

    #[test]
    fn the_background_process_gets_the_same_command_without_the_wish_to_detach() {
        assert_eq!(
            changed("run shop -d api", None),
            "run --in-background shop api"
        );
        assert_eq!(changed("-d shop", None), "run --in-background shop");
        let picked = Choice {
            names: vec!["api".to_owned()],
            forward: vec!["db".to_owned()],
            ..Choice::default()
        };
        assert_eq!(
            changed("run --detach --config x", Some(&picked)),
            "run --in-background --config x shop api --forward db"
        );
    }
}

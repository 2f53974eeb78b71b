//! Processes as `ps` shows them, for systems without `/proc`. Only the parsing decides anything, so it is tested
//! everywhere.

use super::{Identity, Process};

#[cfg(not(target_os = "linux"))]
pub(super) use calls::{environment, identity, now, processes, send, ticks_per_second};

/// What `ps` is asked for: process, parent, group, state, start (five words: `Mon Nov 23 07:00:00 2026`) and program.
#[cfg(not(target_os = "linux"))]
const COLUMNS: &str = "pid=,ppid=,pgid=,stat=,lstart=,comm=";

/// Reads one line of `ps`.
fn parse_line(line: &str) -> Option<Process> {
    let mut words = line.split_whitespace();
    let pid = words.next()?.parse().ok()?;
    let parent = words.next()?.parse().ok()?;
    let group = words.next()?.parse().ok()?;
    let zombie = words.next()?.starts_with('Z');
    let started = words
        .by_ref()
        .take(5)
        .flat_map(str::bytes)
        // FNV-1a: the start is only ever compared, so any number that stands for the text will do.
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let program = words.collect::<Vec<_>>().join(" ");
    let name = program.rsplit('/').next().unwrap_or_default().to_owned();
    (!name.is_empty()).then_some(Process {
        id: Identity { pid, started },
        parent,
        group,
        // macOS shows an address here, which ties nothing to anything.
        session: 0,
        zombie,
        name,
    })
}

#[cfg(not(target_os = "linux"))]
mod calls {
    use std::io;
    use std::process::Command;

    use nix::errno::Errno;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::{COLUMNS, Identity, Process, parse_line};

    /// `ps` shows it after the command line, each word after a space; a value with a space in it is cut into pieces,
    /// which does no harm to a mark.
    pub(in super::super) fn environment(pid: u32) -> Vec<u8> {
        let output = Command::new("ps")
            .args(["-E", "-ww", "-o", "command=", "-p", &pid.to_string()])
            .output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        let zero = |byte: u8| if byte.is_ascii_whitespace() { 0 } else { byte };
        text.into_iter().map(zero).collect()
    }

    /// The start is a hash here.
    pub(in super::super) fn now() -> Option<u64> {
        None
    }

    pub(in super::super) fn ticks_per_second() -> u64 {
        1
    }

    fn ps(arguments: &[&str]) -> io::Result<Vec<Process>> {
        let output = Command::new("ps")
            .env("LC_ALL", "C")
            .args(arguments)
            .args(["-o", COLUMNS])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().filter_map(parse_line).collect())
    }

    pub(in super::super) fn identity(pid: u32) -> Option<Identity> {
        let found = ps(&["-p", &pid.to_string()]).ok()?;
        found.first().map(|process| process.id)
    }

    pub(in super::super) fn processes() -> io::Result<Vec<Process>> {
        ps(&["-A"])
    }

    /// Nothing here names a process for all time; the comparison just before is the best there is.
    pub(in super::super) fn send(id: Identity, signal: Signal) -> Result<(), Errno> {
        let pid = i32::try_from(id.pid).map_err(|_| Errno::ESRCH)?;
        if identity(id.pid) != Some(id) {
            return Err(Errno::ESRCH);
        }
        kill(Pid::from_raw(pid), signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ps_is_read_with_a_program_that_has_spaces() {
        let line =
            "  812     1   812 Ss   Mon Nov 23 07:00:01 2026     /Applications/My App.app/My App";
        let process = parse_line(line).unwrap();
        assert_eq!(
            (process.id.pid, process.parent, process.group),
            (812, 1, 812)
        );
        assert_eq!(process.name, "My App");
        assert!(!process.zombie);
        let later = parse_line(&line.replace(":01", ":02")).unwrap();
        assert_ne!(process.id.started, later.id.started);
    }

    #[test]
    fn half_a_line_is_no_process() {
        for line in [
            "",
            "812",
            "812 1 812 Z",
            "812 1 812 Z Mon Nov 23 07:00:01 2026",
            "a b c d e",
        ] {
            assert_eq!(parse_line(line), None);
        }
        assert!(
            parse_line("1 0 1 Z Mon Nov 23 07:00:01 2026 (x)")
                .unwrap()
                .zombie
        );
    }
}

//! A hosts file of a command's own: names without any right to the machine's hosts file.
//!
//! The command runs in a mount namespace where a file of ours is mounted over `/etc/hosts`. Making one takes
//! `CAP_SYS_ADMIN`, or a user namespace in which the command has the same number as outside; many distributions let
//! every user make one, some do not, and then [`check`] says which switch forbids it.
//!
//! What the command sees of such a user namespace: its own user and group keep their numbers, everybody else (root, too)
//! is shown as `nobody`, and programs that change the user (sudo, su, ping of old) do not. Its rights to files, those by
//! further groups included, are what they were.
//!
//! The mount is of the file, not of its name: a new file under the same name is not seen by commands that run. Whoever
//! changes their names writes over the content (`monday-ipalias --in-place`). A new file in the place of the machine's
//! own hosts file takes the mount away; as long as a command's [`Kept`] lives, it is made again at once.
//!
//! ```no_run
//! use monday_shared::platform::private_hosts::{self, PrivateHosts, WhyNot};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! private_hosts::check()?;
//! private_hosts::copy_of_system("/run/user/1000/monday/shop/hosts".as_ref())?;
//! let hosts = PrivateHosts::new("/run/user/1000/monday/shop/hosts".as_ref())?;
//! let mut command = std::process::Command::new("curl");
//! let to_keep = hosts.apply(&mut command)?; // before anything else that asks for `pre_exec`
//! let child = command.spawn().map_err(|error| match WhyNot::of(&error) {
//!     Some(why) => why.into(),
//!     None => Box::<dyn std::error::Error>::from(error),
//! })?;
//! let kept = to_keep.keep(); // as long as the command may look for names
//! # Ok(())
//! # }
//! ```

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::start_fault::StartFault;

#[cfg(target_os = "linux")]
mod kept;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
mod why_not;

#[cfg(target_os = "linux")]
pub use kept::{Kept, ToKeep};
#[cfg(target_os = "linux")]
pub use linux::{PrivateHosts, check};
#[cfg(not(target_os = "linux"))]
pub use other::{Kept, PrivateHosts, ToKeep, check};
pub use why_not::WhyNot;

/// The machine's hosts file.
pub const SYSTEM_HOSTS: &str = "/etc/hosts";

/// Makes a new file with what the machine's hosts file holds now, for everybody to read; an older file of that name goes.
/// An empty one if the machine has none.
///
/// # Errors
/// What the operating system says.
pub fn copy_of_system(file: &Path) -> io::Result<()> {
    let content = match fs::read(SYSTEM_HOSTS) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        content => content?,
    };
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(file)?;
    new.write_all(&content)
}

/// Makes a command see that file as its hosts file. To be called before anything else that asks for `pre_exec`: a new user
/// namespace forgets, for example, that the command is to die with us.
///
/// # Errors
/// [`StartFault::HostsFile`] if the file cannot be used. What else is wrong shows when the command is started.
pub fn give(command: &mut Command, file: &Path) -> Result<ToKeep, StartFault> {
    let program = command.get_program().to_string_lossy().into_owned();
    PrivateHosts::new(file)
        .and_then(|hosts| hosts.apply(command))
        .map_err(|source| StartFault::HostsFile {
            program,
            path: file.to_owned(),
            source,
        })
}

/// The addresses that a hosts file with this content gives a host (hosts(5)), in its order.
#[must_use]
pub fn addresses_of(host: &str, content: &[u8]) -> Vec<IpAddr> {
    let lines = content.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| {
            let said = line.split(|byte| *byte == b'#').next()?;
            let said = std::str::from_utf8(said).ok()?;
            let mut words = said.split_ascii_whitespace();
            let ip = words.next()?.parse().ok()?;
            words
                .any(|name| name.eq_ignore_ascii_case(host))
                .then_some(ip)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_the_addresses_of_its_lines() {
        let content = b"# x\n127.0.0.1 localhost\r\n127.77.0.1\tAPI.test api # db.test\n\xff db.test\n::1 api.test";
        let of = |host| addresses_of(host, content);
        assert_eq!(
            of("api.test"),
            [IpAddr::from([127, 77, 0, 1]), "::1".parse().unwrap()]
        );
        assert_eq!(of("localhost"), [IpAddr::from([127, 0, 0, 1])]);
        assert!(of("db.test").is_empty() && of("127.0.0.1").is_empty());
    }

    #[test]
    fn a_copy_is_a_new_file_with_what_the_machine_has() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hosts");
        fs::write(&file, "old").unwrap();
        let old = fs::File::open(&file).unwrap();
        copy_of_system(&file).unwrap();
        assert_eq!(
            fs::read(&file).unwrap(),
            fs::read(SYSTEM_HOSTS).unwrap_or_default()
        );
        // Whoever has the old one mounted still sees what it held.
        assert_eq!(io::read_to_string(old).unwrap(), "old");
    }
}

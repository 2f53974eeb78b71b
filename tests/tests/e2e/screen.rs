//! A terminal of a test's own, and a machine on which root's rights take a password.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use monday_tests::world::World;

use crate::machine::INSTALLED;

/// From now on sudo asks the user of the machine for `secret`, and doas is of no use.
pub(crate) fn want_password() {
    fs::remove_file("/etc/doas.conf").unwrap();
    let with_password = "
        printf 'root:*:1:0:::::\\nnobody:*:1:0:::::\\n' > /etc/shadow && chmod 600 /etc/shadow &&
        echo nobody:secret | chpasswd && sed -i s/NOPASSWD/PASSWD/ /etc/sudoers.d/monday";
    let made = Command::new("sh").args(["-ec", with_password]).status();
    assert!(made.unwrap().success());
}

/// What is shown on a terminal of the test's own.
pub(crate) struct Screen {
    script: Child,
    pub(crate) shown: String,
}

impl Screen {
    /// Runs monday-supervisor with these words there.
    pub(crate) fn start(world: &World, words: &str) -> Self {
        let supervisor = world.executables().join("monday-supervisor");
        Self::run(world, &format!("{} {words}", supervisor.display()))
    }

    /// Runs this shell command there.
    pub(crate) fn run(world: &World, command: &str) -> Self {
        let script = world
            .command("script")
            .args(["--quiet", "--flush", "--return", "--command", command])
            .arg("/dev/null")
            .env("MONDAY_BIN_DIR", INSTALLED)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let shown = String::new();
        Self { script, shown }
    }

    /// Waits for the end of what was run.
    pub(crate) fn end(&mut self) {
        self.script.wait().unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.script.id()
    }

    /// Reads until this is shown.
    pub(crate) fn until(&mut self, text: &str) {
        let mut bytes = [0; 256];
        while !self.shown.contains(text) {
            let screen = self.script.stdout.as_mut().unwrap();
            let read = screen.read(&mut bytes).unwrap();
            assert_ne!(read, 0, "`{text}` is not in: {}", self.shown);
            let more = String::from_utf8_lossy(&bytes[..read]);
            self.shown.push_str(&more);
        }
    }

    pub(crate) fn type_keys(&mut self, keys: &str) {
        let keyboard = self.script.stdin.as_mut().unwrap();
        keyboard.write_all(keys.as_bytes()).unwrap();
    }
}

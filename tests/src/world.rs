//! The world of one test: folders, a hosts file and an environment of its own.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::executable;
use crate::namespace::{self, Privacy};
use crate::process::{Finished, Process};
use crate::survivors::{self, MARK, Survivor};
use crate::user::{self, User};
use crate::wait::Deadline;

/// What every hosts file has, and nothing of monday may touch.
pub const FOREIGN_HOSTS: &str =
    "127.0.0.1\tlocalhost\n# a line of somebody else\n192.0.2.7  elsewhere.example\n";

/// The longest path that a temporary folder may have here, in bytes: the sockets below it have to fit into the 107
/// bytes of a socket address.
const LONGEST_TEMPORARY: usize = 24;

/// The world of one test. Dropping it ends every process that is left of it.
#[derive(Debug)]
pub struct World {
    folder: TempDir,
    mark: String,
    user: User,
    privacy: Option<Privacy>,
    executables: PathBuf,
    hosts_file: PathBuf,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world in which commands run as whoever runs the tests.
    #[must_use]
    pub fn new() -> Self {
        Self::of(User::Same)
    }

    /// A world in which commands run as an ordinary user, also when the tests run as root.
    #[must_use]
    pub fn ordinary() -> Self {
        Self::of(User::Ordinary)
    }

    /// In this world `/etc/hosts` is its [hosts file](Self::hosts_file): commands run in namespaces of their own.
    #[must_use]
    pub fn with(mut self, privacy: Privacy) -> Self {
        self.privacy = Some(privacy);
        self
    }

    /// Whether `/etc/hosts` is its hosts file.
    #[must_use]
    pub fn has_private_hosts(&self) -> bool {
        self.privacy.is_some()
    }

    /// Whether its commands run with all rights: a user namespace gives them to an ordinary user, for files of its own.
    #[must_use]
    pub fn is_root_there(&self) -> bool {
        !user::is_root() && self.privacy.is_some() || self.user == User::Same && user::is_root()
    }

    /// Takes away the right to write its hosts file; only for a world of an [ordinary](Self::ordinary) user.
    ///
    /// # Panics
    /// If the rights cannot be changed.
    pub fn lock_hosts(&mut self) {
        assert_eq!(self.user, User::Ordinary, "nothing is locked for root");
        let folder = self.path("locked");
        std::fs::create_dir(&folder).expect("a folder can be made in a temporary one");
        let file = folder.join("hosts");
        std::fs::write(&file, FOREIGN_HOSTS).expect("a file can be written there");
        for (path, mode) in [(&file, 0o444), (&folder, 0o555)] {
            std::fs::set_permissions(path, Permissions::from_mode(mode))
                .expect("the rights of a file of our own can be changed");
        }
        self.hosts_file = file;
    }

    fn of(user: User) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("mt")
            .tempdir_in(temporary())
            .expect("a temporary folder can be made");
        let mark = folder
            .path()
            .file_name()
            .expect("a temporary folder has a name")
            .to_string_lossy()
            .into_owned();
        user.own(folder.path());
        let world = Self {
            executables: reachable_executables(folder.path(), user),
            hosts_file: folder.path().join("hosts"),
            folder,
            mark,
            user,
            privacy: None,
        };
        // Short names: they are part of the paths of sockets.
        for part in ["r", "home", "config"] {
            let path = world.path(part);
            std::fs::create_dir(&path).expect("a folder can be made in a temporary one");
            user.own(&path);
        }
        world.write("hosts", FOREIGN_HOSTS);
        world
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Something in its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `$XDG_RUNTIME_DIR`.
    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.path("r")
    }

    /// `$HOME`, which is the working directory as well.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Where its configuration files are written by [`Self::configure`].
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("config")
    }

    /// Its hosts file.
    #[must_use]
    pub fn hosts_file(&self) -> PathBuf {
        self.hosts_file.clone()
    }

    /// The folder of the executables, as commands of this world reach it.
    #[must_use]
    pub fn executables(&self) -> &Path {
        &self.executables
    }

    /// What is in its hosts file now.
    #[must_use]
    pub fn hosts(&self) -> String {
        std::fs::read_to_string(self.hosts_file()).expect("the hosts file is there")
    }

    /// The control socket that the supervisor of that project serves.
    #[must_use]
    pub fn supervisor_socket(&self, project: &str) -> PathBuf {
        self.runtime_dir()
            .join("monday")
            .join(project)
            .join("supervisor.sock")
    }

    /// A host name that no other test uses, so that no two tests want the same address.
    #[must_use]
    pub fn host(&self, name: &str) -> String {
        format!("{name}.{}.test", self.mark.to_ascii_lowercase())
    }

    /// Writes a file into its folder and returns where it is.
    #[must_use = "the path says where it is"]
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        self.write(name, text);
        self.path(name)
    }

    /// Writes a file into its folder.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file can be written into a temporary folder");
        self.user.own(&path);
    }

    /// Writes its `monday.yaml` and returns where it is.
    #[must_use = "the path has to be given to --config"]
    pub fn configure(&self, yaml: &str) -> PathBuf {
        self.file("config/monday.yaml", yaml)
    }

    /// A command in this world: one of monday's executables by its name, or any program on PATH.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let namespaces = match self.privacy {
            Some(privacy) => privacy.wrapper(&self.hosts_file()),
            None => Vec::new(),
        };
        self.wrapped(namespaces, program)
    }

    /// The same in the namespaces of a process of this world, which has [privacy](Self::with).
    #[must_use]
    pub fn command_beside(&self, process: &Process, program: &str) -> Command {
        self.wrapped(namespace::beside(process.pid()), program)
    }

    fn wrapped(&self, namespaces: Vec<String>, program: &str) -> Command {
        let program = if program.starts_with("monday-") {
            // Built, even where it is reached by another path.
            drop(executable::find(program));
            self.executables.join(program).display().to_string()
        } else {
            program.to_owned()
        };
        let words = [namespaces, self.user.wrapper(), vec![program]].concat();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        self.furnish(&mut command);
        command
    }

    /// The environment and the working directory of every command: nothing of monday's, and all of it this world's.
    fn furnish(&self, command: &mut Command) {
        let system = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
        command
            .env_clear()
            .env(MARK, &self.mark)
            .env("PATH", format!("{}:{system}", self.executables.display()))
            .env("HOME", self.home())
            .env("XDG_RUNTIME_DIR", self.runtime_dir())
            .env("TMPDIR", self.folder())
            .env("LC_ALL", "C.UTF-8")
            .current_dir(self.home());
    }

    /// Starts a program with these arguments.
    #[must_use]
    pub fn start<A: AsRef<std::ffi::OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Process {
        let mut command = self.command(program);
        command.args(arguments);
        Process::start(command)
    }

    /// Runs a program with these arguments to its end.
    #[must_use]
    pub fn run<A: AsRef<std::ffi::OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Finished {
        self.start(program, arguments).finish()
    }

    /// Runs a shell script to its end.
    #[must_use]
    pub fn sh(&self, script: &str) -> Finished {
        self.run("sh", ["-c", script])
    }

    /// The processes of this world that live now.
    #[must_use]
    pub fn survivors(&self) -> Vec<Survivor> {
        survivors::find(&self.mark)
    }

    /// Waits until no process of this world is left.
    ///
    /// # Panics
    /// If one is left after `span`, naming it.
    pub fn assert_no_survivors(&self, span: Duration) {
        let left = survivors::wait_until_none(&self.mark, Deadline::within(span));
        let left: Vec<String> = left.iter().map(ToString::to_string).collect();
        assert!(
            left.is_empty(),
            "processes are left after {span:?}:\n{}",
            left.join("\n")
        );
    }

    /// Checks that nothing of monday is left in the hosts file.
    ///
    /// # Panics
    /// If something is, or if something of somebody else is not.
    pub fn assert_hosts_untouched(&self) {
        assert_eq!(
            self.hosts(),
            FOREIGN_HOSTS,
            "the hosts file is not as it was"
        );
    }

    /// The files (sockets among them) that are left in the runtime folder.
    #[must_use]
    pub fn runtime_files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.runtime_dir()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)
                .expect("a runtime folder can be read")
                .flatten()
            {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    _ => found.push(entry.path()),
                }
            }
        }
        found.sort();
        found
    }
}

impl Drop for World {
    fn drop(&mut self) {
        survivors::end(&self.mark);
        // What was locked shall not keep the folder from being removed.
        let _ = std::fs::set_permissions(self.path("locked"), Permissions::from_mode(0o755));
    }
}

/// The temporary folder, or `/tmp` where that one's path is too long.
fn temporary() -> PathBuf {
    let usual = std::env::temp_dir();
    if usual.as_os_str().len() <= LONGEST_TEMPORARY {
        usual
    } else {
        PathBuf::from("/tmp")
    }
}

/// The folder of the executables, or of copies where the user cannot reach them.
fn reachable_executables(world: &Path, user: User) -> PathBuf {
    let built = executable::folder();
    if !user.changes() || can_reach(user, &built) {
        return built;
    }
    let copies = world.join("bin");
    std::fs::create_dir(&copies).expect("a folder can be made in a temporary one");
    std::fs::create_dir(copies.join("examples")).expect("a folder can be made in another");
    let others = [
        executable::SUPERVISOR,
        executable::FIXTURE,
        executable::DEMO,
        executable::WATCH,
    ];
    for name in executable::SIDECARS.into_iter().chain(others) {
        std::fs::copy(executable::find(name), copies.join(name))
            .expect("an executable can be copied");
    }
    copies
}

fn can_reach(user: User, folder: &Path) -> bool {
    let words = user.wrapper();
    let Some((program, arguments)) = words.split_first() else {
        return true;
    };
    Command::new(program)
        .args(arguments)
        .args(["test", "-x"])
        .arg(folder.join(executable::SUPERVISOR))
        .status()
        .is_ok_and(|status| status.success())
}

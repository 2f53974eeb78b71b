//! `setup --print`: how to let `monday-ipalias` run as root without a password each time. Nothing is changed; a person
//! reads it, and does it or not.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

/// Who would be allowed what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The user's name, if there is one that sudoers(5) takes as it is; otherwise the number.
    user: Allowed,
    /// The executable.
    executable: PathBuf,
    /// Who besides root could put another program in its place.
    unsafe_because: Option<String>,
    /// It was asked for as root, so it is not known who is to be allowed.
    for_nobody: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    Name(String),
    Number(u32),
}

/// Where an executable belongs that users run as root and cannot change.
const SAFE_FOLDER: &str = "/usr/local/bin";

/// Whoever is to be allowed; no user has capital letters only.
const PLACEHOLDER: &str = "USER";

impl Setup {
    /// For that user, with this very executable.
    #[must_use]
    pub fn of(uid: u32) -> Self {
        let executable = std::env::current_exe()
            .unwrap_or_else(|_| Path::new(SAFE_FOLDER).join("monday-ipalias"));
        let name = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let unsafe_because = changed_by_others(&executable);
        Self::new(name.map(|user| user.name), uid, executable, unsafe_because)
    }

    fn new(
        name: Option<String>,
        uid: u32,
        executable: PathBuf,
        unsafe_because: Option<String>,
    ) -> Self {
        let for_nobody = uid == 0;
        let user = if for_nobody {
            Allowed::Name(PLACEHOLDER.to_owned())
        } else {
            name.filter(|name| is_plain(name))
                .map_or(Allowed::Number(uid), Allowed::Name)
        };
        Self {
            user,
            executable,
            unsafe_because,
            for_nobody,
        }
    }

    /// The executable that would be allowed.
    fn allowed(&self) -> PathBuf {
        match &self.unsafe_because {
            None => self.executable.clone(),
            Some(_) => Path::new(SAFE_FOLDER).join("monday-ipalias"),
        }
    }

    /// The line for sudoers(5).
    #[must_use]
    pub fn sudoers_line(&self) -> String {
        let user = match &self.user {
            Allowed::Name(name) => name.clone(),
            Allowed::Number(uid) => format!("#{uid}"),
        };
        format!("{user} ALL=(root) NOPASSWD: {}", escaped(&self.allowed()))
    }

    /// The line for doas.conf(5).
    #[must_use]
    pub fn doas_line(&self) -> String {
        let user = match &self.user {
            Allowed::Name(name) => name.clone(),
            Allowed::Number(uid) => uid.to_string(),
        };
        format!(
            "permit nopass {user} as root cmd {}",
            quoted(&self.allowed())
        )
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.for_nobody {
            writeln!(
                f,
                "# You are root, who needs none of it. {PLACEHOLDER} stands for the user who is to be allowed; better run this as that\n\
                 # user.\n"
            )?;
        }
        let user = match &self.user {
            Allowed::Name(name) => name.clone(),
            Allowed::Number(uid) => uid.to_string(),
        };
        writeln!(
            f,
            "# Nothing has been changed. One of the three lets monday give host names without a password each time.\n"
        )?;
        if let Some(why) = &self.unsafe_because {
            writeln!(
                f,
                "# First: {} can be replaced by others than root ({why}),\n\
                 # and whoever replaces it would be root. Install it where only root writes:\n\
                 sudo install -o root -g root -m 755 {} {SAFE_FOLDER}/\n\
                 # and start monday-supervisor with MONDAY_BIN_DIR={SAFE_FOLDER}, or with all of its executables there\n\
                 # (`sudo make install`).\n",
                self.executable.display(),
                quoted(&self.executable),
            )?;
        }
        writeln!(
            f,
            "# 1. With sudo. As root it takes no path and no command from its caller, serves only the caller, writes only\n\
             #    /etc/hosts, and there only loopback addresses. Think of what that allows all the same: whatever runs as {user}\n\
             #    can lead any name that /etc/hosts does not have yet (but this machine's own) to this machine, for every user\n\
             #    of it, a mirror of packages for instance; can take over names that the older Go tool has left; and can\n\
             #    listen on ports below 1024 of the addresses that monday gives out.\n\
             echo '{sudoers}' | sudo tee /etc/sudoers.d/monday-ipalias\n\
             sudo chmod 440 /etc/sudoers.d/monday-ipalias && sudo visudo --check\n\
             \n\
             # 2. With doas, the same:\n\
             echo '{doas}' | doas tee -a /etc/doas.conf\n\
             \n\
             # 3. Without running anything as root (neither sudo, doas nor polkit is asked). {user} may then write any line\n\
             #    into /etc/hosts, and every program may listen on ports from 80 on. An editor that puts a new file in the\n\
             #    place of /etc/hosts takes the first right away again.\n\
             sudo setfacl -m u:{user}:rw /etc/hosts\n\
             echo net.ipv4.ip_unprivileged_port_start=80 | sudo tee /etc/sysctl.d/50-monday.conf && sudo sysctl --system\n\
             \n\
             # To take it back: sudo rm -f /etc/sudoers.d/monday-ipalias /etc/sysctl.d/50-monday.conf; remove the line from\n\
             # /etc/doas.conf; sudo setfacl -x u:{user} /etc/hosts",
            sudoers = self.sudoers_line().replace('\'', r"'\''"),
            doas = self.doas_line().replace('\'', r"'\''"),
        )
    }
}

/// The lines for programs, the text for people.
impl Serialize for Setup {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Setup", 3)?;
        object.serialize_field("sudoers", &self.sudoers_line())?;
        object.serialize_field("doas", &self.doas_line())?;
        object.serialize_field("text", &self.to_string())?;
        object.end()
    }
}

/// A name that means itself in sudoers, in doas.conf and to a shell.
fn is_plain(name: &str) -> bool {
    let first = name.chars().next().unwrap_or('-');
    (first.is_ascii_alphanumeric() || first == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        // A number alone would be taken for one.
        && !name.chars().all(|c| c.is_ascii_digit())
}

/// A path as a sudoers command, where these characters mean something (sudoers(5), "Other special characters").
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for c in path.to_string_lossy().chars() {
        if matches!(
            c,
            ' ' | ',' | ':' | '=' | '\\' | '"' | '*' | '?' | '[' | ']' | '!' | '#' | '(' | ')'
        ) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// A path as one word for a shell and for doas.conf, whose quotes are alike as far as this goes.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+');
    if text.chars().all(plain) {
        return text.into_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// Who besides root could put another program in this one's place, if anybody.
fn changed_by_others(executable: &Path) -> Option<String> {
    executable.ancestors().find_map(|part| {
        let meta = std::fs::metadata(part).ok()?;
        let name = part.display();
        if meta.uid() != 0 {
            return Some(format!("{name} belongs to uid {}", meta.uid()));
        }
        // In a sticky folder only owners replace what is theirs.
        let open = meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0;
        open.then(|| format!("the mode of {name} is {:03o}", meta.mode() & 0o777))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(name: Option<&str>, executable: &str) -> Setup {
        Setup::new(name.map(str::to_owned), 1000, executable.into(), None)
    }

    #[test]
    fn the_lines_allow_that_user_that_program_and_nothing_else() {
        let setup = setup(Some("alice"), "/usr/bin/monday-ipalias");
        assert_eq!(
            setup.sudoers_line(),
            "alice ALL=(root) NOPASSWD: /usr/bin/monday-ipalias"
        );
        assert_eq!(
            setup.doas_line(),
            "permit nopass alice as root cmd /usr/bin/monday-ipalias"
        );
    }

    #[test]
    fn root_is_never_allowed_what_it_may_already() {
        let setup = Setup::new(
            Some("root".to_owned()),
            0,
            "/usr/bin/monday-ipalias".into(),
            None,
        );
        let text = setup.to_string();
        assert!(text.contains("'USER ALL=(root) NOPASSWD:"), "{text}");
        assert!(text.starts_with("# You are root"), "{text}");
        assert!(
            !text.contains("root ALL=") && !text.contains("u:root:"),
            "{text}"
        );
    }

    #[test]
    fn a_name_that_could_mean_something_else_is_written_as_its_number() {
        for odd in [
            "%wheel",
            "ALL ALL",
            "a:b",
            "#0",
            "1000",
            "DOM\\alice",
            "",
            "-x",
        ] {
            let setup = setup(Some(odd), "/usr/bin/monday-ipalias");
            assert!(setup.sudoers_line().starts_with("#1000 ALL="), "{odd}");
        }
        assert!(setup(None, "/x").sudoers_line().starts_with("#1000 "));
    }

    #[test]
    fn paths_are_escaped_for_whoever_reads_them() {
        let setup = setup(Some("alice"), "/opt/my tools,v=1/monday-ipalias");
        assert!(
            setup
                .sudoers_line()
                .ends_with(r"/opt/my\ tools\,v\=1/monday-ipalias"),
            "{}",
            setup.sudoers_line()
        );
        assert!(
            setup
                .doas_line()
                .ends_with("\"/opt/my tools,v=1/monday-ipalias\"")
        );
    }

    #[test]
    fn a_program_that_others_can_replace_is_to_be_installed_elsewhere_first() {
        let why = Some("/home/alice belongs to uid 1000".to_owned());
        let setup = Setup::new(
            Some("alice".to_owned()),
            1000,
            "/home/alice/.cargo/bin/monday-ipalias".into(),
            why,
        );
        let text = setup.to_string();
        assert!(text.contains("sudo install -o root -g root -m 755 /home/alice/.cargo/bin/monday-ipalias /usr/local/bin/"));
        assert!(text.contains("NOPASSWD: /usr/local/bin/monday-ipalias"));
        assert!(!text.contains("NOPASSWD: /home"));
    }

    #[test]
    fn who_can_replace_a_program_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::chown(&file, Some(65_534), None).ok();
        let why = changed_by_others(&file).unwrap();
        assert!(why.contains("belongs to uid"), "{why}");
        assert_eq!(changed_by_others(Path::new("/bin/sh")), None);
    }
}

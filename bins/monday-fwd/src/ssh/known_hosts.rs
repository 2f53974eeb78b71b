//! `known_hosts` (`sshd(8)`, "`SSH_KNOWN_HOSTS` FILE FORMAT"): which keys a host is known by.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nix::fcntl::{Flock, FlockArg};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use russh::keys::{Algorithm, HashAlg, PublicKey};

use super::config::matches_list;

/// What marks a hashed name.
const HASHED: &str = "|1|";

/// The length of a salt: that of the hash, as ssh(1) makes them.
const SALT_BYTES: usize = 20;

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    marker: Marker,
    names: Names,
    key: PublicKey,
    /// `file:line`.
    place: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    None,
    Authority,
    Revoked,
}

#[derive(Clone, Debug)]
enum Names {
    Patterns(Vec<String>),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

/// What is known of a key of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The host is known by this key.
    Known,
    /// This key must not be used any more.
    Revoked {
        /// Where it says so.
        place: String,
    },
    /// The host is known by another key of the same kind.
    Changed {
        /// Where.
        place: String,
        /// The fingerprint of that key.
        known: String,
    },
    /// The host is not known, or only by keys of other kinds.
    Unknown {
        /// Those kinds.
        others: Vec<String>,
    },
}

/// Everything that the files say.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownHosts {
    entries: Vec<Entry>,
}

impl KnownHosts {
    /// Reads files; one that does not exist says nothing.
    ///
    /// # Errors
    /// Which file cannot be read, and why.
    pub(crate) fn read<'a>(
        paths: impl IntoIterator<Item = &'a PathBuf>,
    ) -> Result<Self, (PathBuf, io::Error)> {
        let mut known = Self::default();
        for path in paths {
            match fs::read(path) {
                Ok(bytes) => {
                    known.add(
                        &String::from_utf8_lossy(&bytes),
                        &path.display().to_string(),
                    );
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err((path.clone(), error)),
            }
        }
        Ok(known)
    }

    /// Takes in the text of a file. A line that makes no sense says nothing, as for ssh(1): it may be of a newer one.
    pub(crate) fn add(&mut self, text: &str, file: &str) {
        let entries = text
            .lines()
            .enumerate()
            .filter_map(|(number, line)| entry(line, || format!("{file}:{}", number + 1)));
        self.entries.extend(entries);
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.names.include(name))
    }

    /// What is known of the key of a host, `name` being as [`lookup_name`] makes it.
    pub(crate) fn verdict(&self, name: &str, key: &PublicKey) -> Verdict {
        if let Some(place) = self.revoked(name, key) {
            return Verdict::Revoked { place };
        }
        let mut others = Vec::new();
        let mut changed = None;
        for entry in self.of(name).filter(|entry| entry.marker == Marker::None) {
            if entry.key.key_data() == key.key_data() {
                return Verdict::Known;
            }
            if entry.key.algorithm() == key.algorithm() {
                changed.get_or_insert_with(|| Verdict::Changed {
                    place: entry.place.clone(),
                    known: fingerprint(&entry.key),
                });
            } else {
                let kind = entry.key.algorithm().to_string();
                if !others.contains(&kind) {
                    others.push(kind);
                }
            }
        }
        changed.unwrap_or(Verdict::Unknown { others })
    }

    /// Where a key, of a host or of an authority, is revoked for this host.
    pub(crate) fn revoked(&self, name: &str, key: &PublicKey) -> Option<String> {
        self.of(name)
            .find(|entry| entry.marker == Marker::Revoked && entry.key.key_data() == key.key_data())
            .map(|entry| entry.place.clone())
    }

    /// The authorities that may vouch for a host.
    pub(crate) fn authorities<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a PublicKey> {
        self.of(name)
            .filter(|entry| entry.marker == Marker::Authority)
            .map(|entry| &entry.key)
    }

    /// The kinds of keys that a host is known by, in the order of the files.
    pub(crate) fn kinds(&self, name: &str) -> Vec<Algorithm> {
        let mut kinds = Vec::new();
        for entry in self.of(name).filter(|entry| entry.marker == Marker::None) {
            let kind = entry.key.algorithm();
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds
    }
}

impl Names {
    fn include(&self, name: &str) -> bool {
        match self {
            Self::Patterns(patterns) => matches_list(name, patterns.iter().map(String::as_str)),
            Self::Hashed { salt, hash } => hashed(salt, name) == *hash,
        }
    }
}

fn hashed(salt: &[u8], name: &str) -> Vec<u8> {
    // SHA-1 is what the format has; it hides names, and nothing rests on it.
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
    hmac::sign(&key, name.as_bytes()).as_ref().to_vec()
}

fn entry(line: &str, place: impl FnOnce() -> String) -> Option<Entry> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let mut words = line.split_ascii_whitespace();
    let mut names = words.next()?;
    let marker = match names {
        "@cert-authority" => Marker::Authority,
        "@revoked" => Marker::Revoked,
        unknown if unknown.starts_with('@') => return None,
        _ => Marker::None,
    };
    if marker != Marker::None {
        names = words.next()?;
    }
    let (kind, key) = (words.next()?, words.next()?);
    Some(Entry {
        marker,
        names: names_of(names)?,
        key: PublicKey::from_openssh(&format!("{kind} {key}")).ok()?,
        place: place(),
    })
}

fn names_of(text: &str) -> Option<Names> {
    let Some(hashed) = text.strip_prefix(HASHED) else {
        // Names are compared in lower case.
        let patterns = text.split(',').filter(|pattern| !pattern.is_empty());
        return Some(Names::Patterns(
            patterns.map(str::to_ascii_lowercase).collect(),
        ));
    };
    let (salt, hash) = hashed.split_once('|')?;
    Some(Names::Hashed {
        salt: BASE64.decode(salt).ok()?,
        hash: BASE64.decode(hash).ok()?,
    })
}

/// The name by which a host is looked up: with its port, unless that is the usual one.
pub(crate) fn lookup_name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

/// `SHA256:...`, as ssh(1) shows it.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Adds a key that a host is known by from now on.
///
/// # Errors
/// What the file system says.
pub(crate) fn append(path: &Path, name: &str, key: &PublicKey, hash: bool) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let file = fs::OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    // Several of us may learn of hosts at once; ssh(1) itself does not lock.
    let mut file =
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| io::Error::from(error))?;
    let mut line = String::new();
    let end = file.seek(SeekFrom::End(0))?;
    if end > 0 {
        let mut last = [0];
        file.seek(SeekFrom::Start(end - 1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            line.push('\n');
        }
    }
    let name = if hash {
        hash_name(name)?
    } else {
        name.to_owned()
    };
    let bare = PublicKey::new(key.key_data().clone(), "");
    let key = bare.to_openssh().map_err(io::Error::other)?;
    line += &name;
    line.push(' ');
    line += &key;
    line.push('\n');
    file.write_all(line.as_bytes())
}

fn hash_name(name: &str) -> io::Result<String> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new()
        .fill(&mut salt)
        .map_err(|_| io::Error::other("there is no randomness"))?;
    let hash = hashed(&salt, name);
    Ok(format!(
        "{HASHED}{}|{}",
        BASE64.encode(salt),
        BASE64.encode(hash)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBMxBTpMIGvo7CnordO7wP0QQRqpBwUjOLl4eMhfucfE1sjTYyK5wmTl1UqoSDS1PtRVTBdl+0+9pquFb46U7fwg=";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    fn known(text: &str) -> KnownHosts {
        let mut known = KnownHosts::default();
        known.add(text, "kh");
        known
    }

    #[test]
    fn a_second_key_of_the_same_kind_is_as_good_as_the_first() {
        let known = known(&format!("db {TWO}\n\ndb\t{ONE} me@here\n"));
        assert_eq!(known.verdict("db", &key(ONE)), Verdict::Known);
        assert_eq!(known.verdict("db", &key(TWO)), Verdict::Known);
    }

    #[test]
    fn a_changed_key_is_told_from_one_of_another_kind() {
        let known = known(&format!("# mine\ndb,10.0.0.1 {TWO}\n"));
        assert!(matches!(
            known.verdict("db", &key(ONE)),
            Verdict::Changed { place, .. } if place == "kh:2"
        ));
        assert_eq!(
            known.verdict("10.0.0.1", &key(ECDSA)),
            Verdict::Unknown {
                others: vec!["ssh-ed25519".into()]
            }
        );
        assert_eq!(
            known.verdict("web", &key(ONE)),
            Verdict::Unknown { others: vec![] }
        );
    }

    #[test]
    fn patterns_exclude_and_ports_have_brackets() {
        let known = known(&format!(
            "*.example.com,!bad.example.com {ONE}\n[db]:2222 {TWO}\n"
        ));
        assert_eq!(known.verdict("a.example.com", &key(ONE)), Verdict::Known);
        assert_ne!(known.verdict("bad.example.com", &key(ONE)), Verdict::Known);
        assert_eq!(
            known.verdict(&lookup_name("DB", 2222), &key(TWO)),
            Verdict::Known
        );
    }

    #[test]
    fn markers_are_understood() {
        let known = known(&format!(
            "@revoked * {TWO}\n@cert-authority *.example.com {ECDSA}\n@new * {ONE}\ndb {TWO}\n"
        ));
        assert!(matches!(
            known.verdict("db", &key(TWO)),
            Verdict::Revoked { .. }
        ));
        assert_eq!(known.authorities("a.example.com").count(), 1);
        assert_eq!(known.authorities("db").count(), 0);
        assert_eq!(known.kinds("a.example.com"), []);
        assert_ne!(known.verdict("db", &key(ONE)), Verdict::Known);
    }

    #[test]
    fn what_is_appended_is_found_again_hashed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".ssh/known_hosts");
        append(&path, "db", &key(ONE), true).unwrap();
        append(&path, "web", &key(TWO), false).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("|1|") && !text.contains("db"));
        let known = KnownHosts::read([&path]).unwrap();
        assert_eq!(known.verdict("db", &key(ONE)), Verdict::Known);
        assert_eq!(known.verdict("web", &key(TWO)), Verdict::Known);
        fs::write(&path, format!("db {ONE}")).unwrap();
        append(&path, "web", &key(TWO), false).unwrap();
        let known = KnownHosts::read([&path]).unwrap();
        assert_eq!(known.verdict("db", &key(ONE)), Verdict::Known);
        assert_eq!(known.verdict("web", &key(TWO)), Verdict::Known);
    }

    proptest::proptest! {
        #[test]
        fn anything_in_known_hosts_is_read_and_asked_about(
            lines in proptest::collection::vec(
                (
                    proptest::sample::select(vec!["", "@revoked ", "@cert-authority ", "@", "#", "@revoked", "\t"]),
                    proptest::sample::select(vec![
                        "db", "*", "!db,*", "[db]:22", "|1|", "|1|a|b", "|1|AAAA|", "|1|KGDkr8Z8cHJvVpVuVBhbVnWTpDo=|b2Q=",
                        ",", "",
                    ]),
                    proptest::sample::select(vec![" ", "\t", "  ", ""]),
                    proptest::sample::select(vec![ONE, TWO, ECDSA, "ssh-ed25519", "ssh-rsa AAAA", "1024 35 99", ""]),
                    "\\PC{0,16}",
                ),
                0..12,
            ),
        ) {
            let text: Vec<String> = lines
                .iter()
                .map(|(marker, names, between, key, rest)| format!("{marker}{names}{between}{key} {rest}"))
                .collect();
            ask_everything(&text.join("\n"));
        }

        #[test]
        fn any_text_in_known_hosts_is_read_and_asked_about(text in "(\\PC|\n|\t|\r){0,400}") {
            ask_everything(&text);
        }
    }

    fn ask_everything(text: &str) {
        let known = known(text);
        for name in ["db", "[db]:22", "", "*"] {
            let verdict = known.verdict(name, &key(ONE));
            assert!(verdict != Verdict::Known || text.contains(ONE.split(' ').nth(1).unwrap()));
            let _ = (known.authorities(name).count(), known.kinds(name));
        }
    }
}

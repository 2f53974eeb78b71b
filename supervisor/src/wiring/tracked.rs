//! Whether git tracks a file: what it tracks was written by a person, and is no product of a build.
//!
//! The index is read itself (gitformat-index(5), versions 2 and 3), so that no git has to be there or be started. Of an
//! index in another format nothing is known.

use std::path::{Path, PathBuf};

/// The bytes of an entry before its flags: times, numbers, mode, owner, size, and the SHA-1 of the content.
const BEFORE_FLAGS: usize = 60;

/// Set in the flags of an entry that has two more bytes of them.
const EXTENDED: u8 = 0x40;

/// Whether the repository that the file is in tracks it; nothing where there is none, or where it cannot be read.
pub(super) fn is_tracked(file: &Path) -> Option<bool> {
    let folder = std::fs::canonicalize(file.parent()?).ok()?;
    let file = folder.join(file.file_name()?);
    let (top, repository) = folder
        .ancestors()
        .find_map(|top| Some((top, repository(&top.join(".git"))?)))?;
    let index = std::fs::read(repository.join("index")).ok()?;
    let name = file.strip_prefix(top).ok()?;
    holds(&index, name.as_os_str().as_encoded_bytes())
}

/// The repository that `.git` is or names.
fn repository(git: &Path) -> Option<PathBuf> {
    if git.is_dir() {
        return Some(git.to_owned());
    }
    // A worktree or a submodule: a file that says where.
    let text = std::fs::read_to_string(git).ok()?;
    let place = text.strip_prefix("gitdir:")?.trim();
    Some(git.parent()?.join(place))
}

/// Whether an index has an entry of that name; nothing if it is in another format.
fn holds(index: &[u8], name: &[u8]) -> Option<bool> {
    let (header, mut rest) = index.split_at_checked(12)?;
    let (magic, version) = (header.get(..4)?, header.get(4..8)?);
    if magic != b"DIRC" || !matches!(version, [0, 0, 0, 2 | 3]) {
        return None;
    }
    let entries = u32::from_be_bytes(header.get(8..)?.try_into().ok()?);
    for _ in 0..entries {
        let is_extended = rest.get(BEFORE_FLAGS)? & EXTENDED != 0;
        let start = BEFORE_FLAGS + if is_extended { 4 } else { 2 };
        let length = rest.get(start..)?.iter().position(|byte| *byte == 0)?;
        let end = start + length;
        if rest.get(start..end)? == name {
            return Some(true);
        }
        // One to eight zeros fill an entry up to a multiple of eight bytes.
        rest = rest.get((end / 8 + 1) * 8..)?;
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Runs git in a folder; whether there is one.
    fn git(folder: &Path, words: &[&str]) -> bool {
        let ran = Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(words)
            .output();
        match ran {
            Ok(ran) => {
                assert!(ran.status.success(), "git {words:?}: {ran:?}");
                true
            }
            Err(error) => {
                eprintln!("SKIPPED: git cannot be run: {error}");
                false
            }
        }
    }

    #[test]
    fn what_git_knows_is_tracked_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        std::fs::create_dir_all(top.join("deep/er")).unwrap();
        if !git(&top, &["init", "-q"]) {
            return;
        }
        let names = [
            "a",
            "main.rs",
            "deep/x",
            "deep/er/seven77",
            "deep/er/eight888",
            "later",
        ];
        for name in names {
            std::fs::write(top.join(name), name).unwrap();
        }
        assert_eq!(is_tracked(&top.join("a")), None, "there is no index yet");
        git(&top, &["add", "a", "main.rs", "deep"]);
        // This makes an entry with more flags, and with it version 3.
        git(&top, &["add", "-N", "later"]);
        for name in names {
            assert_eq!(is_tracked(&top.join(name)), Some(true), "{name}");
        }
        for name in ["main.o", "deep", "deep/er/seven", "A"] {
            assert_eq!(is_tracked(&top.join(name)), Some(false), "{name}");
        }
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&top, &link).unwrap();
        assert_eq!(is_tracked(&link.join("deep/x")), Some(true));
        assert_eq!(is_tracked(&dir.path().join("a")), None);
    }

    #[test]
    fn a_broken_index_knows_nothing() {
        for index in [
            &b""[..],
            b"DIRC",
            b"DIRC\0\0\0\x04\0\0\0\x01",
            b"DIRC\0\0\0\x02\xff\xff\xff\xff",
        ] {
            assert_eq!(holds(index, b"a"), None);
        }
        let mut long = b"DIRC\0\0\0\x02\0\0\0\x01".to_vec();
        long.extend([1; 200]);
        assert_eq!(holds(&long, b"a"), None);
    }
}

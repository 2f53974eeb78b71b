//! The machine as the configuration reader sees it: variables, folders, files. One trait, so that every decision above
//! it is tested without a machine.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// What a path leads to, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with bytes in it.
    File,
    /// A folder.
    Folder,
    /// A pipe, as a shell makes for `<(...)`, a device, a socket, …
    Other,
}

/// The machine as the configuration reader sees it.
pub trait Surroundings {
    /// A variable of the environment; nothing when it is not set or is no UTF-8.
    fn variable(&self, name: &str) -> Option<String>;

    /// The working directory.
    fn working_dir(&self) -> PathBuf;

    /// What a path leads to; nothing when there is nothing.
    fn kind(&self, path: &Path) -> Option<Kind>;

    /// The names in a folder, in any order.
    ///
    /// # Errors
    /// Those of the operating system.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// The bytes of a file, but no more than `limit`.
    ///
    /// # Errors
    /// Those of the operating system.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// The variable, unless it is empty: an empty one counts as not given.
    fn non_empty(&self, name: &str) -> Option<String> {
        self.variable(name).filter(|value| !value.is_empty())
    }

    /// Whether there is anything at all.
    fn exists(&self, path: &Path) -> bool {
        self.kind(path).is_some()
    }
}

/// The real machine.
#[derive(Debug, Clone, Default)]
pub struct System {
    _private: (),
}

impl System {
    /// The real machine.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

impl Surroundings for System {
    fn variable(&self, name: &str) -> Option<String> {
        // The standard library panics on names that no environment can hold.
        let fits = !name.is_empty() && !name.contains(['=', '\0']);
        fits.then(|| std::env::var(name).ok()).flatten()
    }

    fn working_dir(&self) -> PathBuf {
        // Relative paths keep their meaning where the directory was removed under us.
        std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
    }

    fn kind(&self, path: &Path) -> Option<Kind> {
        let kind = std::fs::metadata(path).ok()?.file_type();
        Some(if kind.is_dir() {
            Kind::Folder
        } else if kind.is_file() {
            Kind::File
        } else {
            Kind::Other
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            // Our file names are ASCII; another name is not one of them.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?
            .take(limit)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
pub(crate) mod fake {
    //! A machine of which a test says everything.

    use std::collections::BTreeMap;

    use super::*;

    /// Variables and files; the folders are those that the files are in.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Fake {
        pub(crate) variables: BTreeMap<String, String>,
        pub(crate) working_dir: PathBuf,
        pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    }

    impl Fake {
        /// `HOME` is `/home/me`, the working directory `/here`; both are empty.
        pub(crate) fn new() -> Self {
            Self {
                variables: [("HOME".to_owned(), "/home/me".to_owned())].into(),
                working_dir: "/here".into(),
                files: BTreeMap::new(),
            }
        }

        pub(crate) fn file(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
            self.files.insert(path.into(), text.as_ref().to_vec());
            self
        }

        pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
            self.variables.insert(name.into(), value.into());
            self
        }

        fn absolute(&self, path: &Path) -> PathBuf {
            self.working_dir.join(path).components().collect()
        }
    }

    impl Surroundings for Fake {
        fn variable(&self, name: &str) -> Option<String> {
            self.variables.get(name).cloned()
        }

        fn working_dir(&self) -> PathBuf {
            self.working_dir.clone()
        }

        fn kind(&self, path: &Path) -> Option<Kind> {
            let path = self.absolute(path);
            if self.files.contains_key(&path) {
                Some(Kind::File)
            } else {
                let inside = self.files.keys().any(|file| file.starts_with(&path));
                inside.then_some(Kind::Folder)
            }
        }

        fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
            let folder = self.absolute(folder);
            let names = self.files.keys().filter_map(|file| {
                let inside = file.strip_prefix(&folder).ok()?;
                Some(inside.components().next()?.as_os_str().to_str()?.to_owned())
            });
            Ok(names.collect())
        }

        fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
            let bytes = self.files.get(&self.absolute(path));
            let bytes = bytes.ok_or(io::ErrorKind::NotFound)?;
            Ok(bytes
                .iter()
                .copied()
                .take(usize::try_from(limit).unwrap_or(usize::MAX))
                .collect())
        }
    }
}

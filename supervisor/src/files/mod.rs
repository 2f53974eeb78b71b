//! The `files` of an app: rendered from Go templates or copied, after its `setup` and before its `build`.
//!
//! [`data`] is what templates see, [`template`] renders, [`write`](mod@write) puts a file in its place without ever
//! leaving half of one. All contents are rendered before the first file is written.

mod blocks;
pub mod data;
pub mod template;
pub mod write;

use std::io;
use std::path::{Path, PathBuf};

pub use data::Data;
pub use template::TemplateError;

use crate::config::project::FileSpec;

/// Why the files of an app were not all written.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A template is wrong. No file of the app was touched.
    #[error("cannot render the template of {}: {source}; the file was left as it is", to.display())]
    Template {
        /// The file that it is for.
        to: PathBuf,
        /// What is wrong with it.
        source: TemplateError,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// Writes the files of an app, in their order.
///
/// # Errors
/// [`FilesError`]: a wrong template leaves every file as it was; an error of the system leaves those that come after it.
pub fn write(files: &[FileSpec], data: &Data) -> Result<(), FilesError> {
    let rendered: Vec<Option<String>> =
        files
            .iter()
            .map(|file| match file {
                FileSpec::Content { to, content } => template::render(content, data)
                    .map(Some)
                    .map_err(|source| FilesError::Template {
                        to: to.clone(),
                        source,
                    }),
                FileSpec::Copy { .. } => Ok(None),
            })
            .collect::<Result<_, _>>()?;
    for (file, rendered) in files.iter().zip(rendered) {
        match file {
            FileSpec::Content { to, .. } => {
                put(to, rendered.unwrap_or_default().as_bytes())?;
            }
            FileSpec::Copy { from, to } => copy(from, to)?,
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), FilesError> {
    let unreadable = |source| io_error("copy", from, source);
    let about = std::fs::metadata(from).map_err(unreadable)?;
    // Opening a pipe would wait for its writer, and a device may have no end.
    write::check_kind(&about).map_err(unreadable)?;
    let content = std::fs::File::open(from).map_err(unreadable)?;
    write::copy(to, content, about.permissions()).map_err(|error| io_error("write", to, error))
}

fn put(to: &Path, content: &[u8]) -> Result<(), FilesError> {
    write::replace(to, content).map_err(|error| io_error("write", to, error))
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> FilesError {
    FilesError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_wrong_template_leaves_every_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        std::fs::write(&first, "old").unwrap();
        let content = |to: &Path, content: &str| FileSpec::Content {
            to: to.to_owned(),
            content: content.to_owned(),
        };
        let files = [content(&first, "new"), content(&second, "{{ .Name ")];
        let error = write(&files, &Data::default()).unwrap_err().to_string();
        assert!(error.contains(&second.display().to_string()), "{error}");
        assert_eq!(std::fs::read_to_string(&first).unwrap(), "old");
        assert!(!second.exists());
    }

    #[test]
    fn a_copy_keeps_the_mode_and_makes_missing_folders() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("script");
        std::fs::write(&from, b"#!\xff").unwrap();
        std::fs::set_permissions(&from, std::fs::Permissions::from_mode(0o751)).unwrap();
        let to = dir.path().join("a/b/copy");
        let files = [FileSpec::Copy {
            from,
            to: to.clone(),
        }];
        write(&files, &Data::default()).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"#!\xff");
        assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o751);
    }

    #[test]
    fn only_files_are_copied_and_only_files_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "old").unwrap();
        let copy = |from: &Path, to: &Path| FileSpec::Copy {
            from: from.to_owned(),
            to: to.to_owned(),
        };
        let content = |to: &Path| FileSpec::Content {
            to: to.to_owned(),
            content: "new".to_owned(),
        };
        for (wrong, part) in [
            (copy(&pipe, &file), "it is a pipe"),
            (copy(dir.path(), &file), "it is a folder"),
            (copy(&file, &pipe), "it is a pipe"),
            (content(&pipe), "it is a pipe"),
            (content(dir.path()), "it is a folder"),
            (content(Path::new("/dev/null")), "it is a device"),
        ] {
            let error = write(&[wrong], &Data::default()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
    }
}

//! `monday-supervisor init`: a commented file to start from.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use monday_shared::life::args::OutputFormat;

use super::{answer, failed, refuse_because};
use crate::config::schema;
use crate::config::search::MAIN_FILE;

/// The schema beside the file, which its first line names.
const SCHEMA_FILE: &str = "monday.schema.json";

/// The file to start from.
const TEMPLATE: &str = include_str!("init.yaml");

/// What `init` takes.
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// The folder that gets the monday.yaml
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,
}

/// Writes a `monday.yaml`, and the schema that tells editors its keys. Nothing is ever overwritten.
#[must_use]
pub fn run(args: &InitArgs) -> ExitCode {
    let file = args.folder.join(MAIN_FILE);
    if let Err(error) = create(&file, TEMPLATE) {
        return match error.kind() {
            io::ErrorKind::AlreadyExists => refuse_because(
                "exists",
                format!("{} exists already, and is left as it is", file.display()),
                "`monday-supervisor edit` opens it; or name another folder: `monday-supervisor init FOLDER`",
                OutputFormat::Text,
            ),
            io::ErrorKind::NotFound => refuse_because(
                "no-folder",
                format!("cannot write {}: there is no such folder", file.display()),
                "make the folder first",
                OutputFormat::Text,
            ),
            _ => failed(&format!("cannot write {}: {error}", file.display())),
        };
    }
    let schema = args.folder.join(SCHEMA_FILE);
    match create(&schema, &format!("{:#}\n", schema::of_config())) {
        Ok(()) => {}
        // It may be older than this program, but it is not ours to replace.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return failed(&format!("cannot write {}: {error}", schema.display())),
    }
    let config = if args.folder == Path::new(".") {
        String::new()
    } else {
        let folder = args.folder.display().to_string();
        let quoted = shlex::try_quote(&folder).map_or_else(|_| folder.clone(), Into::into);
        format!(" --config {quoted}")
    };
    answer(&format!(
        "{} is written: see what is in it, then try\n  \
           monday-supervisor validate{config}\n  \
           monday-supervisor hello{config}\n",
        file.display()
    ))
}

/// Writes a file that is not there yet; what could not be written whole is taken away again.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Search, load};

    #[test]
    fn the_file_to_start_from_is_sound_and_names_its_schema() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MAIN_FILE);
        create(&path, TEMPLATE).unwrap();
        let loaded = load(&Search::only([path])).unwrap();
        assert_eq!(loaded.report().diagnostics, []);
        assert_eq!(loaded.names().collect::<Vec<_>>(), ["hello"]);
        assert_eq!(
            TEMPLATE.lines().next().unwrap(),
            format!("# yaml-language-server: $schema={SCHEMA_FILE}")
        );
    }

    #[test]
    fn a_file_that_is_there_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MAIN_FILE);
        std::fs::write(&path, "mine").unwrap();
        let error = create(&path, TEMPLATE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}

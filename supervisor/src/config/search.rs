//! Where the configuration is.
//!
//! `--config` (files or folders) wins over `MONDAY_CONFIG_PATH`, that over a `monday.yaml` in the working directory,
//! that over the home folder. A folder means its `monday.yaml` and then its split files `monday*.yaml` in lexical order.

use std::io;
use std::path::{Path, PathBuf};

use super::surroundings::{Kind, Surroundings};
use crate::diagnostic::{Diagnostic, Report};

/// The main file of a folder.
pub const MAIN_FILE: &str = "monday.yaml";

/// What the command line says about where the configuration is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// `--config PATH`, repeatable; `-` is the standard input.
    pub paths: Vec<PathBuf>,
}

impl Search {
    /// The usual places.
    #[must_use]
    pub const fn new() -> Self {
        Self { paths: Vec::new() }
    }

    /// These files and folders only.
    #[must_use]
    pub fn only(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            paths: paths.into_iter().collect(),
        }
    }
}

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// How it is named to a person, and opened.
    pub(super) path: PathBuf,
    /// Whether it is the `monday.yaml` of a folder that has split files as well.
    pub(super) beside_split_files: bool,
}

impl Candidate {
    fn alone(path: PathBuf) -> Self {
        Self {
            path,
            beside_split_files: false,
        }
    }
}

/// The paths of the files that a search finds, in the order in which they are read; at least one.
///
/// # Errors
/// There is none, or a folder cannot be listed.
pub fn paths(search: &Search, machine: &dyn Surroundings) -> Result<Vec<PathBuf>, Report> {
    let found = files(search, machine)?;
    Ok(found.into_iter().map(|file| file.path).collect())
}

/// The files to read, in order: at least one.
pub(super) fn files(search: &Search, machine: &dyn Surroundings) -> Result<Vec<Candidate>, Report> {
    if !search.paths.is_empty() {
        let mut files = Vec::new();
        for path in &search.paths {
            files.extend(named(path, "--config", machine)?);
        }
        return Ok(files);
    }
    if let Some(path) = machine.non_empty("MONDAY_CONFIG_PATH") {
        return named(Path::new(&path), "MONDAY_CONFIG_PATH", machine);
    }
    if machine.kind(Path::new(MAIN_FILE)) == Some(Kind::File) {
        return in_folder(Path::new(""), machine)
            .map_err(|error| unreadable(Path::new("."), &error));
    }
    let Some(home) = machine.non_empty("HOME") else {
        return Err(nothing(
            "there is no monday.yaml in the working directory, and HOME is not set",
        ));
    };
    let home = Path::new(&home);
    let files = match in_folder(home, machine) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(unreadable(home, &error));
        }
        files => files.unwrap_or_default(),
    };
    if files.is_empty() {
        let message = format!(
            "there is no monday.yaml in the working directory, and no monday.yaml or monday*.yaml in {}",
            home.display()
        );
        let near = near(Path::new(""), machine).or_else(|| near(home, machine));
        return Err(nothing_but(&message, near));
    }
    Ok(files)
}

/// What a path that the user named means: it has to be there.
fn named(path: &Path, by: &str, machine: &dyn Surroundings) -> Result<Vec<Candidate>, Report> {
    if path == Path::new("-") {
        return Ok(vec![Candidate::alone("/dev/stdin".into())]);
    }
    match machine.kind(path) {
        Some(Kind::Folder) => {
            let files = in_folder(path, machine).map_err(|error| unreadable(path, &error))?;
            if files.is_empty() {
                let folder = path.display();
                let message = format!(
                    "{by} names the folder {folder}, which has no monday.yaml or monday*.yaml"
                );
                return Err(nothing_but(&message, near(path, machine)));
            }
            Ok(files)
        }
        // A device such as /dev/stdin is read as well: whoever names it means it.
        Some(Kind::File | Kind::Other) => Ok(vec![Candidate::alone(path.to_owned())]),
        None => Err(nothing(&format!(
            "{by} names {}, which does not exist",
            path.display()
        ))),
    }
}

/// The main file of a folder, then its split files in lexical order.
fn in_folder(folder: &Path, machine: &dyn Surroundings) -> io::Result<Vec<Candidate>> {
    let real_folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let mut names = machine.list(real_folder)?;
    names.retain(|name| {
        let inside = name.strip_prefix("monday");
        inside.is_some_and(|rest| rest.strip_suffix(".yaml").is_some())
    });
    // A link that leads nowhere is told where it is read; folders and pipes are none of ours.
    names.retain(|name| matches!(machine.kind(&folder.join(name)), Some(Kind::File) | None));
    // The main file first, the others in the order of their bytes.
    names.sort_by(|a, b| (a != MAIN_FILE, a).cmp(&(b != MAIN_FILE, b)));
    names.dedup();
    let several = names.len() > 1;
    Ok(names
        .into_iter()
        .map(|name| Candidate {
            path: folder.join(&name),
            beside_split_files: several && name == MAIN_FILE,
        })
        .collect())
}

/// A file of a folder that was probably meant to be found.
fn near(folder: &Path, machine: &dyn Surroundings) -> Option<PathBuf> {
    let real_folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let names = machine.list(real_folder).ok()?.into_iter();
    let alike = names.filter(|name| {
        let ending = Path::new(name).extension();
        name.starts_with("monday")
            && ending.is_some_and(|ending| ending == "yml" || ending == "yaml")
    });
    let found = alike.min()?;
    Some(folder.join(found)).filter(|path| machine.kind(path) == Some(Kind::File))
}

fn nothing_but(message: &str, near: Option<PathBuf>) -> Report {
    let mut report = nothing(message);
    if let (Some(near), Some(problem)) = (near, report.diagnostics.first_mut()) {
        let near = near.display();
        problem.help.insert(
            0,
            format!("there is {near}: name it with `--config {near}`, or call it {MAIN_FILE}"),
        );
    }
    report
}

fn nothing(message: &str) -> Report {
    let message = format!("no configuration found: {message}");
    Report::of(
        Diagnostic::error("no-configuration", message)
            .help("`monday-supervisor init` writes a commented monday.yaml to start from")
            .help("or say where it is: `--config PATH`, or MONDAY_CONFIG_PATH in the environment"),
    )
}

fn unreadable(folder: &Path, error: &io::Error) -> Report {
    let message = format!("cannot list the folder {}: {error}", folder.display());
    Report::of(Diagnostic::error("unreadable", message))
}

#[cfg(test)]
mod tests {
    use super::super::surroundings::fake::Fake;
    use super::*;

    fn found(search: &Search, machine: &Fake) -> Vec<String> {
        let files = files(search, machine).unwrap();
        files
            .iter()
            .map(|file| file.path.display().to_string())
            .collect()
    }

    #[test]
    fn the_main_file_comes_first_and_split_files_in_lexical_order() {
        let machine = Fake::new()
            .file("/home/me/monday.b.yaml", "")
            .file("/home/me/monday-a.yaml", "")
            .file("/home/me/monday.yaml", "")
            .file("/home/me/monday.a.yml", "")
            .file("/home/me/other.yaml", "")
            .file("/home/me/monday.d.yaml/inside", "");
        assert_eq!(
            found(&Search::new(), &machine),
            [
                "/home/me/monday.yaml",
                "/home/me/monday-a.yaml",
                "/home/me/monday.b.yaml"
            ]
        );
    }

    #[test]
    fn config_wins_over_the_variable_that_over_the_working_directory_that_over_home() {
        let machine = Fake::new()
            .file("/home/me/monday.x.yaml", "")
            .file("/here/monday.yaml", "")
            .file("/here/monday.split.yaml", "")
            .file("/conf/monday.yaml", "")
            .file("/else/a.yaml", "")
            .file("/else/b/monday.z.yaml", "");
        let only = Search::only(["/else/b".into(), "/else/a.yaml".into()]);
        let with_variable = machine.clone().set("MONDAY_CONFIG_PATH", "/conf");
        assert_eq!(
            found(&only, &with_variable),
            ["/else/b/monday.z.yaml", "/else/a.yaml"]
        );
        assert_eq!(found(&Search::new(), &with_variable), ["/conf/monday.yaml"]);
        assert_eq!(
            found(&Search::new(), &machine),
            ["monday.yaml", "monday.split.yaml"]
        );
    }

    #[test]
    fn an_empty_variable_counts_as_not_given() {
        let machine = Fake::new()
            .file("/home/me/monday.yaml", "")
            .set("MONDAY_CONFIG_PATH", "");
        assert_eq!(found(&Search::new(), &machine), ["/home/me/monday.yaml"]);
    }

    #[test]
    fn split_files_alone_in_the_working_directory_do_not_hide_home() {
        let machine = Fake::new()
            .file("/home/me/monday.yaml", "")
            .file("/here/monday.split.yaml", "");
        assert_eq!(found(&Search::new(), &machine), ["/home/me/monday.yaml"]);
    }

    #[test]
    fn a_file_that_was_probably_meant_is_named() {
        for (file, named) in [
            ("/here/monday.yml", "monday.yml"),
            ("/here/monday.shop.yaml", "monday.shop.yaml"),
            ("/home/me/monday.yml", "/home/me/monday.yml"),
        ] {
            let report = files(&Search::new(), &Fake::new().file(file, "")).unwrap_err();
            let help = &report.diagnostics[0].help[0];
            assert!(help.contains(&format!("`--config {named}`")), "{help}");
        }
    }

    #[test]
    fn nothing_found_says_where_was_looked_and_how_to_make_one() {
        let empty = Fake::new();
        let nowhere = Fake {
            variables: std::collections::BTreeMap::new(),
            ..Fake::new()
        };
        let folder = Fake::new()
            .file("/conf/readme", "")
            .set("MONDAY_CONFIG_PATH", "/conf");
        let missing = Search::only(["/no/such.yaml".into()]);
        for (search, machine, part) in [
            (&Search::new(), &empty, "/home/me"),
            (&Search::new(), &nowhere, "HOME is not set"),
            (
                &Search::new(),
                &folder,
                "MONDAY_CONFIG_PATH names the folder /conf",
            ),
            (&missing, &empty, "--config names /no/such.yaml"),
        ] {
            let problem = &files(search, machine).unwrap_err().diagnostics[0];
            assert!(problem.message.contains(part), "{}", problem.message);
            assert!(problem.help[0].contains("init"));
        }
    }
}

//! `~`, `$X`, `${X}` and `${X:-default}` in paths, and what a relative path is relative to.

use std::path::{Path, PathBuf};

use super::surroundings::Surroundings;

/// How deep defaults may be in defaults: nobody needs more than two.
const MOST_DEFAULTS: usize = 8;

/// What an expansion gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// Variables that are not set, and became nothing.
    pub(super) unset: Vec<String>,
}

/// Which places a relative path is looked for in, besides the working directory and the configuration's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// Also in `$GOPATH/src`.
    Source,
    /// Nowhere else.
    Plain,
    /// In this folder, and not in the others.
    Inside(&'a str),
}

/// Expands paths.
pub(super) struct Expander<'a> {
    machine: &'a dyn Surroundings,
    gopath: Option<String>,
    working_dir: PathBuf,
}

impl<'a> Expander<'a> {
    pub(super) fn new(machine: &'a dyn Surroundings) -> Self {
        Self {
            machine,
            gopath: machine.non_empty("GOPATH"),
            working_dir: machine.working_dir(),
        }
    }

    /// From now on this is GOPATH.
    pub(super) fn set_gopath(&mut self, gopath: &str) {
        self.gopath = Some(gopath.to_owned()).filter(|path| !path.is_empty());
    }

    /// Expands variables and the tilde.
    ///
    /// # Errors
    /// A `${` that is not closed, or with something in it that is no variable.
    pub(super) fn text(&self, text: &str) -> Result<Expanded, String> {
        self.nested(text, 0)
    }

    /// The same for a text that is so many defaults deep in another one.
    fn nested(&self, text: &str, depth: usize) -> Result<Expanded, String> {
        if depth > MOST_DEFAULTS {
            return Err(format!(
                "defaults are nested more than {MOST_DEFAULTS} deep\nset one of the variables"
            ));
        }
        let mut expanded = Expanded::default();
        let mut rest = text;
        let mut at_start = true;
        while let Some(c) = rest.chars().next() {
            if at_start && is_home(rest) {
                let home = self.variable("HOME", &mut expanded.unset);
                expanded.text.push_str(&home);
                rest = &rest[1..];
                at_start = false;
                continue;
            }
            at_start = c == ':';
            if c == '$' {
                rest = self.dollar(&rest[1..], depth, &mut expanded)?;
            } else {
                expanded.text.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        Ok(expanded)
    }

    /// Expands what follows a dollar; gives what is left behind it.
    fn dollar<'t>(
        &self,
        rest: &'t str,
        depth: usize,
        expanded: &mut Expanded,
    ) -> Result<&'t str, String> {
        if let Some(rest) = rest.strip_prefix('$') {
            expanded.text.push('$');
            return Ok(rest);
        }
        if let Some(inside) = rest.strip_prefix('{') {
            let (inside, rest) = split_at_brace(inside).ok_or_else(|| {
                format!("`${{{inside}` is never closed\nwrite `${{NAME}}`, or `$$` for a dollar")
            })?;
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inside, None),
            };
            if name.is_empty() || name_length(name) != name.len() {
                return Err(format!(
                    "`${{{inside}}}` is no variable\nwrite `${{NAME}}` or `${{NAME:-default}}`, or `$$` for a dollar"
                ));
            }
            let value = match default {
                Some(default) => {
                    let value = self.lookup(name).filter(|value| !value.is_empty());
                    if let Some(value) = value {
                        value
                    } else {
                        let default = self.nested(default, depth + 1)?;
                        expanded.unset.extend(default.unset);
                        default.text
                    }
                }
                None => self.variable(name, &mut expanded.unset),
            };
            expanded.text.push_str(&value);
            return Ok(rest);
        }
        let (name, rest) = rest.split_at(name_length(rest));
        if name.is_empty() {
            expanded.text.push('$');
        } else {
            let value = self.variable(name, &mut expanded.unset);
            expanded.text.push_str(&value);
        }
        Ok(rest)
    }

    fn variable(&self, name: &str, unset: &mut Vec<String>) -> String {
        self.lookup(name).unwrap_or_else(|| {
            unset.push(name.to_owned());
            String::new()
        })
    }

    fn lookup(&self, name: &str) -> Option<String> {
        match name {
            "GOPATH" => self.gopath.clone(),
            _ => self.machine.variable(name),
        }
    }

    /// What an expanded path means: absolute, whatever monday's working directory.
    ///
    /// A relative one is relative to the working directory, or to the configuration's folder or `$GOPATH/src` where it is
    /// there and not in the former. One that is nowhere yet belongs into `$GOPATH/src` if it begins as import paths of Go do,
    /// with the name of a machine: its `setup` will make it there.
    pub(super) fn absolute(&self, path: &str, kind: Kind, config_folder: &Path) -> PathBuf {
        if let Kind::Inside(folder) = kind {
            return self
                .working_dir
                .join(folder)
                .join(path)
                .components()
                .collect();
        }
        let here = self.working_dir.join(path);
        if Path::new(path).is_absolute() {
            return here.components().collect();
        }
        let sources = self.gopath.as_ref().filter(|_| kind == Kind::Source);
        let places = [
            Some(here.clone()),
            Some(self.working_dir.join(config_folder).join(path)),
            // GOPATH is a list of folders.
            sources.map(|gopath| {
                let first = gopath.split(':').next().unwrap_or_default();
                self.working_dir.join(first).join("src").join(path)
            }),
        ];
        let found = places
            .iter()
            .flatten()
            .find(|place| self.machine.exists(place));
        let nowhere_yet = places[2].as_ref().filter(|_| begins_with_machine(path));
        // Without `.` and doubled slashes.
        found
            .or(nowhere_yet)
            .unwrap_or(&here)
            .components()
            .collect()
    }
}

/// What is inside of a brace that was opened before this text, and what is behind it. Braces of variables in it are its
/// own.
fn split_at_brace(text: &str) -> Option<(&str, &str)> {
    let mut open = 0_usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => open += 1,
            '}' if open == 0 => return Some((&text[..at], &text[at + 1..])),
            '}' => open -= 1,
            _ => {}
        }
        // `$$` is a dollar, and begins nothing.
        before = if before == '$' && c == '$' { ' ' } else { c };
    }
    None
}

/// Whether a text begins with a tilde that means the home folder.
fn is_home(text: &str) -> bool {
    let rest = text.strip_prefix('~');
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':']))
}

/// Whether a relative path begins with the name of a machine, and goes on: `github.com/a/b`, and not `../a` or `a.out`.
fn begins_with_machine(path: &str) -> bool {
    path.split_once('/').is_some_and(|(machine, _)| {
        let (name, top) = machine.rsplit_once('.').unwrap_or_default();
        !name.is_empty() && !name.starts_with('.') && !top.is_empty()
    })
}

/// How many bytes at the start are the name of a variable.
fn name_length(text: &str) -> usize {
    let fits =
        |at: usize, c: char| c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit());
    let end = text.char_indices().find(|&(at, c)| !fits(at, c));
    end.map_or(text.len(), |(at, _)| at)
}

/// Writes an expanded path so that it is read as itself.
pub(super) fn escape(path: &str) -> String {
    path.replace('$', "$$")
}

#[cfg(test)]
mod tests {
    use super::super::surroundings::fake::Fake;
    use super::*;

    fn expand(text: &str) -> String {
        let machine = Fake::new()
            .set("X", "ex")
            .set("EMPTY", "")
            .set("GOPATH", "/go");
        Expander::new(&machine).text(text).unwrap().text
    }

    #[test]
    fn the_tilde_is_home_at_the_start_and_after_a_colon_only() {
        assert_eq!(expand("~"), "/home/me");
        assert_eq!(expand("~/x:~/y:~"), "/home/me/x:/home/me/y:/home/me");
        assert_eq!(expand("a~/HEAD~1"), "a~/HEAD~1");
        assert_eq!(expand("~other/x"), "~other/x");
    }

    #[test]
    fn variables_are_expanded_and_a_double_dollar_is_one() {
        assert_eq!(expand("$X/${X}y/$X-z/$GOPATH"), "ex/exy/ex-z//go");
        assert_eq!(expand("${NO:-d}/${EMPTY:-d}/${X:-d}/${NO:-}"), "d/d/ex/");
        assert_eq!(expand("${NO:-$HOME/src}/x"), "/home/me/src/x");
        assert_eq!(
            expand("${NO:-~/src}:${NO:-${NEITHER:-${X}}}}"),
            "/home/me/src:ex}"
        );
        assert_eq!(expand("${X:-${NO}}${NO:-$${}}"), "ex${}");
        assert_eq!(expand("a$$X/$/$1/ü$"), "a$X/$/$1/ü$");
        assert_eq!(expand(&escape("a$X~$")), "a$X~$");
    }

    #[test]
    fn a_variable_that_is_not_set_is_told() {
        let machine = Fake::new();
        let expanded = Expander::new(&machine).text("$NO/x${NEITHER}").unwrap();
        assert_eq!(expanded.text, "/x");
        assert_eq!(expanded.unset, ["NO", "NEITHER"]);
        let expanded = Expander::new(&machine).text("${NO:-$NEITHER}").unwrap();
        assert_eq!(expanded.unset, ["NEITHER"]);
    }

    #[test]
    fn a_broken_brace_is_an_error() {
        let machine = Fake::new();
        let deep = "${A:-".repeat(100_000) + &"}".repeat(100_000);
        for text in [
            "${X",
            "${}",
            "${1}",
            "${X-d}",
            "a${X Y}",
            "${X:-${Y}",
            "${NO:-${}}",
            &deep,
        ] {
            assert!(Expander::new(&machine).text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_relative_path_is_looked_for_here_then_beside_the_file_then_in_gopath() {
        let machine = Fake::new()
            .set("GOPATH", "/go")
            .file("/here/here/x", "")
            .file("/conf/here/x", "")
            .file("/conf/there/x", "")
            .file("/go/src/there/x", "")
            .file("/go/src/github.com/me/app/main.go", "");
        let expander = Expander::new(&machine);
        let absolute = |path, kind| {
            expander
                .absolute(path, kind, Path::new("/conf"))
                .display()
                .to_string()
        };
        assert_eq!(absolute("./here", Kind::Source), "/here/here");
        assert_eq!(absolute("there", Kind::Source), "/conf/there");
        assert_eq!(
            absolute("github.com/me/app", Kind::Source),
            "/go/src/github.com/me/app"
        );
        assert_eq!(
            absolute("github.com/me/app", Kind::Plain),
            "/here/github.com/me/app"
        );
        // What is nowhere yet is made by a `setup`: that of a Go package below GOPATH.
        assert_eq!(
            absolute("github.com/me/new", Kind::Source),
            "/go/src/github.com/me/new"
        );
        for new in ["new", "a.b", "../a.b/new", "./a.b/new", ".a/new", "src/a.b"] {
            let here = Path::new("/here").join(new);
            let here: PathBuf = here.components().collect();
            assert_eq!(absolute(new, Kind::Source), here.display().to_string());
        }
        assert_eq!(absolute("/abs//x/", Kind::Source), "/abs/x");
        assert_eq!(absolute("../up", Kind::Plain), "/here/../up");
    }
}

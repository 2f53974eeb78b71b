//! Walks through the files of `ssh_config` and collects what applies to a host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::expand::tilde;
use super::keys::{self, Use};
use super::line::{self, Line};
use super::pattern::{matches, matches_list};

/// How deep files may include each other, as in ssh(1).
const DEPTH: usize = 16;

/// How many files are read at most: files that include each other several times would be read for ever.
const MOST_FILES: usize = 1000;

/// The part of the world that is looked at.
pub(crate) trait World {
    /// Reads a file; nothing if there is none.
    ///
    /// # Errors
    /// Why it cannot be read, if it exists.
    fn read(&self, path: &Path) -> std::io::Result<Option<Vec<u8>>>;
    /// The files of a folder.
    fn list(&self, folder: &Path) -> Vec<String>;
    /// Whether a command of `Match exec` ends with status 0.
    fn succeeds(&self, command: &str) -> bool;
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
}

/// Who asks, and for which host.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// The host as it was given.
    pub(crate) host: String,
    /// The user here.
    pub(crate) local_user: String,
    /// The id of the user here.
    pub(crate) uid: u32,
    /// The home folder here.
    pub(crate) home: PathBuf,
    /// The name of this machine.
    pub(crate) local_host: String,
}

/// A directive that applies but is not honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ignored {
    /// `file:line`, or the argument.
    pub(crate) place: String,
    /// The directive as it was written.
    pub(crate) keyword: String,
}

/// A file that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub(crate) struct ConfigError {
    /// `file:line`, or the argument.
    pub(crate) place: String,
    /// What is wrong.
    pub(crate) reason: String,
}

/// What was collected: values as they were written, the first one of each directive, or all.
#[derive(Debug, Default)]
pub(super) struct Collected {
    values: BTreeMap<String, Vec<Line>>,
    pub(super) ignored: Vec<Ignored>,
    wants_final: bool,
    files: usize,
}

impl Collected {
    /// The first argument of a directive.
    pub(super) fn first(&self, keyword: &str) -> Option<&str> {
        let line = self.values.get(keyword)?.first()?;
        line.arguments.first().map(String::as_str)
    }

    /// All arguments of a directive that is written once.
    pub(super) fn arguments(&self, keyword: &str) -> Option<&[String]> {
        Some(&self.values.get(keyword)?.first()?.arguments)
    }

    /// What stands after the keyword.
    pub(super) fn rest(&self, keyword: &str) -> Option<&str> {
        Some(&self.values.get(keyword)?.first()?.rest)
    }

    /// The arguments of all lines of a directive that adds up.
    pub(super) fn all(&self, keyword: &str) -> impl Iterator<Item = &str> {
        let lines = self.values.get(keyword).into_iter().flatten();
        lines.filter_map(|line| line.arguments.first().map(String::as_str))
    }

    /// Takes a directive over, unless an earlier one counts.
    pub(super) fn take(&mut self, line: Line, place: &str) -> Result<(), ConfigError> {
        let (name, what) = keys::of(&line.keyword);
        if !matches!(what, Use::Meaningless | Use::Ignored) && line.arguments.is_empty() {
            return Err(ConfigError {
                place: place.to_owned(),
                reason: format!("`{}` has no value", line.keyword),
            });
        }
        match what {
            Use::Meaningless => {}
            Use::Ignored => {
                let unknown = self.arguments("ignoreunknown").unwrap_or_default();
                let patterns = unknown.iter().flat_map(|list| list.split(','));
                if !matches_list(&line.keyword, patterns.map(str::trim)) {
                    self.ignored.push(Ignored {
                        place: place.to_owned(),
                        keyword: line.keyword,
                    });
                }
            }
            Use::All => self.values.entry(name.to_owned()).or_default().push(line),
            // Whichever of the two comes first counts.
            Use::First if name == "proxycommand" && self.values.contains_key("proxyjump") => {}
            Use::First if name == "proxyjump" && self.values.contains_key("proxycommand") => {}
            Use::First => {
                self.values
                    .entry(name.to_owned())
                    .or_insert_with(|| vec![line.clone()]);
            }
        }
        Ok(())
    }
}

/// Reads the files after what the command line has said.
///
/// # Errors
/// [`ConfigError`] for the first line that makes no sense.
pub(super) fn walk(
    query: &Query,
    files: &[(PathBuf, bool)],
    mut collected: Collected,
    world: &impl World,
) -> Result<Collected, ConfigError> {
    let mut walker = Walker {
        query,
        world,
        collected: &mut collected,
        is_final: false,
    };
    walker.files(files)?;
    if walker.collected.wants_final {
        walker.is_final = true;
        walker.files(files)?;
    }
    Ok(collected)
}

struct Walker<'a, W> {
    query: &'a Query,
    world: &'a W,
    collected: &'a mut Collected,
    is_final: bool,
}

impl<W: World> Walker<'_, W> {
    fn files(&mut self, files: &[(PathBuf, bool)]) -> Result<(), ConfigError> {
        for (path, must_exist) in files {
            let user_file = path.starts_with(&self.query.home) || !path.starts_with("/etc");
            self.file(path, *must_exist, user_file, true, 0)?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &Path,
        must_exist: bool,
        user_file: bool,
        mut active: bool,
        depth: usize,
    ) -> Result<(), ConfigError> {
        let error = |reason: String| ConfigError {
            place: path.display().to_string(),
            reason,
        };
        if depth > DEPTH {
            return Err(error(format!(
                "files include each other more than {DEPTH} deep"
            )));
        }
        self.collected.files += 1;
        if self.collected.files > MOST_FILES {
            return Err(error(format!("more than {MOST_FILES} files are included")));
        }
        let text = match self.world.read(path) {
            Ok(Some(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
            Ok(None) if must_exist => return Err(error("there is no such file".to_owned())),
            Ok(None) => return Ok(()),
            Err(source) => return Err(error(format!("cannot be read: {source}"))),
        };
        // Within a part that does not apply nothing of an included file does.
        let possible = active;
        for (number, text) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            let wrong = |reason: String| ConfigError {
                place: place.clone(),
                reason,
            };
            let Some(line) = line::read(text).map_err(|reason| wrong(reason.to_owned()))? else {
                continue;
            };
            match line.keyword.as_str() {
                "host" => {
                    if line.arguments.is_empty() {
                        return Err(wrong("`Host` has no pattern".to_owned()));
                    }
                    let patterns = line.arguments.iter().map(String::as_str);
                    active = possible && matches_list(&self.query.host, patterns);
                }
                "match" => active = self.matched(&line, possible).map_err(wrong)?,
                "include" => {
                    if line.arguments.is_empty() {
                        return Err(wrong("`Include` has no path".to_owned()));
                    }
                    if !active {
                        continue;
                    }
                    for pattern in &line.arguments {
                        for included in self.included(pattern, user_file) {
                            self.file(&included, false, user_file, active, depth + 1)?;
                        }
                    }
                }
                _ if active => self.collected.take(line, &place)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The files that an `Include` means, in their order.
    fn included(&self, pattern: &str, user_file: bool) -> Vec<PathBuf> {
        let path = PathBuf::from(tilde(pattern, &self.query.home));
        let path = match (path.is_absolute(), user_file) {
            (true, _) => path,
            (false, true) => self.query.home.join(".ssh").join(path),
            (false, false) => Path::new("/etc/ssh").join(path),
        };
        let mut found = vec![PathBuf::new()];
        for component in path.components() {
            let component = component.as_os_str().to_string_lossy().into_owned();
            let is_pattern = component.contains(['*', '?']);
            let next = found.iter().flat_map(|folder| {
                if !is_pattern {
                    return vec![folder.join(&component)];
                }
                let mut names = self.world.list(folder);
                names.retain(|name| {
                    matches(name, &component)
                        && (!name.starts_with('.') || component.starts_with('.'))
                });
                names.sort();
                names.iter().map(|name| folder.join(name)).collect()
            });
            found = next.collect();
        }
        found
    }

    /// Whether all criteria of a `Match` are met.
    fn matched(&mut self, line: &Line, possible: bool) -> Result<bool, String> {
        let mut words = line.arguments.iter();
        if line.arguments.is_empty() {
            return Err("`Match` has no criterion".to_owned());
        }
        let mut result = possible;
        while let Some(word) = words.next() {
            let (negated, criterion) = match word.strip_prefix('!') {
                Some(criterion) => (true, criterion),
                None => (false, word.as_str()),
            };
            let (criterion, glued) = match criterion.split_once('=') {
                Some((criterion, value)) => (criterion, Some(value)),
                None => (criterion, None),
            };
            let criterion = criterion.to_ascii_lowercase();
            let met = match criterion.as_str() {
                "all" => true,
                "canonical" => self.is_final,
                "final" => {
                    self.collected.wants_final |= possible;
                    self.is_final
                }
                _ => {
                    let value = glued
                        .or_else(|| words.next().map(String::as_str))
                        .ok_or_else(|| format!("`{criterion}` of `Match` has no value"))?;
                    // Nothing is run for a part that does not apply anyhow.
                    result && self.meets(&criterion, value)?
                }
            };
            result &= met != negated;
        }
        Ok(result)
    }

    fn meets(&self, criterion: &str, value: &str) -> Result<bool, String> {
        let list = || value.split(',');
        Ok(match criterion {
            "host" => matches_list(&self.host_name(), list()),
            "originalhost" => matches_list(&self.query.host, list()),
            "user" => matches_list(
                self.collected
                    .first("user")
                    .unwrap_or(&self.query.local_user),
                list(),
            ),
            "localuser" => matches_list(&self.query.local_user, list()),
            "tagged" => matches_list(self.collected.first("tag").unwrap_or_default(), list()),
            "exec" => {
                let command = self.tokens().percent(value);
                self.world.succeeds(&command)
            }
            // We never run a command there, nor are we a shell.
            "sessiontype" => matches_list("none", list()),
            "command" | "localnetwork" | "version" => false,
            other => return Err(format!("`Match` knows no criterion `{other}`")),
        })
    }

    fn host_name(&self) -> String {
        host_name(self.query, self.collected)
    }

    fn tokens(&self) -> super::expand::Tokens {
        super::tokens(self.query, self.collected)
    }
}

/// The host to connect to, as far as it is known.
pub(super) fn host_name(query: &Query, collected: &Collected) -> String {
    let Some(name) = collected.first("hostname") else {
        return query.host.clone();
    };
    name.replace("%%", "\0")
        .replace("%h", &query.host)
        .replace('\0', "%")
}

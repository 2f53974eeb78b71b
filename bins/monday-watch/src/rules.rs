//! What is looked at and what is left out. The same decision serves the first walk and every later event, so that the two
//! can never disagree; nothing here reads a file.
//!
//! From the strongest to the weakest: what the watch itself excludes, `.ignore` files, `.gitignore` files, a
//! repository's `info/exclude`, the user's own ignore file for git. Within a kind, a deeper file is stronger than a higher
//! one, and within a file a later line than an earlier one. Git's files count as far up as the repository goes.

use std::path::Path;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Left out unless the watch says otherwise: what tools keep for themselves, what package managers and compilers bring,
/// and what editors write beside the file that is edited.
pub const DEFAULTS: [&str; 10] = [
    ".git",
    "node_modules/",
    "vendor/",
    "target/",
    "*.swp",
    "*.swx",
    "*~",
    ".#*",
    "\\#*#",
    ".DS_Store",
];

/// The names of the files that say what is left out, the weaker one first.
pub const FILE_NAMES: [&str; 2] = [".gitignore", ".ignore"];

/// A pattern that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no pattern such as `*.log`, `build/` or `/docs/**`: {why}")]
pub struct PatternError {
    /// What was written.
    pub pattern: String,
    /// What is wrong about it.
    pub why: String,
}

/// What is left out below one path of a watch.
#[derive(Clone, Debug)]
pub struct Rules {
    own: Gitignore,
    /// The user's own ignore file for git; `None` if ignore files are not obeyed.
    users: Option<Gitignore>,
}

/// The ignore files of a folder and of those above it.
#[derive(Debug)]
pub struct Level {
    above: Option<Arc<Self>>,
    git: Option<Gitignore>,
    plain: Option<Gitignore>,
    /// The folder is the top of a repository: what git reads above it does not count, and this does.
    repository: Option<Gitignore>,
}

/// What the ignore files of one folder say, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// `.gitignore`.
    pub git: Option<Vec<u8>>,
    /// `.ignore`.
    pub plain: Option<Vec<u8>>,
    /// The folder is the top of a repository; the content of its `info/exclude`.
    pub repository: Option<Vec<u8>>,
}

impl Rules {
    /// The rules of a watch for the path `top`. With `users`, ignore files are obeyed.
    ///
    /// # Errors
    /// [`PatternError`] for the first pattern that is none.
    pub fn new(
        top: &Path,
        exclude: &[String],
        users: Option<Gitignore>,
    ) -> Result<Self, PatternError> {
        let mut builder = GitignoreBuilder::new(top);
        let exclude = exclude.iter().map(String::as_str);
        for pattern in DEFAULTS.into_iter().chain(exclude) {
            add(&mut builder, pattern)?;
        }
        let own = builder.build().map_err(|error| PatternError {
            pattern: "--exclude".to_owned(),
            why: error.to_string(),
        })?;
        Ok(Self { own, users })
    }

    /// Whether ignore files are obeyed.
    #[must_use]
    pub fn obeys_files(&self) -> bool {
        self.users.is_some()
    }

    /// Whether something is looked at, all folders above it being looked at.
    #[must_use]
    pub fn keeps(&self, level: Option<&Level>, path: &Path, is_folder: bool) -> bool {
        let kept = match self.own.matched(path, is_folder) {
            Match::None => None,
            other => Some(!other.is_ignore()),
        };
        kept.or_else(|| {
            let users = self.users.as_ref()?;
            let levels = || std::iter::successors(level, |level| level.above.as_deref());
            let plain = levels().filter_map(|level| level.plain.as_ref());
            let boundary = levels().position(|level| level.repository.is_some());
            let of_repository = boundary.map_or(usize::MAX, |at| at + 1);
            let git = levels()
                .take(of_repository)
                .filter_map(|level| level.git.as_ref());
            let repository = boundary.and_then(|at| levels().nth(at)?.repository.as_ref());
            plain
                .chain(git)
                .chain(repository)
                .chain([users])
                .map(|file| file.matched(path, is_folder))
                .find(|found| !found.is_none())
                .map(|found| !found.is_ignore())
        })
        .unwrap_or(true)
    }
}

fn add(builder: &mut GitignoreBuilder, pattern: &str) -> Result<(), PatternError> {
    let error = |why: String| PatternError {
        pattern: pattern.to_owned(),
        why,
    };
    let line = match pattern.strip_prefix("./") {
        // As people write it; a gitignore file says it this way.
        Some(rest) => format!("/{rest}"),
        None => pattern.to_owned(),
    };
    if line
        .trim_start_matches('!')
        .trim_matches('/')
        .trim()
        .is_empty()
        || line.contains(['\0', '\n'])
    {
        return Err(error("it must name something, on one line".to_owned()));
    }
    builder
        .add_line(None, &line)
        .map_err(|e| error(e.to_string()))?;
    Ok(())
}

impl Level {
    /// A folder's level below `above`; that itself, if the folder has nothing to say.
    #[must_use]
    pub fn below(above: Option<Arc<Self>>, folder: &Path, texts: &Texts) -> Option<Arc<Self>> {
        if *texts == Texts::default() {
            return above;
        }
        let patterns = |text: &Vec<u8>| patterns(folder, text);
        Some(Arc::new(Self {
            above,
            git: texts.git.as_ref().map(patterns),
            plain: texts.plain.as_ref().map(patterns),
            repository: texts.repository.as_ref().map(patterns),
        }))
    }
}

/// The patterns of an ignore file in that folder. A line that makes no sense is left out, as git does.
fn patterns(folder: &Path, text: &[u8]) -> Gitignore {
    let mut builder = GitignoreBuilder::new(folder);
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for line in text.split(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        if let Err(error) = builder.add_line(None, line.trim_end_matches('\r')) {
            tracing::debug!(%error, folder = %folder.display(), "a line of an ignore file makes no sense");
        }
    }
    builder.build().unwrap_or_else(|error| {
        tracing::warn!(%error, folder = %folder.display(), "an ignore file cannot be obeyed");
        Gitignore::empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(exclude: &[&str]) -> Rules {
        let exclude: Vec<String> = exclude.iter().map(|&text| text.to_owned()).collect();
        Rules::new(Path::new("/p"), &exclude, Some(Gitignore::empty())).unwrap()
    }

    fn level(above: Option<Arc<Level>>, folder: &str, texts: &Texts) -> Arc<Level> {
        Level::below(above, Path::new(folder), texts).unwrap()
    }

    fn git(text: &str) -> Texts {
        Texts {
            git: Some(text.into()),
            ..Texts::default()
        }
    }

    /// A path is a folder if it ends in a slash.
    fn keeps(rules: &Rules, level: Option<&Arc<Level>>, path: &str) -> bool {
        rules.keeps(
            level.map(|l| &**l),
            Path::new(path.trim_end_matches('/')),
            path.ends_with('/'),
        )
    }

    #[test]
    fn the_defaults_are_left_out_anywhere_and_dot_files_are_not() {
        let rules = rules(&[]);
        for path in [
            "/p/.git/",
            "/p/a/node_modules/",
            "/p/vendor/",
            "/p/a/b/target/",
            "/p/.git",
        ] {
            assert!(!keeps(&rules, None, path), "{path}");
        }
        for path in ["/p/a/.x.rs.swp", "/p/x~", "/p/.#x", "/p/#x#"] {
            assert!(!keeps(&rules, None, path), "{path}");
        }
        for path in [
            "/p/.env",
            "/p/.github/",
            "/p/target",
            "/p/targets/",
            "/p/#x",
        ] {
            assert!(keeps(&rules, None, path), "{path}");
        }
    }

    #[test]
    fn an_exclusion_is_a_pattern_at_the_path_and_one_with_an_exclamation_mark_is_kept() {
        let rules = rules(&["*.log", "./gen", "/docs/**", "!vendor/"]);
        for path in ["/p/a/x.log", "/p/gen/", "/p/docs/x"] {
            assert!(!keeps(&rules, None, path), "{path}");
        }
        for path in ["/p/a/gen/", "/p/docs/", "/p/vendor/", "/p/a/docs/x"] {
            assert!(keeps(&rules, None, path), "{path}");
        }
        let ignored = level(None, "/p", &git("vendor\n"));
        assert!(
            keeps(&rules, Some(&ignored), "/p/vendor/"),
            "whatever else is said"
        );
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_what_was_written() {
        for pattern in ["", "  ", "/", "!", "a{b", "x\0"] {
            let error = Rules::new(Path::new("/p"), &[pattern.to_owned()], None).unwrap_err();
            assert_eq!(error.pattern, pattern);
        }
    }

    #[test]
    fn a_deeper_file_is_stronger_and_a_later_line_too() {
        let rules = rules(&[]);
        let top = level(None, "/p", &git("*.log\n# a comment\n!keep.log\n"));
        let deep = level(Some(top.clone()), "/p/a", &git("!*.log\r\nkeep.log"));
        assert!(!keeps(&rules, Some(&top), "/p/x.log"));
        assert!(keeps(&rules, Some(&top), "/p/keep.log"));
        assert!(keeps(&rules, Some(&deep), "/p/a/x.log"));
        assert!(!keeps(&rules, Some(&deep), "/p/a/keep.log"));
    }

    #[test]
    fn an_ignore_file_is_stronger_than_git_however_deep() {
        let rules = rules(&[]);
        let texts = Texts {
            plain: Some(b"!gen\n".to_vec()),
            ..Texts::default()
        };
        let top = level(None, "/p", &texts);
        let deep = level(Some(top), "/p/a", &git("gen\n"));
        assert!(keeps(&rules, Some(&deep), "/p/a/gen/"));
    }

    #[test]
    fn what_git_reads_above_a_repository_does_not_count_in_it() {
        let rules = rules(&[]);
        let outer = level(None, "/p", &git("*.txt\n"));
        let texts = Texts {
            repository: Some(b"*.tmp\n".to_vec()),
            ..git("*.o\n")
        };
        let inner = level(Some(outer.clone()), "/p/r", &texts);
        let deep = level(Some(inner), "/p/r/d", &git("x\n"));
        assert!(!keeps(&rules, Some(&outer), "/p/a.txt"));
        assert!(keeps(&rules, Some(&deep), "/p/r/d/a.txt"));
        assert!(!keeps(&rules, Some(&deep), "/p/r/d/a.o"));
        assert!(
            !keeps(&rules, Some(&deep), "/p/r/d/a.tmp"),
            "its info/exclude"
        );
    }

    #[test]
    fn a_line_that_is_no_pattern_and_bytes_that_are_no_text_harm_no_other_line() {
        let rules = rules(&[]);
        let text = b"\xef\xbb\xbf*.log\na{b\n\xff\xfe\n*.tmp".to_vec();
        let level = level(
            None,
            "/p",
            &Texts {
                git: Some(text),
                ..Texts::default()
            },
        );
        assert!(!keeps(&rules, Some(&level), "/p/x.log"));
        assert!(!keeps(&rules, Some(&level), "/p/x.tmp"));
        assert!(keeps(&rules, Some(&level), "/p/x.rs"));
    }

    #[test]
    fn where_ignore_files_are_not_obeyed_only_the_watch_itself_decides() {
        let rules = Rules::new(Path::new("/p"), &[], None).unwrap();
        let level = level(None, "/p", &git("*.log\n"));
        assert!(keeps(&rules, Some(&level), "/p/x.log"));
        assert!(!keeps(&rules, Some(&level), "/p/node_modules/"));
    }
}

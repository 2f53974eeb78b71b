//! Routes from a file: strict, so that a slip of the pen is found before a test is.

use std::fs;
use std::path::{Path, PathBuf};

use monday_shared::protocol::tcpproxy::RouteSpec;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::route::Wish;

/// What such a file has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    routes: Vec<Checked>,
}

/// A route that makes sense.
#[derive(Debug)]
struct Checked(RouteSpec);

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spec = RouteSpec::deserialize(deserializer)?;
        Wish::read(spec.clone()).map_err(D::Error::custom)?;
        Ok(Self(spec))
    }
}

/// Why a file of routes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RoutesFileError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{}{}: {}", .path.display(), .mistake.place(), .mistake.what)]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        mistake: Mistake,
    },
}

/// What is wrong with such a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong.
    pub what: String,
    /// On which line and in which column of it, both counted from 1.
    pub position: Option<(usize, usize)>,
}

impl Mistake {
    /// As editors and compilers write it after the name of the file.
    fn place(&self) -> String {
        self.position
            .map(|(line, column)| format!(":{line}:{column}"))
            .unwrap_or_default()
    }
}

/// Reads the routes of a file of YAML (JSON is YAML as well).
///
/// # Errors
/// [`RoutesFileError`], with the position of a mistake.
pub(crate) fn read(path: &Path) -> Result<Vec<RouteSpec>, RoutesFileError> {
    let text = fs::read_to_string(path).map_err(|source| RoutesFileError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|mistake| RoutesFileError::Wrong {
        path: path.to_owned(),
        mistake,
    })
}

fn parse(text: &str) -> Result<Vec<RouteSpec>, Mistake> {
    let document: Document = serde_yaml::from_str(text).map_err(|error| {
        let problem = error.to_string();
        // Where it is written out it is that of the innermost value.
        if let Some((what, position)) = written_position(&problem) {
            return Mistake {
                what: what.to_owned(),
                position: Some(position),
            };
        }
        // The reader does not say where a key of the document itself is.
        let position = error
            .location()
            .map(|place| (place.line(), place.column()))
            .or_else(|| stray_key_line(text).map(|line| (line, 1)));
        Mistake {
            what: problem,
            position,
        }
    })?;
    Ok(document
        .routes
        .into_iter()
        .map(|Checked(spec)| spec)
        .collect())
}

/// A message and the position at its end; of several the first, which was there before the others were added.
fn written_position(problem: &str) -> Option<(&str, (usize, usize))> {
    let (what, place) = problem.rsplit_once(" at line ")?;
    let (line, column) = place.split_once(" column ")?;
    let position = (line.parse().ok()?, column.parse().ok()?);
    Some(written_position(what).unwrap_or((what, position)))
}

/// The line of the first key of the document that is none of ours.
fn stray_key_line(text: &str) -> Option<usize> {
    let is_stray = |line: &str| {
        line.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && line
                .split(':')
                .next()
                .is_some_and(|key| key.trim() != "routes")
    };
    text.lines().position(is_stray).map(|place| place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_and_their_faults_are_read() {
        let routes = parse(
            "routes:\n- id: db\n  listen: [127.0.0.1:0, unix:db.sock]\n  target: db:5432\n  connect_wait: 5s\n\
             \x20 faults:\n  - {latency: 100ms, direction: down}\n  - {corrupt: 1%, expires: 1m}\n\
             - {id: web, listen: 8080, target: web:80}\n",
        )
        .unwrap();
        assert_eq!(routes.len(), 2);
        assert_eq!(routes[0].faults.len(), 2);
        assert_eq!(routes[1].listen.0, ["8080"]);
    }

    #[test]
    fn a_mistake_is_named_with_its_position() {
        for (text, named) in [
            (
                "routes:\n- id: db\n  listen: 0\n  target: x:1\n  conect_wait: 5s\n",
                (5, 3),
            ),
            ("routes:\n- id: db\n  listen: 0\n  target: x\n", (2, 1)),
            (
                "routes:\n- id: db\n  listen: 0\n  target: x:1\n  faults: {late: 1s}\n",
                (5, 12),
            ),
            (
                "routes:\n- id: db\n  listen: 0\n  target: x:1\n  connect_wait: 5\n",
                (5, 17),
            ),
            ("route: []\n", (1, 1)),
            ("routes: [\n", (2, 1)),
        ] {
            let mistake = parse(text).unwrap_err();
            assert_eq!(mistake.position, Some(named), "{text}: {mistake:?}");
            assert_eq!(written_position(&mistake.what), None, "{mistake:?}");
        }
    }
}

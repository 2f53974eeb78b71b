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
    /// It is not what it should be. The text says where.
    #[error("{}: {problem}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, and on which line.
        problem: String,
    },
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
    parse(&text).map_err(|problem| RoutesFileError::Wrong {
        path: path.to_owned(),
        problem,
    })
}

fn parse(text: &str) -> Result<Vec<RouteSpec>, String> {
    let document: Document = serde_yaml::from_str(text).map_err(|error| {
        let problem = error.to_string();
        // The reader does not say where a key of the document itself is.
        match stray_key_line(text) {
            Some(line) if !problem.contains(" at line ") => format!("{problem} at line {line}"),
            _ => problem,
        }
    })?;
    Ok(document
        .routes
        .into_iter()
        .map(|Checked(spec)| spec)
        .collect())
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
                "line 5",
            ),
            ("routes:\n- id: db\n  listen: 0\n  target: x\n", "line 2"),
            (
                "routes:\n- id: db\n  listen: 0\n  target: x:1\n  faults: {late: 1s}\n",
                "line 5",
            ),
            (
                "routes:\n- id: db\n  listen: 0\n  target: x:1\n  connect_wait: 5\n",
                "line 5",
            ),
            ("route: []\n", "line 1"),
            ("routes: [\n", "line 2"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}

//! Reading files: whole, within limits, as UTF-8.

use std::path::Path;

use super::problems::Problems;
use super::search::Candidate;
use super::surroundings::Surroundings;
use crate::diagnostic::source::offset;
use crate::diagnostic::{Diagnostic, FileId, SourceFile, Sources, Span};

/// The largest file that is read: ten times that of a team with 2,000 apps.
const LARGEST_FILE_BYTES: usize = 8 * 1024 * 1024;

/// The most that all files may have together.
const LARGEST_SUM_BYTES: usize = 32 * 1024 * 1024;

/// A file that was read.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) id: FileId,
    /// Whether it is the `monday.yaml` of a folder that has split files as well.
    pub(super) beside_split_files: bool,
}

/// What came of reading.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The files that could be read, in order.
    pub(super) files: Vec<Read>,
    /// Whether there are others: what they declare nobody knows.
    pub(super) incomplete: bool,
}

/// Reads the files that can be read, in order.
pub(super) fn read(
    files: &[Candidate],
    machine: &dyn Surroundings,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Reading {
    let mut sum = 0;
    let mut read = Reading::default();
    for file in files {
        let bytes = match machine.read(&file.path, (LARGEST_FILE_BYTES + 1) as u64) {
            Ok(bytes) => bytes,
            Err(error) => {
                let message = format!("cannot read {}: {error}", file.path.display());
                let help = "let yourself read it (`ls -l` shows who may), or name other files with `--config`";
                problems.push(Diagnostic::error("unreadable", message).help(help));
                read.incomplete = true;
                continue;
            }
        };
        sum += bytes.len();
        if bytes.len() > LARGEST_FILE_BYTES || sum > LARGEST_SUM_BYTES {
            problems.push(too_large(&file.path, bytes.len() > LARGEST_FILE_BYTES));
            read.incomplete = true;
            break;
        }
        match decode(bytes) {
            Ok(text) => read.files.push(Read {
                id: sources.add(SourceFile::new(&file.path, text)),
                beside_split_files: file.beside_split_files,
            }),
            Err(problem) => {
                problems.push(problem.diagnose(&file.path, sources));
                read.incomplete = true;
            }
        }
    }
    read
}

fn too_large(path: &Path, alone: bool) -> Diagnostic {
    let (what, limit) = if alone {
        ("is larger", LARGEST_FILE_BYTES)
    } else {
        ("and the files before it are larger", LARGEST_SUM_BYTES)
    };
    let mebibytes = limit / (1024 * 1024);
    Diagnostic::error(
        "too-large",
        format!("{} {what} than {mebibytes} MiB: not read", path.display()),
    )
    .help("this is hardly a configuration of monday's: is the path right?")
}

/// Bytes that are no UTF-8.
struct NotUtf8 {
    bytes: Vec<u8>,
    good: usize,
}

/// The text of a file. A lone carriage return, which is a line end for YAML, becomes one for everything.
fn decode(bytes: Vec<u8>) -> Result<String, NotUtf8> {
    let mut bytes = match String::from_utf8(bytes) {
        Ok(text) if text.contains('\r') => text.into_bytes(),
        Ok(text) => return Ok(text),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let bytes = error.into_bytes();
            return Err(NotUtf8 { bytes, good });
        }
    };
    for at in 0..bytes.len() {
        if bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n') {
            bytes[at] = b'\n';
        }
    }
    String::from_utf8(bytes).map_err(|error| NotUtf8 {
        good: error.utf8_error().valid_up_to(),
        bytes: error.into_bytes(),
    })
}

impl NotUtf8 {
    fn diagnose(&self, path: &Path, sources: &mut Sources) -> Diagnostic {
        let encoding = match self.bytes.as_slice() {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16",
            _ => "ISO-8859-1",
        };
        let byte = self.bytes[self.good];
        // What follows the bad byte is shown as well as it can be.
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        let file = sources.add(SourceFile::new(path, text));
        let span = Span {
            file,
            start: offset(self.good),
            end: offset(self.good + char::REPLACEMENT_CHARACTER.len_utf8()),
        };
        Diagnostic::error("not-utf8", "the file is not UTF-8")
            .at(span, format!("the byte 0x{byte:02X} begins no character here"))
            .help(format!(
                "save the file as UTF-8; if it is {encoding}: `iconv -f {encoding} -t UTF-8 OLD > NEW`"
            ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::surroundings::fake::Fake;
    use super::*;

    fn read_one(bytes: &[u8]) -> (Sources, Vec<Diagnostic>) {
        let machine = Fake::new().file("/here/monday.yaml", bytes);
        let candidate = Candidate {
            path: "monday.yaml".into(),
            beside_split_files: false,
        };
        let mut sources = Sources::default();
        let mut problems = Problems::default();
        read(&[candidate], &machine, &mut sources, &mut problems);
        (
            sources,
            problems
                .into_vec()
                .into_iter()
                .map(|found| found.problem)
                .collect(),
        )
    }

    #[test]
    fn bytes_that_are_no_utf8_have_a_position() {
        let (sources, problems) = read_one(b"a: 1\nb: caf\xe9\n");
        let span = problems[0].primary.as_ref().unwrap().span;
        let position = sources.start(span);
        assert_eq!((position.line, position.column), (2, 7));
        assert!(problems[0].help[0].contains("iconv"));
        let (_, problems) = read_one(b"\xff\xfea\0");
        assert!(problems[0].help[0].contains("UTF-16"));
    }

    #[test]
    fn every_kind_of_line_end_ends_a_line() {
        let (sources, problems) = read_one(b"a: 1\rb: 2\r\nc: 3\n");
        assert!(problems.is_empty());
        let (_, file) = sources.iter().next().unwrap();
        assert_eq!(&*file.text, "a: 1\nb: 2\r\nc: 3\n");
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let (_, problems) = read_one(&vec![b'#'; LARGEST_FILE_BYTES + 10]);
        assert!(problems[0].message.contains("larger than 8 MiB"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let mut problems = Problems::default();
        let candidate = Candidate {
            path: "gone.yaml".into(),
            beside_split_files: false,
        };
        let read = read(
            &[candidate],
            &Fake::new(),
            &mut Sources::default(),
            &mut problems,
        );
        assert!(read.files.is_empty() && read.incomplete);
        assert!(problems.into_vec()[0].problem.message.contains("gone.yaml"));
    }
}

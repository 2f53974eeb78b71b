//! What holds for any files: they are read or refused, and what is read is the same when it is written and read again.

use std::io;
use std::path::{Path, PathBuf};

use monday_supervisor::config::surroundings::Kind;
use monday_supervisor::config::{Search, Surroundings, load_in, write};
use monday_supervisor::diagnostic::Style;
use monday_supervisor::plan;

/// A folder `/conf` with these files, and nothing else: `monday.yaml`, then `monday.1.yaml` and so on.
struct Files<'a>(Vec<&'a [u8]>);

impl Files<'_> {
    fn name(at: usize) -> String {
        match at {
            0 => "monday.yaml".to_owned(),
            at => format!("monday.{at}.yaml"),
        }
    }

    fn at(&self, path: &Path) -> Option<&[u8]> {
        let name = path.strip_prefix("/conf").ok()?.to_str()?;
        let at = (0..self.0.len()).find(|&at| Self::name(at) == name)?;
        self.0.get(at).copied()
    }
}

impl Surroundings for Files<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        matches!(name, "HOME" | "MONDAY_CONFIG_PATH").then(|| "/conf".to_owned())
    }

    fn working_dir(&self) -> PathBuf {
        "/here".into()
    }

    fn kind(&self, path: &Path) -> Option<Kind> {
        if path == Path::new("/conf") {
            return Some(Kind::Folder);
        }
        self.at(path).map(|_| Kind::File)
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok((0..self.0.len()).map(Self::name).collect())
    }

    fn read(&self, path: &Path, _: u64) -> io::Result<Vec<u8>> {
        self.at(path)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Any bytes as the files of a configuration; a NUL byte begins the next file.
pub(crate) fn check(bytes: &[u8]) {
    let files = Files(bytes.split(|&byte| byte == 0).take(10).collect());
    let loaded = match load_in(&Search::new(), &files) {
        Ok(loaded) => loaded,
        Err(report) => {
            assert!(report.has_errors());
            let _ = (report.render(Style::coloured()), report.to_json());
            return;
        }
    };
    let report = loaded.report();
    let _ = (report.render(Style::plain()), report.to_json());
    for project in &loaded.projects {
        let planned = plan::plan(project);
        let effective = loaded.effective(&project.name).unwrap();
        let written = write::to_yaml(effective).unwrap();
        let again = load_in(&Search::new(), &Files(vec![written.as_bytes()])).unwrap();
        let again = again.project(&project.name).unwrap();
        assert_eq!(plan::plan(again), planned, "{written}");
    }
}

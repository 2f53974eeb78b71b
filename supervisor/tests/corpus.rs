//! What the fuzzers found worth keeping (`fuzz/corpus`) is read in every test run: without a panic, and soon.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use monday_supervisor::config::{Search, env_file, load};
use monday_supervisor::diagnostic::Style;
use monday_supervisor::files::{Data, template};

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let files = std::fs::read_dir(folder).unwrap();
    let texts: Vec<Vec<u8>> = files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(!texts.is_empty());
    texts
}

#[test]
fn the_reader_survives_its_corpus() {
    let folder = tempfile::tempdir().unwrap();
    for bytes in corpus("reader") {
        let parts = bytes.split(|&byte| byte == 0).enumerate();
        let files = parts.map(|(at, part)| {
            let path = folder.path().join(format!("monday.{at}.yaml"));
            std::fs::write(&path, part).unwrap();
            path
        });
        let report = match load(&Search::only(files)) {
            Ok(loaded) => loaded.report(),
            Err(report) => report,
        };
        let _ = (report.render(Style::plain()), report.to_json());
    }
}

#[test]
fn the_template_renderer_survives_its_corpus() {
    let data = Data::default();
    for bytes in corpus("template") {
        let _ = template::render(&String::from_utf8_lossy(&bytes), &data);
    }
}

#[test]
fn the_env_file_parser_survives_its_corpus() {
    for bytes in corpus("env_file") {
        let _ = env_file::parse(&String::from_utf8_lossy(&bytes));
    }
}

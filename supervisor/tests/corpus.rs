//! What the fuzzers found worth keeping (`fuzz/corpus`) is checked in every test run as the fuzzers check it
//! (`fuzz/checks`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../fuzz/checks/env_file.rs"]
mod env_file;
#[path = "../fuzz/checks/reader.rs"]
mod reader;
#[path = "../fuzz/checks/template.rs"]
mod template;

use std::path::Path;

/// Checks every file of a corpus.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        check(&std::fs::read(file.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
}

/// A fuzzer of texts passes over what is none.
fn as_text(check: fn(&str)) -> impl Fn(&[u8]) {
    move |bytes| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            check(text);
        }
    }
}

#[test]
fn the_reader_survives_its_corpus() {
    replay("reader", reader::check);
}

#[test]
fn the_template_renderer_survives_its_corpus() {
    replay("template", as_text(template::check));
}

#[test]
fn the_env_file_parser_survives_its_corpus() {
    replay("env_file", as_text(env_file::check));
}

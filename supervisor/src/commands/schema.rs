//! `monday-supervisor schema`: the JSON schema of the files, for editors.

use std::process::ExitCode;

use super::answer;
use crate::config::schema;

/// Prints the schema.
#[must_use]
pub fn run() -> ExitCode {
    // The alternate form is indented.
    answer(&format!("{:#}\n", schema::of_config()))
}

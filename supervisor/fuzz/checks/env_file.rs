//! What holds for any text as an env file: variables that a program can be given, or a line of it that is wrong.

use monday_supervisor::config::env_file;

/// Any text as an env file.
pub(crate) fn check(text: &str) {
    match env_file::parse(text) {
        Ok(variables) => {
            for (name, value) in variables {
                assert!(!name.is_empty() && !name.contains(['=', '\0']));
                assert!(!value.contains('\0'));
            }
        }
        Err(error) => assert!(error.line >= 1 && error.line <= text.matches('\n').count() + 1),
    }
}

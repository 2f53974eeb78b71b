//! Any text as an env file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use monday_supervisor::config::env_file;

fuzz_target!(|text: &str| {
    match env_file::parse(text) {
        Ok(variables) => {
            for (name, value) in variables {
                assert!(!name.is_empty() && !name.contains(['=', '\0']));
                assert!(!value.contains('\0'));
            }
        }
        Err(error) => assert!(error.line >= 1 && error.line <= text.matches('\n').count() + 1),
    }
});

//! Tests that cannot run here: they say so loudly, and where `CI=true` they fail instead.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Says that the running test is skipped, and why.
///
/// # Panics
/// Where `CI=true`: there everything that the tests need is installed, so something is wrong.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{test} cannot be skipped where CI=true, and it cannot run: {why}"
    );
    // Past the capture of the test's output, which nobody sees of a test that passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// The programs of this list that are not on PATH.
#[must_use]
pub fn missing_programs<'a>(programs: &[&'a str]) -> Vec<&'a str> {
    programs
        .iter()
        .copied()
        .filter(|program| {
            !Command::new("sh")
                .args(["-c", "command -v \"$0\"", program])
                .stdout(Stdio::null())
                .status()
                .is_ok_and(|found| found.success())
        })
        .collect()
}

/// Ends the test, skipped, where one of these programs is missing.
#[macro_export]
macro_rules! needs_programs {
    ($($program:literal),+ $(,)?) => {
        let missing = $crate::skip::missing_programs(&[$($program),+]);
        if !missing.is_empty() {
            $crate::skip::skip(&format!("these programs are not installed: {}", missing.join(", ")));
            return;
        }
    };
}

//! What is said before there is a view, and whether colours are welcome.

use std::io::Write as _;

use monday_shared::life::args::OutputFormat;

use crate::diagnostic::{Report, Style};

/// Shows why the configuration cannot be used.
pub fn refuse(report: &Report, output: OutputFormat) {
    if output == OutputFormat::Text {
        return warn(report);
    }
    let mut event = report.to_json();
    if let Some(object) = event.as_object_mut() {
        object.insert("event".to_owned(), "invalid".into());
    }
    let _ = writeln!(std::io::stdout(), "{event}");
}

/// Shows what the configuration reader found, before anything runs.
pub fn warn(warnings: &Report) {
    if warnings.is_empty() {
        return;
    }
    let style = if colour(&std::io::stderr()) {
        Style::coloured()
    } else {
        Style::plain()
    };
    tell(&warnings.render(style));
}

/// The same for programs: one JSON object on standard error, where the log is JSON as well.
pub fn warn_json(warnings: &Report) {
    if !warnings.is_empty() {
        tell(&warnings.to_json().to_string());
    }
}

/// Says something before there is a view.
pub fn tell(text: &str) {
    // Nobody can be told that standard error is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether colours are welcome there: `NO_COLOR`, `CLICOLOR_FORCE`, a terminal.
#[must_use]
pub fn colour(stream: &impl anstream::stream::RawStream) -> bool {
    !matches!(
        anstream::AutoStream::choice(stream),
        anstream::ColorChoice::Never
    )
}

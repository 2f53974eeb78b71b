//! The colour of a name: the same in every run and in every view, so that the eye finds an app again.

use std::hash::Hasher as _;

use anstyle::{AnsiColor, Style};

use crate::socket::runtime_dir::Fnv;

/// The colours of names; red is kept for errors and yellow for warnings.
const PALETTE: [AnsiColor; 9] = [
    AnsiColor::Cyan,
    AnsiColor::Magenta,
    AnsiColor::Green,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightGreen,
    AnsiColor::BrightBlue,
    AnsiColor::BrightYellow,
];

/// The style that a name is shown in.
#[must_use]
pub fn style_of(name: &str) -> Style {
    let mut hasher = Fnv::default();
    hasher.write(name.as_bytes());
    let at = usize::try_from(hasher.finish() % PALETTE.len() as u64).unwrap_or(0);
    Style::new().fg_color(PALETTE.get(at).map(|&colour| colour.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_colour_and_names_differ() {
        assert_eq!(style_of("api"), style_of("api"));
        let styles: Vec<Style> = ["api", "frontend", "database", "worker"]
            .map(style_of)
            .into();
        assert!(styles.iter().any(|style| *style != styles[0]));
    }
}

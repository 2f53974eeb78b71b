//! What `kubectl logs` shows: a line on standard output for whatever happens.

use std::fmt::Display;
use std::io::Write as _;

/// Says a line. Whether anybody hears it is nobody's business.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

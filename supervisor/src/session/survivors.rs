//! What a supervisor and its monday-runs left behind that were all killed at once: nobody was there to end it then, so
//! the next start does.

use std::path::Path;

use monday_shared::lease;
use monday_shared::protocol::supervisor::Level;

use crate::state::State;

/// Ends every process that survived in this project's folder, and says which.
pub(super) fn end(folder: &Path, state: &State) {
    let (ended, errors) = lease::end_all(folder);
    let tell = |level, message| state.notice(level, None, message);
    for process in ended.ended {
        tell(
            Level::Warning,
            format!("ended process {process}, which was left of the last time"),
        );
    }
    for process in ended.survivors {
        tell(
            Level::Error,
            format!(
                "cannot end process {process}, which was left of the last time: it belongs to another user"
            ),
        );
    }
    for error in errors {
        tell(Level::Warning, error.to_string());
    }
}

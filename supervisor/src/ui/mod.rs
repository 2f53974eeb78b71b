//! The terminal UI: a client of the control socket like any other, so that nothing is possible here that a script cannot
//! do.
//!
//! ```text
//! events of the socket ─┐                       ┌─> screen: the model as cells (pure)
//! keys and mouse ───────┴─> model (pure data) ──┴─> calls to the socket
//! ```
//!
//! [`terminal`] is the only part that does input and output.

mod ansi;
mod keyboard;
mod keys;
mod log;
mod model;
mod screen;
mod terminal;
mod thread;

use std::io::{self, IsTerminal as _};

pub use terminal::{Left, UiError, run};
pub use thread::InThread;

/// What leaving the UI means for the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// It is stopped: it was started together with the UI.
    Stops,
    /// It goes on: the UI only looks at it.
    Detaches,
}

/// Whether there is a terminal that can show it.
#[must_use]
pub fn is_possible() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    !dumb && io::stdin().is_terminal() && io::stdout().is_terminal()
}

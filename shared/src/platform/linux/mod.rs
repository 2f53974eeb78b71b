//! Linux.

mod acting;
mod port_holder;
mod process;
mod signals;

pub use acting::{Acting, act_as};
pub use port_holder::holder_of_port;
pub use process::{become_subreaper, die_with_parent, note_open_files, restore_open_files};
pub use signals::{SignalSource, block_signals, unblock_signals};

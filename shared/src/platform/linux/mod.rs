//! Linux.

mod acting;
mod pacing;
mod port_holder;
mod process;
mod signals;
mod sock_diag;
mod usage;

pub use acting::{Acting, act_as};
pub use pacing::stop_pacing;
pub use port_holder::holder_of_port;
pub use process::{become_subreaper, die_with_parent, note_open_files, restore_open_files};
pub use signals::{SignalSource, block_signals, unblock_signals};
pub use sock_diag::{peer_state, unacknowledged};
pub use usage::{connections_to, used};

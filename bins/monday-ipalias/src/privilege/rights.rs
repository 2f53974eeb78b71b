//! What of root's power is needed, and by whom.
//!
//! For a user (through sudo or doas) it is one capability: binding ports below 1024. `/etc/hosts` and its folder belong
//! to root, and their owner needs no right over other people's files to write them, to put a new file in the place of the
//! old one, and to give it mode, owner and attributes of the old one. So a hosts file that is not root's own is not
//! written for a user, and one that root has made read-only stays so. Without `CAP_DAC_OVERRIDE`, `CAP_CHOWN`,
//! `CAP_FOWNER` and `CAP_SETUID` there is nothing left that reaches into files of others.
//!
//! Root itself may name any hosts file, whosever it is, and is told who holds a port, whosever process that is.

use super::Standing;

/// What is kept of root's power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Bind ports below 1024 (`CAP_NET_BIND_SERVICE`).
    pub bind_low_ports: bool,
    /// Write files of others and keep their owner and mode (`CAP_DAC_OVERRIDE`, `CAP_CHOWN`, `CAP_FOWNER`).
    pub change_any_file: bool,
    /// See whose port is in the way (`CAP_SYS_PTRACE`).
    pub see_any_process: bool,
}

impl Rights {
    /// What that standing needs; an ordinary user has none of it.
    #[must_use]
    pub fn needed(standing: Standing) -> Option<Self> {
        match standing {
            Standing::Ordinary => None,
            Standing::Serving(_) => Some(Self {
                bind_low_ports: true,
                ..Self::default()
            }),
            Standing::Root => Some(Self {
                bind_low_ports: true,
                change_any_file: true,
                see_any_process: true,
            }),
        }
    }
}

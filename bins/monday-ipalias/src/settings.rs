//! Where names come from and go to.

use std::path::PathBuf;
use std::sync::Arc;

use monday_shared::identity::Identity;

use crate::alias::Interface;
use crate::companion::Companion;
use crate::hosts::file::HowToWrite;
use crate::lease::LeaseFolder;
use crate::platform;
use crate::range::Range;

/// Where names come from and go to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The hosts file.
    pub hosts_file: PathBuf,
    /// How it is written.
    pub how: HowToWrite,
    /// Where addresses are taken from.
    pub range: Range,
    /// Where instances tell each other what they have.
    pub leases: LeaseFolder,
    /// The user for whom root does it, if one is served.
    pub user: Option<Identity>,
    /// The interface that addresses have to be added to, where they have to be.
    pub loopback: Option<Arc<dyn Interface>>,
    /// Which IPv6 line a name gets beside its own.
    pub companion: Companion,
}

impl Settings {
    /// The usual ones of this operating system, for that file and with these leases.
    #[must_use]
    pub fn new(hosts_file: PathBuf, leases: LeaseFolder) -> Self {
        Self {
            hosts_file,
            how: HowToWrite::default(),
            range: Range::default(),
            leases,
            user: None,
            loopback: platform::loopback(),
            companion: platform::COMPANION,
        }
    }
}

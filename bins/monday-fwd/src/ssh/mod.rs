//! Forwards over SSH.

mod cli;
mod rule;

pub(crate) use cli::{SshArgs, SshRemoteArgs};
use monday_shared::protocol::fwd::{SshRemoteSpec, SshSpec};
use std::time::Duration;

use self::rule::split_host_and_port;
use crate::listener::Bound;
use crate::place::Place;
use crate::scope::Scope;

/// A local forward that makes sense.
#[derive(Clone, Debug)]
pub(crate) struct SshWish {
    place: Place,
    spec: SshSpec,
}

/// A remote forward that makes sense.
#[derive(Clone, Debug)]
pub(crate) struct SshRemoteWish {
    spec: SshRemoteSpec,
}

impl SshWish {
    pub(crate) fn read(spec: &SshSpec) -> Result<Self, String> {
        Ok(Self {
            place: spec
                .listen
                .parse()
                .map_err(|error: monday_shared::address::AddressError| error.to_string())?,
            spec: spec.clone(),
        })
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn start(self, scope: &Scope, _bound: Bound) {
        scope.lost(
            format!("cannot reach {} yet", self.spec.remote),
            Duration::from_secs(60),
        );
    }
}

impl SshRemoteWish {
    pub(crate) fn read(spec: &SshRemoteSpec) -> Result<Self, String> {
        split_host_and_port(&spec.target)?;
        Ok(Self { spec: spec.clone() })
    }

    pub(crate) fn listen(&self) -> String {
        self.spec.listen.clone()
    }

    pub(crate) fn start(self, scope: &Scope) {
        scope.lost(
            format!("cannot reach {} yet", self.spec.remote),
            Duration::from_secs(60),
        );
    }
}

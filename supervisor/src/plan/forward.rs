//! A forward as it has to be.

use crate::config::project::{Forward as Declared, ForwardKind, Monitoring, Options, Pair};

/// A forward as it has to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// Its name, unique within the project.
    pub name: String,
    /// The host name on whose address its routes listen; nothing: 127.0.0.1, or it does not listen here at all.
    pub hostname: Option<String>,
    /// Its ports.
    pub ports: Vec<Pair>,
    /// Where it leads.
    pub kind: ForwardKind,
    /// How it behaves.
    pub options: Options,
    /// Template data.
    pub monitoring: Option<Monitoring>,
}

impl Forward {
    pub(super) fn of(forward: &Declared) -> Self {
        Self {
            name: forward.name.clone(),
            hostname: forward.hostname.clone(),
            ports: forward.ports.clone(),
            kind: forward.kind.clone(),
            options: forward.options.clone(),
            monitoring: forward.monitoring.clone(),
        }
    }
}

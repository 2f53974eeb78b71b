//! One cluster for all tests of a run: most use it together, those that break something have it alone.

use std::ops::Deref;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Cluster;

/// Never dropped: the cluster ends with the process.
static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static TURN: RwLock<()> = RwLock::new(());

/// The cluster beside other tests.
#[derive(Debug)]
pub struct Together {
    cluster: &'static Cluster,
    _turn: RwLockReadGuard<'static, ()>,
}

/// The cluster while no other test has it.
#[derive(Debug)]
pub struct Alone {
    cluster: &'static Cluster,
    _turn: RwLockWriteGuard<'static, ()>,
}

/// The cluster, beside other tests; the calling thread is in its network from now on. Nothing where there can be none:
/// the test is skipped then, and says so.
#[must_use]
pub fn together() -> Option<Together> {
    let cluster = entered()?;
    // A test that failed leaves the cluster as usable as it was.
    let turn = TURN.read().unwrap_or_else(PoisonError::into_inner);
    Some(Together {
        cluster,
        _turn: turn,
    })
}

/// The same, while no other test uses it.
#[must_use]
pub fn alone() -> Option<Alone> {
    let cluster = entered()?;
    let turn = TURN.write().unwrap_or_else(PoisonError::into_inner);
    Some(Alone {
        cluster,
        _turn: turn,
    })
}

fn entered() -> Option<&'static Cluster> {
    if let Some(why) = Cluster::impossible_cached() {
        crate::skip::skip(why);
        return None;
    }
    let cluster = CLUSTER.get_or_init(Cluster::up);
    cluster.enter();
    Some(cluster)
}

impl Cluster {
    fn impossible_cached() -> Option<&'static str> {
        static WHY: OnceLock<Option<String>> = OnceLock::new();
        WHY.get_or_init(Self::impossible).as_deref()
    }
}

impl Deref for Together {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster
    }
}

impl Deref for Alone {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster
    }
}

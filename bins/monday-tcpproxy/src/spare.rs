//! A descriptor for the target of a client that was just accepted.
//!
//! With hardly any descriptors left, taking one client after the other would leave none for their targets: nobody would be
//! served, and all would be refused in the end. So near the limit a client is only gone on with when there is a second
//! descriptor, which is kept for its target until that is dialled; all others wait in the queue of the listener.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use tokio::time::sleep;

use crate::socket::Socket;

/// How many descriptors below the limit it begins to matter: more than all threads can take between two looks.
const NEAR: u64 = 64;

/// How long until it is looked again. Short, because somebody waits and connections end at any moment.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The place that is kept; dropping it gives it to whoever needs one next.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    #[allow(dead_code, reason = "it is there to be dropped")]
    kept: Option<OwnedFd>,
}

impl Spare {
    /// Waits until there is one for the target of this client, unless that is gone before.
    pub(crate) async fn beside(client: &Socket) -> Self {
        if !is_near_limit(client.as_fd().as_raw_fd()) {
            return Self::default();
        }
        let found = async {
            loop {
                match client.as_fd().try_clone_to_owned() {
                    Ok(kept) => return Some(kept),
                    Err(_) => sleep(LOOK_AGAIN).await,
                }
            }
        };
        let kept = tokio::select! {
            kept = found => kept,
            () = client.failed() => None,
        };
        Self { kept }
    }
}

/// Whether the limit of open files is near. Descriptors are given from the lowest number up, so the newest one tells. The
/// limit is asked for each time, which costs next to nothing, since whoever watches over us may lower it.
fn is_near_limit(newest: RawFd) -> bool {
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return false;
    };
    u64::try_from(newest).is_ok_and(|newest| newest.saturating_add(NEAR) >= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn far_from_the_limit_nothing_iskept() {
        let (one, _other) = tokio::net::UnixStream::pair().unwrap();
        assert!(Spare::beside(&Socket::from(one)).await.kept.is_none());
        let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        if let Ok(last) = RawFd::try_from(limit - 1) {
            assert!(is_near_limit(last));
        }
    }
}

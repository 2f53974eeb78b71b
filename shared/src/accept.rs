//! What a listener needs to know to go on accepting, whatever happens.

use std::io;
use std::time::Duration;

use crate::backoff::Policy;

/// How many clients may wait to be accepted; the kernel lowers it to its own limit (net.core.somaxconn, 4096).
pub const BACKLOG: i32 = 4096;

/// How to go on after a failed accept: the usual reason is that there are no file descriptors left, and connections end
/// at any moment. Clients wait in the queue meanwhile.
pub const AGAIN: Policy = Policy {
    first: Duration::from_millis(50),
    longest: Duration::from_secs(1),
    healthy_after: Duration::MAX,
};

/// Linux reports what happened to a waiting connection as an error of accept(2); the next one may be well.
#[must_use]
pub fn concerns_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_gone_is_no_reason_to_pause_and_a_lack_of_files_is() {
        assert!(concerns_one_client(
            &io::ErrorKind::ConnectionAborted.into()
        ));
        let out_of_files = io::Error::from_raw_os_error(libc::EMFILE);
        assert!(!concerns_one_client(&out_of_files));
    }
}

//! Some congestion controls pace what they send, which costs half of the speed where there is nothing to congest.
//!
//! BBR, the default of many servers and virtual machines, spreads segments over time by a timer each. On loopback this
//! halved the throughput of one stream and doubled its CPU time (measured on Linux 6.18). The kernel lets everybody
//! choose `reno` instead (tcp(7)), which does not pace.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use nix::sys::socket::{getsockopt, setsockopt, sockopt};

/// The one that every kernel has and every user may choose.
const WITHOUT_PACING: &str = "reno";

/// Those that pace begin with this.
const WITH_PACING: &str = "bbr";

/// Turns pacing off for a socket whose peer is on this machine, or for a listener all of whose peers are: what it
/// accepts inherits the choice.
pub fn stop_pacing(socket: impl AsFd) {
    if paces(&socket)
        && let Err(error) = setsockopt(
            &socket,
            sockopt::TcpCongestion,
            &OsString::from(WITHOUT_PACING),
        )
    {
        tracing::debug!(%error, "cannot choose {WITHOUT_PACING}, a local connection stays slower than it could be");
    }
}

/// Whether the system's default paces. It is asked for once: whoever changes it while we run loses nothing but speed.
fn paces(socket: impl AsFd) -> bool {
    static PACES: OnceLock<bool> = OnceLock::new();
    *PACES.get_or_init(|| {
        getsockopt(&socket, sockopt::TcpCongestion)
            .is_ok_and(|default| default.to_string_lossy().starts_with(WITH_PACING))
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn an_accepted_socket_inherits_the_choice_of_its_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let unpaced = OsString::from(WITHOUT_PACING);
        setsockopt(&listener, sockopt::TcpCongestion, &unpaced).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let inherited = getsockopt(&accepted, sockopt::TcpCongestion).unwrap();
        assert!(inherited.to_string_lossy().starts_with(WITHOUT_PACING));
    }

    #[test]
    fn a_socket_whose_pacing_was_stopped_does_not_pace() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        stop_pacing(&listener);
        let now = getsockopt(&listener, sockopt::TcpCongestion).unwrap();
        assert!(!now.to_string_lossy().starts_with(WITH_PACING), "{now:?}");
    }
}

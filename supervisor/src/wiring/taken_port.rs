//! An app that complains about a taken port does not say who has it. We do.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use monday_shared::holder::Holder;
use monday_shared::protocol::run::{Line, Output};
use regex::bytes::Regex;

use crate::config::project::ProbeKind;
use crate::plan::App;

/// What programs of every language say: the text of EADDRINUSE (`errno(3)`), its name, or Java's own words.
#[expect(
    clippy::expect_used,
    reason = "the pattern is ours, and a test compiles it"
)]
static COMPLAINT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("already in use|EADDRINUSE").expect("a correct pattern"));

/// A port in such a line: a number after a colon or after the word. The number of the error is neither.
#[expect(
    clippy::expect_used,
    reason = "the pattern is ours, and a test compiles it"
)]
static PORT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)(?:\bport[ =:]+|:)(\d{1,5})\b").expect("a correct pattern"));

/// Whether an app says here that a port is taken, and which: `expected` where it does not say that.
#[must_use]
pub fn complained_about(output: &Output, expected: Option<u16>) -> Option<u16> {
    let is_complaint = |line: &&Line| COMPLAINT.is_match(&line.0);
    let line = output.lines.iter().find(is_complaint)?;
    let numbers = PORT.captures_iter(&line.0).filter_map(|captures| {
        let digits = std::str::from_utf8(captures.get(1)?.as_bytes()).ok()?;
        digits.parse().ok().filter(|port| *port > 0)
    });
    // A time of day may stand before it.
    numbers.last().or(expected)
}

/// The port on which an app is expected to be ready.
#[must_use]
pub fn expected(app: &App) -> Option<u16> {
    let address = match &app.ready.as_ref()?.kind {
        ProbeKind::Tcp(address) => address,
        ProbeKind::Http(url) => url.split("://").nth(1)?.split('/').next()?,
        ProbeKind::Exec(_) | ProbeKind::Log(_) => return None,
    };
    address.rsplit_once(':')?.1.parse().ok()
}

/// Who has the port, in a sentence; nothing if that cannot be seen, or if nobody has it any more.
#[must_use]
pub fn who_has(port: u16) -> Option<String> {
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let holder = Holder::of(any, port)?;
    Some(format!(
        "port {port} is taken: {holder}; stop that one or choose another port"
    ))
}

#[cfg(test)]
mod tests {
    use monday_shared::protocol::run::Stream;

    use super::*;

    fn port(line: &str) -> Option<u16> {
        let output = Output {
            generation: 1,
            stream: Stream::Stderr,
            lines: vec![Line(b"starting".to_vec()), Line(line.as_bytes().to_vec())],
            partial: false,
            unterminated: false,
        };
        complained_about(&output, Some(8080))
    }

    #[test]
    fn the_port_is_read_from_what_programs_say() {
        let said = [
            "Error: listen EADDRINUSE: address already in use :::3000",
            "2026/11/25 09:30:01 listen tcp 127.0.0.1:3000: bind: address already in use",
            "Web server failed to start. Port 3000 was already in use.",
            "bind() to 0.0.0.0:3000 failed (98: Address already in use)",
            "ERROR: [Errno 98] error while attempting to bind on address ('0.0.0.0', port 3000): address already in use",
        ];
        for line in said {
            assert_eq!(port(line), Some(3000), "{line}");
        }
        assert_eq!(
            port("OSError: [Errno 98] Address already in use"),
            Some(8080)
        );
        assert_eq!(port("listening on :3000"), None);
    }

    #[test]
    fn whoever_has_a_port_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sentence = who_has(port).unwrap();
        assert!(
            sentence.contains(&format!("port {port} is taken: ")),
            "{sentence}"
        );
        if cfg!(target_os = "linux") {
            assert!(
                sentence.contains(&format!("(pid {})", std::process::id())),
                "{sentence}"
            );
        }
        drop(listener);
        assert_eq!(who_has(port), None);
    }
}

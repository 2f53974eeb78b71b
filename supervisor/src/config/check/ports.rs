//! `L:R`.

use super::super::model::forward::Port;
use super::super::project::{Pair, RemotePort};
use super::super::tree::Place;
use super::Checker;

/// IANA service names, which Kubernetes takes for ports, have at most so many characters (RFC 6335).
const LONGEST_PORT_NAME: usize = 15;

/// What R may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A number.
    Number,
    /// A number, or the name of a port.
    NumberOrName,
}

/// The pairs that are sound; no L twice.
pub(super) fn check(
    ports: &[Port],
    target: Target,
    place: &Place,
    checker: &mut Checker,
) -> Vec<Pair> {
    let mut pairs: Vec<(Pair, Place)> = Vec::with_capacity(ports.len());
    for (port, place) in ports.iter().zip(place.items_of(ports)) {
        match parse(&port.0, target) {
            Ok(pair) => pairs.push((pair, place)),
            Err(reason) => {
                let message = format!("`{}` is not a pair of ports: {reason}", port.0);
                checker.wrong(
                    &place,
                    message,
                    "",
                    "write `L:R`, such as `8080:80`, or `P` for `P:P`",
                );
            }
        }
    }
    let mut seen = std::collections::HashMap::new();
    for (pair, place) in &pairs {
        if let Some(first) = seen.insert(pair.listen, place) {
            let message = format!(
                "the port {} is listened on twice by this forward",
                pair.listen
            );
            let problem = place.point(
                crate::diagnostic::Diagnostic::error("duplicate-port", message),
                "here again",
            );
            checker.note(problem.also(first.span(), "here first"));
        }
    }
    pairs.into_iter().map(|(pair, _)| pair).collect()
}

fn parse(text: &str, target: Target) -> Result<Pair, String> {
    let text = text.trim();
    let (listen, remote) = match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => {
            return Err("there is more than one `:`".to_owned());
        }
        Some((listen, remote)) => (listen, remote),
        None => (text, text),
    };
    let listen = number(listen).ok_or_else(|| no_port(listen))?;
    let target = match number(remote) {
        Some(number) => RemotePort::Number(number),
        None if target == Target::NumberOrName && is_port_name(remote) => {
            RemotePort::Name(remote.to_owned())
        }
        None => return Err(no_port(remote)),
    };
    Ok(Pair { listen, target })
}

fn no_port(text: &str) -> String {
    if text.is_empty() {
        "a side of it is empty".to_owned()
    } else {
        format!("`{text}` is not a number from 1 to 65535")
    }
}

fn number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&port| digits && port > 0)
}

/// RFC 6335, section 5.1.
fn is_port_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty()
        && text.len() <= LONGEST_PORT_NAME
        && text.bytes().all(fits)
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_or_a_bare_port_is_read() {
        let pair = |listen, target| Pair {
            listen,
            target: RemotePort::Number(target),
        };
        assert_eq!(parse("8080:80", Target::Number), Ok(pair(8080, 80)));
        assert_eq!(parse("22:22", Target::Number), Ok(pair(22, 22)));
        assert_eq!(parse("5432", Target::Number), Ok(pair(5432, 5432)));
        assert_eq!(parse("080:0080", Target::Number), Ok(pair(80, 80)));
        let http = parse("8080:http", Target::NumberOrName).unwrap();
        assert_eq!(http.target, RemotePort::Name("http".to_owned()));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "", ":", "a:b", "80:", ":80", "0:80", "80:0", "65536", "1:2:3", "+1:2", "-1:2",
            "80 :80", "http", "80:http",
        ] {
            assert!(parse(text, Target::Number).is_err(), "{text:?}");
        }
        for text in [
            "http:80",
            "80:-x",
            "80:much-too-long-a-name",
            "80:a b",
            "http",
        ] {
            assert!(parse(text, Target::NumberOrName).is_err(), "{text:?}");
        }
    }
}

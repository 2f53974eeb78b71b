//! A forwarding rule as people write it: `[NAME@]L:R`, and the longer forms of ssh(1).

use std::str::FromStr;

use monday_shared::address::split_name;

/// One end of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A port.
    Port(u16),
    /// The absolute path of a Unix socket.
    Socket(String),
}

/// `[NAME@][BIND:]L:[HOST:]R`, or `[NAME@]P` for `P:P`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) name: Option<String>,
    pub(super) bind: Option<String>,
    pub(super) listen: End,
    pub(super) host: Option<String>,
    pub(super) target: End,
}

const FORM: &str =
    "write [NAME@]L:R, for example db@15432:5432; L is listened on, R is where it leads";

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rule) = split_name(text)?;
        let pieces = pieces(rule)?;
        let (bind, listen, host, target) = match pieces.as_slice() {
            [both] => (None, both, None, both),
            [listen, target] => (None, listen, None, target),
            // A socket has no host before it, so the second piece is one or the other.
            [bind, listen, target] if target.starts_with('/') => (Some(bind), listen, None, target),
            [listen, host, target] => (None, listen, Some(host), target),
            [bind, listen, host, target] => (Some(bind), listen, Some(host), target),
            _ => return Err(FORM.to_owned()),
        };
        let rule = Self {
            name: name.map(str::to_owned),
            bind: bind.cloned(),
            listen: end(listen)?,
            host: host.cloned(),
            target: end(target)?,
        };
        if rule.target == End::Port(0) {
            return Err("port 0 can be listened on, but leads nowhere".to_owned());
        }
        Ok(rule)
    }
}

/// The text between colons, those in brackets kept together and the brackets taken off.
fn pieces(rule: &str) -> Result<Vec<String>, String> {
    let mut pieces = Vec::new();
    let mut rest = rule;
    loop {
        let (piece, after) = if let Some(inside) = rest.strip_prefix('[') {
            let (address, after) = inside.split_once(']').ok_or("there is no ] to the [")?;
            (address, after)
        } else {
            let until = rest.find(':').unwrap_or(rest.len());
            rest.split_at(until)
        };
        pieces.push(piece.to_owned());
        match after.strip_prefix(':') {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(pieces),
            None => return Err(FORM.to_owned()),
        }
    }
}

fn end(text: &str) -> Result<End, String> {
    if text.starts_with('/') {
        return Ok(End::Socket(text.to_owned()));
    }
    // `u16::from_str` takes a plus sign, which nobody means.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits => Ok(End::Port(port)),
        _ => Err(format!("`{text}` is no port: {FORM}")),
    }
}

/// `host:port`, an IPv6 address in brackets.
pub(super) fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The host and port of what [`host_and_port`] writes.
///
/// # Errors
/// What is wrong with it.
pub(super) fn split_host_and_port(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("`{text}` is not HOST:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    match end(port) {
        Ok(End::Port(port)) if !host.is_empty() => Ok((host.to_owned(), port)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Rule {
        text.parse().unwrap()
    }

    #[test]
    fn the_usual_forms_are_read() {
        let plain = read("db@0:5432");
        assert_eq!(plain.name.as_deref(), Some("db"));
        assert_eq!(
            (plain.listen, plain.target),
            (End::Port(0), End::Port(5432))
        );
        assert_eq!(read("80").target, End::Port(80));
        let long = read("[::1]:80:[fe80::1]:81");
        assert_eq!(long.bind.as_deref(), Some("::1"));
        assert_eq!(long.host.as_deref(), Some("fe80::1"));
        assert_eq!(read("80:db:81").host.as_deref(), Some("db"));
        assert_eq!(read("80:/run/s").target, End::Socket("/run/s".into()));
        assert_eq!(
            read("127.0.0.1:80:/run/s").bind.as_deref(),
            Some("127.0.0.1")
        );
        assert_eq!(read("/run/s:80").listen, End::Socket("/run/s".into()));
    }

    #[test]
    fn a_mistake_is_named() {
        for (text, named) in [
            ("", "is no port"),
            ("@80:80", "name before @ is empty"),
            ("80:0", "leads nowhere"),
            ("80:+1", "`+1` is no port"),
            ("65536:80", "`65536` is no port"),
            ("[::1:80:80", "no ]"),
            ("[::1]x:80", "write [NAME@]L:R"),
            ("1:2:3:4:5", "write [NAME@]L:R"),
        ] {
            let error = text.parse::<Rule>().unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn a_host_and_its_port_are_told_apart_again() {
        for (host, port) in [("db", 80), ("::1", 81), ("10.0.0.1", 82)] {
            let text = host_and_port(host, port);
            assert_eq!(split_host_and_port(&text), Ok((host.to_owned(), port)));
        }
        assert!(split_host_and_port("db").is_err());
        assert!(split_host_and_port(":80").is_err());
    }
}

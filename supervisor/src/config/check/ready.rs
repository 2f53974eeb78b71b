//! When an app counts as ready.

use std::net::Ipv6Addr;

use monday_shared::duration::Span as Time;

use super::super::model::app::{App, Ready, ReadyWord};
use super::super::model::{Either, Text};
use super::super::project::{Probe, ProbeKind};
use super::super::tree::Place;
use super::Checker;
use crate::diagnostic::Diagnostic;

/// How often and how long to ask, unless it is said.
const INTERVAL: Time = Time::from_secs(1);
const TIMEOUT: Time = Time::from_secs(1);

pub(super) fn check(
    app: &App,
    hostname: Option<&str>,
    place: &Place,
    checker: &mut Checker,
) -> Option<Probe> {
    let place_of_ready = place.key("ready");
    match app.ready.as_ref()? {
        Either::Short(ReadyWord::Monitoring) => Some(probe(
            ProbeKind::Http(monitoring_url(app, hostname, place, checker)?),
            &Ready::default(),
        )),
        Either::Long(ready) => Some(probe(kind(ready, &place_of_ready, checker)?, ready)),
    }
}

fn probe(kind: ProbeKind, ready: &Ready) -> Probe {
    Probe {
        kind,
        interval: ready.interval.map_or(INTERVAL, |time| time.0),
        timeout: ready.timeout.map_or(TIMEOUT, |time| time.0),
        retries: ready.retries.map(|count| count.0),
        initial_delay: ready.initial_delay.map_or(Time::default(), |time| time.0),
    }
}

/// The URL that `monitoring` tells.
fn monitoring_url(
    app: &App,
    hostname: Option<&str>,
    place: &Place,
    checker: &mut Checker,
) -> Option<String> {
    let monitoring = app.monitoring.clone().unwrap_or_default();
    let url = monitoring.url.unwrap_or_default();
    if is_url(&url) {
        return Some(url.0);
    }
    let Some(port) = monitoring.port.filter(|port| !port.is_empty()) else {
        let problem = Diagnostic::error("missing-key", "`ready: monitoring` needs to know a port");
        let problem = place.key("ready").point(problem, "");
        checker.note(problem.help("write `monitoring: {port: ..., url: /...}` into the app"));
        return None;
    };
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        let message = format!("`ready: monitoring` needs a port, but `{}` is none", &*port);
        let place = place.key("monitoring").key("port");
        checker.wrong(&place, message, "", "write a number from 1 to 65535");
        return None;
    }
    let slash = if url.starts_with('/') { "" } else { "/" };
    Some(format!(
        "http://{}:{}{slash}{}",
        hostname.unwrap_or("127.0.0.1"),
        &*port,
        &*url
    ))
}

/// Whether there is a scheme, and a host behind it.
fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let host = authority.map(|authority| authority.rsplit('@').next().unwrap_or_default());
    host.is_some_and(|host| {
        !host.is_empty() && !host.starts_with(':') && !host.contains(char::is_whitespace)
    })
}

/// What is tried: exactly one thing.
fn kind(ready: &Ready, place: &Place, checker: &mut Checker) -> Option<ProbeKind> {
    type Make = fn(String) -> ProbeKind;
    let all: [(&str, &Option<Text>, Make); 4] = [
        ("http", &ready.http, ProbeKind::Http),
        ("tcp", &ready.tcp, ProbeKind::Tcp),
        ("exec", &ready.exec, ProbeKind::Exec),
        ("log", &ready.log, ProbeKind::Log),
    ];
    let given: Vec<_> = all
        .iter()
        .filter_map(|(key, text, make)| Some((*key, text.as_ref()?, make)))
        .collect();
    let (key, text, make) = match given.as_slice() {
        [one] => *one,
        [] if all.iter().any(|(key, _, _)| place.key(key).complete) => return None,
        [] => {
            let help = "write `http: URL`, `tcp: HOST:PORT`, `exec: COMMAND` or `log: REGEX`";
            checker.wrong(place, "`ready` does not say what to ask", "", help);
            return None;
        }
        [(first, ..), (second, ..), ..] => {
            let message = format!("`ready` has `{first}` and `{second}`: which of the two?");
            checker.wrong(
                &place.key(second),
                message,
                "",
                "an app has one readiness check",
            );
            return None;
        }
    };
    let place = place.key(key);
    match key {
        "http" if !is_url(text) => {
            checker.wrong(
                &place,
                format!("`{}` is not a URL", &**text),
                "",
                "write `http://HOST:PORT/PATH`",
            );
            None
        }
        "tcp" if !is_host_and_port(text) => {
            checker.wrong(
                &place,
                format!("`{}` is not HOST:PORT", &**text),
                "",
                "write `localhost:8080`, for example; an IPv6 address needs brackets: `[::1]:8080`",
            );
            None
        }
        "log" if regex::Regex::new(text).is_err() => {
            let message = format!("`{}` is not a regular expression", &**text);
            let help = "put `\\` before `( ) [ ] { } . * + ? | ^ $` to mean the character itself";
            checker.wrong(&place, message, "", help);
            None
        }
        _ if text.is_empty() || !checker.no_nul(text, &place) => {
            if text.is_empty() {
                checker.wrong(&place, format!("`{key}` is empty"), "", "");
            }
            None
        }
        _ => Some(make(text.0.clone())),
    }
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let in_brackets = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let is_host = match in_brackets {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && !host.contains([':', '/', '[', ']', ' ']),
        };
        is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

//! When an app counts as ready.

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
    let slash = if url.starts_with('/') { "" } else { "/" };
    Some(format!(
        "http://{}:{}{slash}{}",
        hostname.unwrap_or("127.0.0.1"),
        &*port,
        &*url
    ))
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
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
                "write `localhost:8080`, for example",
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
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

//! Forwards of type `proxy` that lead back to themselves: each connection would open the next, until nothing is left to
//! open.

use std::collections::HashMap;
use std::net::IpAddr;

use super::super::project::{Forward, ForwardKind, Hosts, RemotePort, Settings};
use super::super::tree::Place;
use super::Checker;
use crate::diagnostic::Diagnostic;

/// Something that is listened on: a host name of the project, or nothing for 127.0.0.1, and a port.
type Listener = (Option<String>, u16);

/// A proxy's way from what it listens on to where it leads.
struct Way {
    forward: usize,
    from: Listener,
    to: Listener,
}

/// Checks that no proxy, and no row of them, leads to itself.
pub(super) fn check(forwards: &[(Forward, Place)], settings: &Settings, checker: &mut Checker) {
    let ways: Vec<Way> = forwards
        .iter()
        .enumerate()
        .flat_map(|(at, (forward, _))| ways(at, forward, settings.hosts))
        .collect();
    let by_listener: HashMap<&Listener, &Way> = ways.iter().map(|way| (&way.from, way)).collect();
    // Each listener leads to one other at most: a row is followed until it ends or comes to a place for the second time.
    let mut seen: HashMap<&Listener, usize> = HashMap::new();
    for (round, start) in ways.iter().enumerate() {
        let mut row: Vec<&Way> = Vec::new();
        let mut next = Some(start);
        while let Some(way) = next {
            match seen.get(&way.from) {
                Some(&when) if when == round => {
                    let first = row.iter().position(|past| past.from == way.from);
                    circle(&row[first.unwrap_or(0)..], forwards, checker);
                    break;
                }
                Some(_) => break,
                None => {}
            }
            seen.insert(&way.from, round);
            row.push(way);
            next = by_listener.get(&way.to).copied();
        }
    }
}

/// The ways of a forward to what may be listened on by another one.
fn ways(at: usize, forward: &Forward, hosts: Hosts) -> Vec<Way> {
    let ForwardKind::Proxy { target } = &forward.kind else {
        return Vec::new();
    };
    let target = target.strip_suffix('.').unwrap_or(target);
    let is_here = target.eq_ignore_ascii_case("localhost")
        || target
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    // With private names the proxy itself does not see them: the name leads where it leads for the rest of the machine.
    if !is_here && hosts == Hosts::Private {
        return Vec::new();
    }
    let to = (!is_here).then(|| target.to_ascii_lowercase());
    let numbered = forward.ports.iter().filter_map(|pair| match pair.target {
        RemotePort::Number(port) => Some((pair.listen, port)),
        RemotePort::Name(_) => None,
    });
    let way = |(listen, port)| Way {
        forward: at,
        from: (forward.hostname.clone(), listen),
        to: (to.clone(), port),
    };
    numbered.map(way).collect()
}

fn circle(ways: &[&Way], forwards: &[(Forward, Place)], checker: &mut Checker) {
    let shown =
        |(host, port): &Listener| format!("{}:{port}", host.as_deref().unwrap_or("127.0.0.1"));
    let place = |way: &Way| forwards[way.forward].1.key("values").key("proxy_hostname");
    let name = |way: &Way| forwards[way.forward].0.name.as_str();
    let Some((last, before)) = ways.split_last() else {
        return;
    };
    let message = if before.is_empty() {
        format!(
            "the forward `{}` leads to itself: it listens on {}",
            name(last),
            shown(&last.from)
        )
    } else {
        let names: Vec<String> = ways.iter().map(|way| format!("`{}`", name(way))).collect();
        format!(
            "the forwards {} lead to each other in a circle, from {} back to it",
            names.join(", "),
            shown(&last.to)
        )
    };
    let problem = place(last).point(Diagnostic::error("proxy-loop", message), "");
    let problem = before.iter().fold(problem, |problem, way| {
        let leads = format!("`{}` leads to {}", name(way), shown(&way.to));
        problem.also(place(way).span(), leads)
    });
    checker.note(problem.help(
        "give the forward another `hostname`, or write the address of the target into `proxy_hostname`",
    ));
}

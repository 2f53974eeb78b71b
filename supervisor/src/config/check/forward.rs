//! One forward.

use std::collections::HashMap;

use monday_shared::protocol::fault::{FaultSpec, Written};

use super::super::model::forward::{Forward as Declared, ForwardType, Mode, Values};
use super::super::model::{Flag, List, Text};
use super::super::project::{Cluster, Forward, ForwardKind, Monitoring, Options, Ssh, Workload};
use super::super::tree::{Entry, Place};
use super::ports::{self, Target};
use super::{Checker, hostname};
use crate::diagnostic::Diagnostic;

/// The keys of `values` that a type uses.
fn used_by(kind: ForwardType) -> &'static [&'static str] {
    match kind {
        ForwardType::Proxy => &[
            "ports",
            "hostname",
            "disable_proxy",
            "proxy_hostname",
            "connect_wait",
            "half_close_linger",
            "faults",
        ],
        ForwardType::Kubernetes => &[
            "ports",
            "hostname",
            "disable_proxy",
            "context",
            "namespace",
            "labels",
            "pod",
            "service",
            "deployment",
            "statefulset",
            "connect_wait",
            "half_close_linger",
            "transport",
            "faults",
        ],
        ForwardType::KubernetesRemote => &[
            "ports",
            "context",
            "namespace",
            "labels",
            "deployment",
            "container",
            "image",
            "mode",
            "skip_init",
        ],
        ForwardType::Ssh => &[
            "ports",
            "hostname",
            "disable_proxy",
            "remote",
            "args",
            "forward_hostname",
            "connect_wait",
            "half_close_linger",
            "faults",
        ],
        ForwardType::SshRemote => &["ports", "remote", "args", "forward_hostname"],
    }
}

/// Checks a forward; nothing where it cannot be known what it is.
pub(super) fn check(forward: &Declared, place: &Place, checker: &mut Checker) -> Option<Forward> {
    let name = checker.name(forward.name.as_ref(), place, "forward");
    if forward.kind.is_none() {
        let types = ForwardType::WORDS.join(", ");
        checker.missing(
            place,
            "type",
            "a forward has no `type`",
            &format!("write `type: ...` with one of: {types}"),
        );
    }
    if forward.values.is_none() {
        checker.missing(
            place,
            "values",
            "a forward has no `values`",
            "write `values:` with `ports` and where they lead",
        );
    }
    let values = forward.values.as_ref()?;
    let place_of_values = place.key("values");
    // Of a type that nobody knows it may have the ports of any.
    let target = match forward.kind {
        None | Some(ForwardType::Kubernetes) => Target::NumberOrName,
        Some(_) => Target::Number,
    };
    let ports = ports::check(
        &values.ports,
        target,
        &place_of_values.key("ports"),
        checker,
    );
    if values.ports.is_empty() {
        no_ports(&place_of_values, checker);
    }
    let kind = forward.kind?;
    warn_of_unused(kind, &place_of_values, checker);
    let checked_kind = kind_of(kind, values, &place_of_values, checker);
    let listens_here = !matches!(kind, ForwardType::KubernetesRemote | ForwardType::SshRemote);
    let own_address = listens_here && !values.disable_proxy.is_some_and(|Flag(on)| on);
    let hostname = match &name {
        Some(name) if own_address => Some(own_hostname(name, values, place, checker)?),
        _ => None,
    };
    Some(Forward {
        name: name?,
        hostname,
        ports,
        kind: checked_kind?,
        options: Options {
            connect_wait: values.connect_wait.map(|time| time.0),
            half_close_linger: values.half_close_linger.map(|time| time.0),
            transport: values.transport,
            faults: faults(&values.faults, &place_of_values.key("faults"), checker),
        },
        monitoring: forward.monitoring.as_ref().map(Monitoring::from),
    })
}

/// The faults that make sense.
fn faults(written: &List<Written>, place: &Place, checker: &mut Checker) -> Vec<FaultSpec> {
    let places = place.items_of(written);
    let sound = written.iter().zip(places).filter_map(|(fault, place)| {
        let error = match fault.0.clone().checked() {
            Ok(fault) => return Some(fault),
            Err(error) => error,
        };
        // Where a member was found wrong before, what is left of the fault need not make sense.
        let broken = |entry: &Entry| entry.value.is_broken();
        if !place.node.entries().iter().any(broken) {
            let place = match error.member {
                Some(member) => place.key(member),
                None => place,
            };
            checker.wrong(&place, error.what, "", &error.instead);
        }
        None
    });
    sound.collect()
}

/// The host name that a forward listens on: its own name, unless another one is given.
fn own_hostname(
    name: &str,
    values: &Values,
    place: &Place,
    checker: &mut Checker,
) -> Option<String> {
    if let Some(given) = values.hostname.as_ref().filter(|given| !given.is_empty()) {
        return hostname::check(given, &place.key("values").key("hostname"), checker);
    }
    hostname::parse(name)
        .map_err(|reason| {
            let message = format!("the forward `{name}` needs a `hostname`, since its name cannot be one: {reason}");
            let help = "write `hostname: ...` into `values`, or `disable_proxy: true` to listen on 127.0.0.1";
            checker.wrong(&place.key("name"), message, "", help);
        })
        .ok()
}

fn no_ports(values: &Place, checker: &mut Checker) {
    let ports = values.key("ports");
    let help = "write `ports: [\"8080:80\"]`";
    if ports.complete
        && ports.node.items().is_empty()
        && matches!(ports.node.content, super::super::tree::Content::List(_))
    {
        checker.wrong(&ports, "a forward needs at least one port", "", help);
    } else {
        checker.missing(values, "ports", "a forward has no `ports`", help);
    }
}

fn warn_of_unused(kind: ForwardType, values: &Place, checker: &mut Checker) {
    let known = used_by(kind);
    for entry in values.node.entries() {
        let key = &*entry.key;
        let used_elsewhere = ForwardType::ALL
            .iter()
            .any(|&other| used_by(other).contains(&key));
        if used_elsewhere && !known.contains(&key) {
            let message = format!(
                "`{key}` means nothing for a forward of type `{}`",
                kind.word()
            );
            let types: Vec<&str> = ForwardType::ALL
                .iter()
                .filter(|&&other| used_by(other).contains(&key))
                .map(|other| other.word())
                .collect();
            let warning = Diagnostic::warning("unused-key", message)
                .at(entry.key_span, "ignored")
                .help(format!("remove it: it is a key of {}", types.join(", ")));
            checker.note(values.through(warning));
        }
    }
}

fn kind_of(
    kind: ForwardType,
    values: &Values,
    place: &Place,
    checker: &mut Checker,
) -> Option<ForwardKind> {
    match kind {
        ForwardType::Proxy => {
            let help = "write `proxy_hostname: HOST`: where the connections go";
            let target = required(
                values.proxy_hostname.as_ref(),
                "proxy_hostname",
                help,
                place,
                checker,
            )?;
            let host = target.trim().trim_start_matches('[').trim_end_matches(']');
            let is_address = host.parse::<std::net::IpAddr>().is_ok();
            if !is_address && host.contains(['/', ' ', '@', ':']) {
                let message = format!("`{target}` is not a host");
                checker.wrong(
                    &place.key("proxy_hostname"),
                    message,
                    "",
                    "write the host alone, without scheme and path; its port is the R of `ports`",
                );
                return None;
            }
            Some(ForwardKind::Proxy {
                target: host.to_owned(),
            })
        }
        ForwardType::Kubernetes => Some(ForwardKind::Kubernetes(cluster(
            kind, values, place, checker,
        )?)),
        ForwardType::KubernetesRemote => Some(ForwardKind::KubernetesRemote {
            cluster: cluster(kind, values, place, checker)?,
            container: text(values.container.as_ref()),
            image: text(values.image.as_ref()),
            by_service: values.mode == Some(Mode::Service),
            skip_init: values.skip_init.is_some_and(|Flag(on)| on),
        }),
        ForwardType::Ssh => Some(ForwardKind::Ssh(ssh(values, place, checker)?)),
        ForwardType::SshRemote => Some(ForwardKind::SshRemote(ssh(values, place, checker)?)),
    }
}

fn ssh(values: &Values, place: &Place, checker: &mut Checker) -> Option<Ssh> {
    let help = "write `remote: user@host`";
    let remote = required(values.remote.as_ref(), "remote", help, place, checker)?;
    if remote.starts_with('-') {
        let message = format!("`{remote}` is not a host, but an option");
        checker.wrong(&place.key("remote"), message, "", "options go into `args`");
        return None;
    }
    let plain = |list: &List<Text>| list.iter().map(|text| text.0.clone()).collect();
    Some(Ssh {
        remote,
        args: plain(&values.args),
        forward_hostname: text(values.forward_hostname.as_ref())
            .unwrap_or_else(|| "127.0.0.1".to_owned()),
    })
}

fn cluster(
    kind: ForwardType,
    values: &Values,
    place: &Place,
    checker: &mut Checker,
) -> Option<Cluster> {
    type Make = fn(String) -> Workload;
    let named: [(&str, &Option<Text>, Make); 4] = [
        ("pod", &values.pod, Workload::Pod),
        ("service", &values.service, Workload::Service),
        ("deployment", &values.deployment, Workload::Deployment),
        ("statefulset", &values.statefulset, Workload::StatefulSet),
    ];
    let known = used_by(kind);
    let mut given: Vec<(&str, Workload)> = Vec::new();
    if let Some(labels) = values.labels.as_ref().filter(|labels| !labels.is_empty()) {
        let labels = labels
            .iter()
            .map(|(key, value)| (key.clone(), value.0.clone()))
            .collect();
        given.push(("labels", Workload::Labels(labels)));
    }
    for (key, value, make) in named {
        given.extend(
            text(value.as_ref())
                .filter(|_| known.contains(&key))
                .map(|name| (key, make(name))),
        );
    }
    let choices: Vec<&str> = ["labels", "pod", "service", "deployment", "statefulset"]
        .into_iter()
        .filter(|key| known.contains(key))
        .collect();
    if given.len() > 1 {
        let (first, second) = (given[0].0, given[1].0);
        let message = format!("`{first}` and `{second}` both say what is meant: which of the two?");
        let problem = place
            .key(second)
            .point(Diagnostic::error("bad-value", message), "");
        checker.note(
            problem
                .also(place.key(first).span(), "")
                .help("remove one of them"),
        );
        return None;
    }
    let found_wrong = |key: &&str| {
        let node = place.key(key).node;
        let mut entries = node.entries().iter();
        node.is_broken() || (*key == "labels" && entries.any(|entry| entry.value.is_broken()))
    };
    if given.is_empty() && !choices.iter().any(found_wrong) {
        let message = format!(
            "a forward of type `{}` does not say what in the cluster is meant",
            kind.word()
        );
        let help = format!("write one of {} into `values`", choices.join(", "));
        checker.wrong(place, message, "", &help);
    }
    let (_, workload) = given.pop()?;
    Some(Cluster {
        context: text(values.context.as_ref()),
        namespace: text(values.namespace.as_ref()),
        workload,
    })
}

/// A text that is there and not empty.
fn text(text: Option<&Text>) -> Option<String> {
    text.map(|text| text.0.clone())
        .filter(|text| !text.is_empty())
}

fn required(
    value: Option<&Text>,
    key: &str,
    help: &str,
    place: &Place,
    checker: &mut Checker,
) -> Option<String> {
    let found = text(value);
    if found.is_none() {
        if value.is_some() {
            checker.wrong(&place.key(key), format!("`{key}` is empty"), "", help);
        } else {
            checker.missing(place, key, format!("`{key}` is missing"), help);
        }
    }
    found
}

/// What a forward listens on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Listener<'a> {
    /// A host name of its own.
    Name(&'a str),
    /// 127.0.0.1.
    Here,
    /// A machine that ssh reaches, with these arguments.
    Remote(&'a str, &'a [String]),
}

impl<'a> Listener<'a> {
    fn of(forward: &'a Forward) -> Option<Self> {
        match (&forward.kind, forward.hostname.as_deref()) {
            (ForwardKind::SshRemote(ssh), _) => Some(Self::Remote(&ssh.remote, &ssh.args)),
            // Several pods may be meant, and of each a container of its own.
            (ForwardKind::KubernetesRemote { .. }, _) => None,
            (_, Some(name)) => Some(Self::Name(name)),
            (_, None) => Some(Self::Here),
        }
    }

    const fn shown(self) -> &'a str {
        match self {
            Self::Name(name) | Self::Remote(name, _) => name,
            Self::Here => "127.0.0.1",
        }
    }
}

/// Checks that no two forwards listen on the same port of the same address.
pub(super) fn check_listeners(forwards: &[(Forward, Place)], checker: &mut Checker) {
    let mut taken: HashMap<(Listener, u16), (&str, &Place)> = HashMap::new();
    for (forward, place) in forwards {
        let Some(listener) = Listener::of(forward) else {
            continue;
        };
        for pair in &forward.ports {
            let first = taken.get(&(listener, pair.listen)).copied();
            match first {
                // Within one forward that was told before.
                Some((name, _)) if name == forward.name => {}
                Some((name, first)) => {
                    let on = listener.shown();
                    let message = format!(
                        "the forwards `{name}` and `{}` both listen on {on}:{}",
                        forward.name, pair.listen
                    );
                    let ports = |place: &Place| place.key("values").key("ports").span();
                    let problem = place
                        .key("values")
                        .key("ports")
                        .point(Diagnostic::error("duplicate-port", message), "");
                    let problem = problem.also(ports(first), format!("`{name}` does already"));
                    let help = match listener {
                        Listener::Remote(..) => {
                            "give one of them another port L, or another `remote`"
                        }
                        _ => "give one of them another port, or another `hostname`",
                    };
                    checker.note(problem.help(help));
                }
                None => {
                    taken.insert((listener, pair.listen), (&forward.name, place));
                }
            }
        }
    }
}

impl ForwardType {
    const ALL: [Self; 5] = [
        Self::Kubernetes,
        Self::KubernetesRemote,
        Self::Ssh,
        Self::SshRemote,
        Self::Proxy,
    ];
}

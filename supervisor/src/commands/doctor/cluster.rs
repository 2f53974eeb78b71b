//! The Kubernetes contexts of the configuration: whether they exist, and whether their clusters can be reached.

use std::collections::BTreeSet;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use super::Finding;
use super::kubeconfig::{Kubeconfig, Target, address, paths};
use crate::config::project::ForwardKind;
use crate::config::{Loaded, Project};

/// How long a cluster may take to accept a connection: half the world away, behind a VPN.
const PATIENCE: Duration = Duration::from_secs(3);

const CHECK: &str = "clusters";

/// Looks at every context that a forward uses.
pub(super) fn contexts(loaded: Option<&Loaded>) -> Vec<Finding> {
    let projects = loaded.map_or(&[][..], |loaded| &loaded.projects);
    let used: BTreeSet<Option<&str>> = projects.iter().flat_map(contexts_of).collect();
    let configured = projects
        .iter()
        .find_map(|project| project.settings.kubeconfig.as_deref());
    let files = paths(configured);
    if used.is_empty() {
        return vec![Finding::ok(
            CHECK,
            "no project has a forward of type kubernetes",
        )];
    }
    let mut findings = Vec::new();
    let mut all = Kubeconfig::default();
    for file in &files {
        // Of several files some may be missing, as with kubectl.
        let Ok(text) = std::fs::read_to_string(file) else {
            continue;
        };
        if let Err(error) = all.add(&text) {
            findings.push(Finding::problem(
                CHECK,
                format!("{} is no kubeconfig: {error}", file.display()),
            ));
        }
    }
    if all.names().is_empty() {
        let shown: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        findings.push(
            Finding::problem(CHECK, format!("there is no context in {}", shown.join(", ")))
                .advise("get a kubeconfig for your cluster, or name it: `kubeconfig: PATH` in the configuration, or MONDAY_KUBE_CONFIG"),
        );
        return findings;
    }
    // All at once: each may take its time.
    std::thread::scope(|scope| {
        let asked: Vec<_> = used
            .iter()
            .map(|name| scope.spawn(|| context(&all, *name)))
            .collect();
        for one in asked {
            findings.extend(one.join().unwrap_or_default());
        }
    });
    findings
}

fn contexts_of(project: &Project) -> impl Iterator<Item = Option<&str>> {
    project
        .forwards
        .iter()
        .filter_map(|forward| match &forward.kind {
            ForwardKind::Kubernetes(cluster) | ForwardKind::KubernetesRemote { cluster, .. } => {
                Some(cluster.context.as_deref())
            }
            _ => None,
        })
}

fn context(all: &Kubeconfig, name: Option<&str>) -> Vec<Finding> {
    let Some(name) = name.or(all.current.as_deref()) else {
        return vec![
            Finding::problem(CHECK, "a forward means the current context, and there is none")
                .advise("choose one: `kubectl config use-context NAME`, or write `context: NAME` into its `values`"),
        ];
    };
    let Some(target) = all.target(name) else {
        return vec![
            Finding::problem(CHECK, format!("the context `{name}` is in no kubeconfig")).advise(
                format!("the contexts there are: {}", all.names().join(", ")),
            ),
        ];
    };
    let mut findings = vec![reach(name, &target)];
    if let Some(plugin) = target.plugin.filter(|plugin| !is_there(plugin)) {
        findings.push(
            Finding::problem(CHECK, format!("the context `{name}` gets its credentials from `{plugin}`, which is not installed"))
                .advise(format!("install `{plugin}`, or add its folder to PATH")),
        );
    }
    findings
}

fn reach(name: &str, target: &Target) -> Finding {
    let (way, url) = match target.proxy {
        Some(proxy) => (format!("the proxy {proxy} of "), proxy),
        None => (String::new(), target.server),
    };
    let Some((host, port)) = address(url) else {
        return Finding::problem(
            CHECK,
            format!("the context `{name}` leads to `{url}`, which is no URL"),
        );
    };
    match connect(&host, port) {
        Ok(()) => Finding::ok(CHECK, format!("{way}`{name}` answers at {host}:{port}")),
        Err(error) => Finding::problem(
            CHECK,
            format!("{way}`{name}` cannot be reached at {host}:{port}: {error}"),
        )
        .advise("is the cluster up, and your VPN connected?")
        .advise(format!("compare `kubectl --context {name} version`")),
    }
}

/// Connects to one of the addresses of a host.
fn connect(host: &str, port: u16) -> std::io::Result<()> {
    let mut last = std::io::Error::other("the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Whether a program can be found, by path or by name.
fn is_there(program: &str) -> bool {
    if program.contains('/') {
        return std::path::Path::new(program).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::Verdict;
    use super::*;

    fn kubeconfig(port: u16) -> Kubeconfig {
        let mut all = Kubeconfig::default();
        all.add(&format!(
            "contexts: [{{name: dev, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{port}'}}}}]\n\
             users: [{{name: u, user: {{exec: {{command: no-such-plugin}}}}}}]\n"
        ))
        .unwrap();
        all
    }

    #[test]
    fn a_cluster_answers_or_does_not_and_a_missing_plugin_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let all = kubeconfig(listener.local_addr().unwrap().port());
        let found = context(&all, Some("dev"));
        assert_eq!(found[0].verdict, Verdict::Ok, "{found:?}");
        assert!(found[1].message.contains("no-such-plugin"), "{found:?}");
        drop(listener);
        assert_eq!(context(&all, Some("dev"))[0].verdict, Verdict::Problem);
    }

    #[test]
    fn a_context_that_is_not_there_comes_with_those_that_are() {
        let found = context(&kubeconfig(1), Some("prod"));
        assert_eq!(found[0].advice, ["the contexts there are: dev"]);
        assert_eq!(context(&kubeconfig(1), None)[0].verdict, Verdict::Problem);
    }
}

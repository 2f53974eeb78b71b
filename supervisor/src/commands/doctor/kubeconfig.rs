//! What a kubeconfig says about where clusters are: as much of it as is needed to see whether they can be reached.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// One or several files, merged: of what has the same name the first counts (kubectl's rule).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kubeconfig {
    pub(super) current: Option<String>,
    contexts: BTreeMap<String, Context>,
    clusters: BTreeMap<String, Cluster>,
    users: BTreeMap<String, User>,
}

/// Where a context leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// The URL of the API server.
    pub(super) server: &'a str,
    /// A proxy on the way to it.
    pub(super) proxy: Option<&'a str>,
    /// The program that gives the credentials.
    pub(super) plugin: Option<&'a str>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct File {
    current_context: Option<String>,
    contexts: Vec<NamedContext>,
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
}

#[derive(Clone, Debug, Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Context {
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Clone, Debug, Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Cluster {
    server: String,
    #[serde(rename = "proxy-url")]
    proxy: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: User,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct User {
    exec: Option<Exec>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Exec {
    command: String,
}

/// The files that count: the one that is configured, else those of `KUBECONFIG`, else the usual one.
pub(super) fn paths(configured: Option<&Path>) -> Vec<PathBuf> {
    if let Some(path) = configured {
        return vec![path.to_owned()];
    }
    if let Some(list) = std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()) {
        return std::env::split_paths(&list)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    home.map(|home| home.join(".kube/config"))
        .into_iter()
        .collect()
}

impl Kubeconfig {
    /// Adds a file behind those that were added before.
    ///
    /// # Errors
    /// It is no kubeconfig.
    pub(super) fn add(&mut self, text: &str) -> Result<(), serde_yaml::Error> {
        let file: Option<File> = serde_yaml::from_str(text)?;
        let file = file.unwrap_or_default();
        let current = file.current_context.filter(|name| !name.is_empty());
        self.current = self.current.take().or(current);
        for it in file.contexts {
            self.contexts.entry(it.name).or_insert(it.context);
        }
        for it in file.clusters {
            self.clusters.entry(it.name).or_insert(it.cluster);
        }
        for it in file.users {
            self.users.entry(it.name).or_insert(it.user);
        }
        Ok(())
    }

    /// The names of its contexts.
    pub(super) fn names(&self) -> Vec<&str> {
        self.contexts.keys().map(String::as_str).collect()
    }

    /// Where a context leads; nothing: there is no such context, or no such cluster.
    pub(super) fn target(&self, context: &str) -> Option<Target<'_>> {
        let context = self.contexts.get(context)?;
        let cluster = self.clusters.get(&context.cluster)?;
        let exec = self
            .users
            .get(&context.user)
            .and_then(|user| user.exec.as_ref());
        Some(Target {
            server: &cluster.server,
            proxy: cluster.proxy.as_deref(),
            plugin: exec.map(|exec| exec.command.as_str()),
        })
    }
}

/// The host and port of a URL.
pub(super) fn address(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        "socks5" => 1080,
        _ => return None,
    };
    let (host, port) = match authority.rsplit_once(':') {
        // A colon within brackets is a part of an IPv6 address.
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, usual),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_files_the_first_counts() {
        let mut all = Kubeconfig::default();
        let file = |server: &str| {
            format!(
                "current-context: dev\ncontexts: [{{name: dev, context: {{cluster: c, user: u}}}}]\n\
                 clusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n\
                 users: [{{name: u, user: {{exec: {{command: aws}}}}}}]\n"
            )
        };
        all.add("").unwrap();
        all.add(&file("https://one:6443")).unwrap();
        all.add(&file("https://two")).unwrap();
        assert_eq!(all.current.as_deref(), Some("dev"));
        let target = all.target("dev").unwrap();
        assert_eq!(
            (target.server, target.plugin),
            ("https://one:6443", Some("aws"))
        );
        assert_eq!(all.target("prod"), None);
        assert!(all.add("[").is_err());
    }

    #[test]
    fn a_url_has_a_host_and_a_port() {
        for (url, host, port) in [
            ("https://k8s.example.com", "k8s.example.com", 443),
            ("https://10.0.0.1:6443/api", "10.0.0.1", 6443),
            ("https://[::1]:6443", "::1", 6443),
            ("https://[::1]/", "::1", 443),
            ("http://me:secret@proxy:3128", "proxy", 3128),
        ] {
            assert_eq!(address(url), Some((host.to_owned(), port)), "{url}");
        }
        for wrong in ["", "k8s.example.com", "https://", "https://a:b"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }
}

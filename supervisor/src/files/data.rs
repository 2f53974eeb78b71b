//! What a template sees: the merged project, under the names that templates of the Go tool use.
//!
//! Go's methods are fields here (`.GetPath`), which a template cannot tell apart.

use std::net::IpAddr;

use indexmap::IndexMap;
use serde::Serialize;

use crate::config::project::{
    App, FileSpec, Forward, ForwardKind, Monitoring, Project, Section, Workload,
};

/// The project as a template sees it: the dot.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Data {
    name: String,
    applications: Vec<Application>,
    forwards: Vec<ForwardData>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Application {
    name: String,
    path: String,
    get_path: String,
    hostname: String,
    #[serde(rename = "IP")]
    ip: String,
    watch: bool,
    setup: Option<SectionData>,
    build: Option<SectionData>,
    run: Option<SectionData>,
    files: Vec<File>,
    monitoring: Option<MonitoringData>,
}

/// `setup`, `build` or `run`; what one of them does not have is empty.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SectionData {
    command: String,
    commands: Vec<String>,
    path: String,
    env: IndexMap<String, String>,
    env_file: String,
    stop_commands: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct File {
    r#type: &'static str,
    from: String,
    to: String,
    content: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct MonitoringData {
    port: String,
    #[serde(rename = "URL")]
    url: String,
    /// The same under the name that the files use.
    #[serde(rename = "Url")]
    url_as_written: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ForwardData {
    name: String,
    r#type: &'static str,
    #[serde(rename = "IP")]
    ip: String,
    is_proxified: bool,
    values: Values,
    monitoring: Option<MonitoringData>,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Values {
    context: String,
    namespace: String,
    labels: IndexMap<String, String>,
    forward_hostname: String,
    hostname: String,
    proxy_hostname: String,
    disable_proxy: bool,
    ports: Vec<String>,
    remote: String,
    args: Vec<String>,
}

impl Data {
    /// The data of a project; `address_of` knows the addresses of its host names.
    #[must_use]
    pub fn of(project: &Project, address_of: impl Fn(&str) -> Option<IpAddr>) -> Self {
        let ip = |hostname: &Option<String>| {
            let ip = hostname.as_deref().and_then(&address_of);
            ip.map(|ip| ip.to_string()).unwrap_or_default()
        };
        let apps = project.apps.iter();
        let forwards = project.forwards.iter();
        Self {
            name: project.name.clone(),
            applications: apps
                .map(|app| application(app, ip(&app.hostname)))
                .collect(),
            forwards: forwards
                .map(|forward| self::forward(forward, ip(&forward.hostname)))
                .collect(),
        }
    }
}

fn application(app: &App, ip: String) -> Application {
    let path = text(app.path.as_ref());
    Application {
        name: app.name.clone(),
        get_path: path.clone(),
        path,
        hostname: app.hostname.clone().unwrap_or_default(),
        ip,
        watch: app.watch.is_some(),
        setup: app.setup.as_ref().map(|it| section(it, &[])),
        build: app.build.as_ref().map(|it| section(it, &[])),
        run: app.run.as_ref().map(|it| section(it, &app.stop.commands)),
        files: app.files.iter().map(file).collect(),
        monitoring: app.monitoring.as_ref().map(monitoring),
    }
}

fn section(section: &Section, stop_commands: &[String]) -> SectionData {
    SectionData {
        command: section.commands.join("; "),
        commands: section.commands.clone(),
        path: text(section.path.as_ref()),
        env: section.env.iter().cloned().collect(),
        env_file: text(section.env_files.last()),
        stop_commands: stop_commands.to_vec(),
    }
}

fn file(file: &FileSpec) -> File {
    match file {
        FileSpec::Content { to, content } => File {
            r#type: "content",
            from: String::new(),
            to: text(Some(to)),
            content: content.clone(),
        },
        FileSpec::Copy { from, to } => File {
            r#type: "copy",
            from: text(Some(from)),
            to: text(Some(to)),
            content: String::new(),
        },
    }
}

fn monitoring(monitoring: &Monitoring) -> MonitoringData {
    MonitoringData {
        port: monitoring.port.clone(),
        url: monitoring.url.clone(),
        url_as_written: monitoring.url.clone(),
    }
}

fn forward(forward: &Forward, ip: String) -> ForwardData {
    let mut values = Values {
        hostname: forward.hostname.clone().unwrap_or_default(),
        disable_proxy: forward.hostname.is_none() && forward.kind.listens_here(),
        ports: forward
            .ports
            .iter()
            .map(|pair| format!("{}:{}", pair.listen, pair.target))
            .collect(),
        ..Values::default()
    };
    match &forward.kind {
        ForwardKind::Proxy { target } => values.proxy_hostname.clone_from(target),
        ForwardKind::Kubernetes(cluster) | ForwardKind::KubernetesRemote { cluster, .. } => {
            values.context = cluster.context.clone().unwrap_or_default();
            values.namespace = cluster.namespace.clone().unwrap_or_default();
            if let Workload::Labels(labels) = &cluster.workload {
                values.labels = labels.clone().into_iter().collect();
            }
        }
        ForwardKind::Ssh(ssh) | ForwardKind::SshRemote(ssh) => {
            values.remote.clone_from(&ssh.remote);
            values.args.clone_from(&ssh.args);
            values.forward_hostname.clone_from(&ssh.forward_hostname);
        }
    }
    ForwardData {
        name: forward.name.clone(),
        r#type: forward.kind.name(),
        ip,
        is_proxified: forward.hostname.is_some(),
        values,
        monitoring: forward.monitoring.as_ref().map(monitoring),
    }
}

fn text(path: Option<&std::path::PathBuf>) -> String {
    path.map(|path| path.display().to_string())
        .unwrap_or_default()
}

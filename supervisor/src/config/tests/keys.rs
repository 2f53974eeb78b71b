//! Every key of the files, in every form in which it may be written.

use std::path::{Path, PathBuf};

use super::super::model::app::RestartPolicy;
use super::super::model::depends::Condition;
use super::super::model::forward::Transport;
use super::super::project::{FileSpec, ForwardKind, Hosts, ProbeKind, RemotePort, Workload};
use super::*;

fn seconds(seconds: u64) -> monday_shared::duration::Span {
    monday_shared::duration::Span::from_secs(seconds)
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn settings_of_the_top_level_reach_every_project() {
    let loaded = sound(
        "gopath: ~/go\nkubeconfig: $HOME/kube\nhosts: private\nallow_remote: [dev, test]\n\
         watch: {exclude: [dist]}\n\
         setup: {env: {S: 1}}\nbuild: {env: [B=1]}\nrun: {env: R=1}\n\
         local: [{name: common}]\n\
         forward: [{name: db, type: proxy, values: {ports: [1], proxy_hostname: h}}]\n\
         projects:\n\
         - name: p\n\
         \x20 local:\n\
         \x20 - {name: own, path: /x, watch: true, setup: [s], build: [b], run: {command: r, env: {R: 2, Q: 3}}}\n",
    );
    let project = &loaded.projects[0];
    assert_eq!(project.settings.gopath.as_deref(), Some("/home/me/go"));
    assert_eq!(
        project.settings.kubeconfig.as_deref(),
        Some(Path::new("/home/me/kube"))
    );
    assert_eq!(project.settings.hosts, Hosts::Private);
    assert_eq!(
        project.settings.allow_remote,
        Some(strings(&["dev", "test"]))
    );
    let names: Vec<&str> = project.apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["common", "own"]);
    assert_eq!(project.forwards[0].name, "db");
    let own = &project.apps[1];
    let watch = own.watch.as_ref().unwrap();
    assert_eq!(
        watch.exclude,
        [".git", "node_modules", "vendor", "target", "dist"]
    );
    let env =
        |section: &Option<super::super::project::Section>| section.as_ref().unwrap().env.clone();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(env(&own.setup), [pair("S", "1")]);
    assert_eq!(env(&own.build), [pair("B", "1")]);
    assert_eq!(env(&own.run), [pair("R", "2"), pair("Q", "3")]);
}

#[test]
fn an_app_has_all_of_its_keys() {
    let app = app("name: my api
path: ~/src
hostname: API.svc.local
watch: {paths: [a, /b], exclude: [c], debounce: 250ms, gitignore: no}
watch_signal: SIGHUP
setup: {commands: [one, two], env: {A: 1}, env_file: .setup}
build: {type: command, path: sub, commands: make, env: {B: 1}, env_file: [.b1, .b2]}
run: {command: go run ., path: cmd, env: {C: 1}, env_file: /abs/.env, stop_commands: [bye]}
files:
- {type: content, to: out, content: x}
- {type: copy, from: ~/in, to: out2}
monitoring: {port: 9100, url: /metrics}
ready: {http: 'http://x/', interval: 2s, timeout: 3s, retries: 4, initial_delay: 5s}
restart: {policy: always, backoff: 1s, max_restarts: 3}
stop: {signal: INT, timeout: 20s}
pty: true
disabled: false
log_file: app.log
keep_children: yes");
    assert_eq!(app.name, "my api");
    assert_eq!(app.path.as_deref(), Some(Path::new("/home/me/src")));
    assert_eq!(app.hostname.as_deref(), Some("api.svc.local"));
    let watch = app.watch.unwrap();
    assert_eq!(watch.paths, [PathBuf::from("/home/me/src/a"), "/b".into()]);
    assert_eq!(watch.exclude.last().unwrap(), "c");
    assert_eq!(
        watch.debounce.unwrap(),
        monday_shared::duration::Span::from_millis(250)
    );
    assert!(!watch.gitignore);
    assert_eq!(watch.signal.as_deref(), Some("HUP"));
    let setup = app.setup.unwrap();
    assert_eq!(setup.commands, ["one", "two"]);
    assert_eq!(setup.env_files, [PathBuf::from("/here/.setup")]);
    let build = app.build.unwrap();
    assert_eq!(build.commands, ["make"]);
    assert_eq!(build.path.as_deref(), Some(Path::new("/here/sub")));
    assert_eq!(build.env_files.len(), 2);
    let run = app.run.unwrap();
    assert_eq!(run.commands, ["go run ."]);
    assert_eq!(run.path.as_deref(), Some(Path::new("/here/cmd")));
    assert_eq!(app.stop.commands, ["bye"]);
    assert_eq!(app.stop.signal, "INT");
    assert_eq!(app.stop.timeout, seconds(20));
    assert_eq!(
        app.files,
        [
            FileSpec::Content {
                to: "/here/out".into(),
                content: "x".to_owned()
            },
            FileSpec::Copy {
                from: "/home/me/in".into(),
                to: "/here/out2".into()
            }
        ]
    );
    let monitoring = app.monitoring.unwrap();
    assert_eq!(
        (monitoring.port.as_str(), monitoring.url.as_str()),
        ("9100", "/metrics")
    );
    let ready = app.ready.unwrap();
    assert_eq!(ready.kind, ProbeKind::Http("http://x/".to_owned()));
    assert_eq!(
        (ready.interval, ready.timeout, ready.initial_delay),
        (seconds(2), seconds(3), seconds(5))
    );
    assert_eq!(ready.retries, Some(4));
    assert_eq!(app.restart.policy, RestartPolicy::Always);
    assert_eq!(
        (app.restart.backoff, app.restart.max_restarts),
        (Some(seconds(1)), Some(3))
    );
    assert!(app.pty && app.keep_children && !app.disabled);
    assert_eq!(app.log_file.as_deref(), Some(Path::new("/here/app.log")));
}

#[test]
fn an_app_that_says_nothing_has_the_defaults() {
    let app = app("name: a");
    assert_eq!(
        (app.stop.signal.as_str(), app.stop.timeout),
        ("TERM", seconds(10))
    );
    assert_eq!(app.restart.policy, RestartPolicy::No);
    assert_eq!(app.ready, None);
    assert_eq!(app.watch, None);
    assert_eq!(app.path, None);
}

#[test]
fn commands_may_be_a_text_or_a_list_with_or_without_the_section() {
    for setup in [
        "setup: x",
        "setup: [x]",
        "setup: {commands: x}",
        "setup: {commands: [x]}",
        "setup: {command: x}",
        "setup:\n- x",
    ] {
        assert_eq!(
            app(&format!("name: a\npath: /x\n{setup}"))
                .setup
                .unwrap()
                .commands,
            ["x"],
            "{setup}"
        );
    }
    for run in [
        "run: x",
        "run: [x]",
        "run: {command: x}",
        "run: {commands: [x]}",
        "run: {command: [x]}",
    ] {
        assert_eq!(
            app(&format!("name: a\n{run}")).run.unwrap().commands,
            ["x"],
            "{run}"
        );
    }
    let both = app("name: a\nrun: {command: x, commands: [y, '']}")
        .run
        .unwrap();
    assert_eq!(both.commands, ["x", "y"]);
}

#[test]
fn variables_may_be_a_map_a_list_of_maps_a_list_of_pairs_or_one_pair() {
    let expected =
        [("A", "1 x"), ("B", "b=c")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    for env in [
        "{A: 1 x, B: b=c}",
        "[A=1 x, B=b=c]",
        "[{A: 1 x}, {B: b=c}]",
        "[{A: 1 x, B: b=c}]",
        "[A=1 x, {B: b=c}]",
    ] {
        let run = app(&format!("name: a\nrun: {{command: x, env: {env}}}"))
            .run
            .unwrap();
        assert_eq!(run.env, expected, "{env}");
    }
    let run = app("name: a\nrun: {command: x, env: 'A=1 x'}").run.unwrap();
    assert_eq!(run.env, expected[..1]);
    for nothing in ["", "~", "{}", "[]"] {
        assert_eq!(
            app(&format!("name: a\nrun:\n  command: x\n  env: {nothing}"))
                .run
                .unwrap()
                .env,
            []
        );
    }
}

#[test]
fn dependencies_may_be_names_or_conditions() {
    let depends = |text: &str| {
        let text = format!(
            "projects: [{{name: p, local: [{{name: a, depends_on: {text}}}, {{name: b}}], forward: [{{name: f, type: proxy, values: {{ports: [1], proxy_hostname: h}}}}]}}]"
        );
        let depends_on = sound(&text).projects[0].apps[0].depends_on.clone();
        depends_on
            .into_iter()
            .map(|d| (d.name, d.condition))
            .collect::<Vec<_>>()
    };
    let pair = |name: &str, condition| (name.to_owned(), condition);
    assert_eq!(depends("b"), [pair("b", Condition::Ready)]);
    assert_eq!(
        depends("[f, b]"),
        [pair("f", Condition::Ready), pair("b", Condition::Ready)]
    );
    assert_eq!(
        depends("{b: {condition: completed}, f: started}"),
        [
            pair("b", Condition::Completed),
            pair("f", Condition::Started)
        ]
    );
    assert_eq!(
        depends("{b: , f: {}}"),
        [pair("b", Condition::Ready), pair("f", Condition::Ready)]
    );
    assert_eq!(depends(""), []);
}

#[test]
fn readiness_may_come_from_monitoring_or_be_one_of_four_probes() {
    let kind = |text: &str| app(text).ready.unwrap().kind;
    assert_eq!(
        kind("name: a\nready: monitoring\nmonitoring: {port: 80, url: health}"),
        ProbeKind::Http("http://127.0.0.1:80/health".to_owned())
    );
    assert_eq!(
        kind("name: a\nhostname: a.local\nready: monitoring\nmonitoring: {port: 80}"),
        ProbeKind::Http("http://a.local:80/".to_owned())
    );
    assert_eq!(
        kind("name: a\nready: {tcp: 'localhost:80'}"),
        ProbeKind::Tcp("localhost:80".to_owned())
    );
    assert_eq!(
        kind("name: a\nready: {exec: test -f x}"),
        ProbeKind::Exec("test -f x".to_owned())
    );
    assert_eq!(
        kind("name: a\nready: {log: 'ready \\d+'}"),
        ProbeKind::Log("ready \\d+".to_owned())
    );
}

#[test]
fn a_restart_policy_is_a_word_or_a_map() {
    for (text, policy) in [
        ("no", RestartPolicy::No),
        ("on-failure", RestartPolicy::OnFailure),
        ("on_failure", RestartPolicy::OnFailure),
        ("always", RestartPolicy::Always),
        ("{max_restarts: 3}", RestartPolicy::OnFailure),
    ] {
        assert_eq!(
            app(&format!("name: a\nrestart: {text}")).restart.policy,
            policy,
            "{text}"
        );
    }
}

#[test]
fn a_proxy_forward_listens_on_its_name_on_a_given_name_or_on_localhost() {
    let plain = forward(
        "name: DB.local\ntype: proxy\nvalues: {ports: [5432], proxy_hostname: db.internal}",
    );
    assert_eq!(plain.hostname.as_deref(), Some("db.local"));
    assert_eq!(
        plain.kind,
        ForwardKind::Proxy {
            target: "db.internal".to_owned()
        }
    );
    let named = forward(
        "name: my db\ntype: proxy\nvalues: {hostname: db.x, ports: ['1:2'], proxy_hostname: h}",
    );
    assert_eq!(named.hostname.as_deref(), Some("db.x"));
    let disabled = forward(
        "name: my db\ntype: proxy\nvalues: {disable_proxy: yes, hostname: db.x, ports: ['1:2'], proxy_hostname: '[::1]'}",
    );
    assert_eq!(disabled.hostname, None);
    assert_eq!(
        disabled.kind,
        ForwardKind::Proxy {
            target: "::1".to_owned()
        }
    );
}

#[test]
fn a_kubernetes_forward_has_all_of_its_keys() {
    let forward = forward(
        "name: api
type: kubernetes
monitoring: {port: 9100, url: /metrics}
values:
  context: prod
  namespace: shop
  labels: {app: api, version: 1.50}
  hostname: api.local
  ports: [8080:http, 9100]
  connect_wait: 5s
  half_close_linger: 2s
  transport: websocket
  faults: {latency: 10ms}",
    );
    let ForwardKind::Kubernetes(cluster) = &forward.kind else {
        panic!("{forward:?}")
    };
    assert_eq!(cluster.context.as_deref(), Some("prod"));
    assert_eq!(cluster.namespace.as_deref(), Some("shop"));
    let labels = [
        ("app".to_owned(), "api".to_owned()),
        ("version".to_owned(), "1.50".to_owned()),
    ];
    assert_eq!(cluster.workload, Workload::Labels(labels.into()));
    assert_eq!(forward.ports[0].target, RemotePort::Name("http".to_owned()));
    assert_eq!(forward.options.connect_wait, Some(seconds(5)));
    assert_eq!(forward.options.half_close_linger, Some(seconds(2)));
    assert_eq!(forward.options.transport, Some(Transport::WebSocket));
    assert_eq!(forward.options.faults, ["latency=10ms".parse().unwrap()]);
    assert_eq!(forward.monitoring.unwrap().url, "/metrics");
}

#[test]
fn a_workload_may_be_named_instead_of_labelled() {
    let workload = |key: &str| match forward(&format!(
        "name: a\ntype: kubernetes\nvalues: {{ports: [1], {key}: x, context: '', namespace: }}"
    ))
    .kind
    {
        ForwardKind::Kubernetes(cluster) => {
            assert_eq!((cluster.context, cluster.namespace), (None, None));
            cluster.workload
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(workload("pod"), Workload::Pod("x".to_owned()));
    assert_eq!(workload("service"), Workload::Service("x".to_owned()));
    assert_eq!(workload("deployment"), Workload::Deployment("x".to_owned()));
    assert_eq!(
        workload("statefulset"),
        Workload::StatefulSet("x".to_owned())
    );
}

#[test]
fn the_remote_types_listen_there_and_not_here() {
    let remote = forward(
        "name: my api\ntype: kubernetes-remote\nvalues: {labels: {app: x}, ports: ['80:8080'], container: c, image: i, mode: service, skip_init: true}",
    );
    assert_eq!(remote.hostname, None);
    assert!(!remote.kind.listens_here());
    assert_eq!(
        (remote.ports[0].listen, &remote.ports[0].target),
        (80, &RemotePort::Number(8080))
    );
    let ForwardKind::KubernetesRemote {
        container,
        image,
        by_service,
        skip_init,
        ..
    } = remote.kind
    else {
        panic!()
    };
    assert_eq!(
        (
            container.as_deref(),
            image.as_deref(),
            by_service,
            skip_init
        ),
        (Some("c"), Some("i"), true, true)
    );
    let remote = forward(
        "name: my api\ntype: ssh-remote\nvalues: {remote: me@host, ports: ['80:8080'], forward_hostname: near}",
    );
    assert_eq!(remote.hostname, None);
    let ForwardKind::SshRemote(ssh) = remote.kind else {
        panic!()
    };
    assert_eq!(ssh.forward_hostname, "near");
}

#[test]
fn an_ssh_forward_has_all_of_its_keys() {
    let forward = forward(
        "name: bastion\ntype: ssh\nvalues: {remote: me@host, args: ['-p 22', -v], ports: ['22:22']}",
    );
    assert_eq!(forward.hostname.as_deref(), Some("bastion"));
    let ForwardKind::Ssh(ssh) = forward.kind else {
        panic!()
    };
    assert_eq!(ssh.remote, "me@host");
    assert_eq!(ssh.args, ["-p 22", "-v"]);
    assert_eq!(ssh.forward_hostname, "127.0.0.1");
    assert_eq!(
        (forward.ports[0].listen, &forward.ports[0].target),
        (22, &RemotePort::Number(22))
    );
}

#[test]
fn a_single_value_serves_where_a_list_is_expected() {
    let loaded = sound(
        "projects: {name: p, local: {name: a, run: x}, forward: {name: f, type: proxy, values: {ports: 80, proxy_hostname: h}}}\n",
    );
    assert_eq!(loaded.projects[0].apps.len(), 1);
    assert_eq!(loaded.projects[0].forwards[0].ports.len(), 1);
}

#[test]
fn the_kubeconfig_variable_of_the_go_program_wins() {
    let machine = Fake::new()
        .file(
            "/here/monday.yaml",
            "kubeconfig: /a\nprojects: [{name: p, local: [{name: a}]}]",
        )
        .set("MONDAY_KUBE_CONFIG", "/b");
    let loaded = load_in(&Search::new(), &machine).unwrap();
    assert_eq!(
        loaded.projects[0].settings.kubeconfig.as_deref(),
        Some(Path::new("/b"))
    );
}

#[test]
fn gopath_of_the_files_serves_their_paths() {
    let machine = Fake::new()
        .file("/here/monday.yaml", "gopath: /go\nprojects: [{name: p, local: [{name: a, path: $GOPATH/src/x}, {name: b, path: me/y}]}]")
        .file("/go/src/me/y/main.go", "");
    let loaded = load_in(&Search::new(), &machine).unwrap();
    let paths: Vec<_> = loaded.projects[0]
        .apps
        .iter()
        .map(|app| app.path.clone().unwrap())
        .collect();
    assert_eq!(paths, [PathBuf::from("/go/src/x"), "/go/src/me/y".into()]);
}

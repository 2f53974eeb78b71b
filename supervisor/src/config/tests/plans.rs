//! From files to plans.

use super::*;
use crate::plan::{self, Listen, Plan, Target};

fn plan_of(loaded: &Loaded) -> Plan {
    plan::plan(&loaded.projects[0])
}

/// The project as a file again, and its plan.
fn again(loaded: &Loaded) -> Plan {
    let config = loaded.effective(&loaded.projects[0].name).unwrap();
    let text = super::super::write::to_yaml(config).unwrap();
    let machine = Fake::new().file("/here/monday.yaml", &text);
    let result = load_in(&Search::new(), &machine);
    assert_eq!(problems(&result), Vec::<String>::new(), "{text}");
    plan_of(&result.unwrap())
}

#[test]
fn a_proxy_forward_is_a_route_per_port_on_one_name() {
    let loaded = sound(
        "projects:\n- name: p\n  forward:\n\
         \x20 - {name: db, type: proxy, values: {hostname: db.local, ports: [5432, '80:8080'], proxy_hostname: '::1', connect_wait: 3s}}\n\
         \x20 - {name: admin, type: proxy, values: {hostname: DB.local, ports: [9000], proxy_hostname: admin.internal}}\n\
         \x20 - {name: near, type: proxy, values: {disable_proxy: true, ports: [7000], proxy_hostname: x}}\n",
    );
    let plan = plan_of(&loaded);
    assert_eq!(plan.hostnames.len(), 1);
    assert_eq!(plan.hostnames[0].name, "db.local");
    assert_eq!(plan.hostnames[0].ports, [5432, 80, 9000]);
    assert_eq!(plan.hostnames[0].used_by, ["db", "admin"]);
    let routes: Vec<_> = plan
        .routes
        .iter()
        .map(|route| {
            let Listen { hostname, port } = &route.listen;
            let Target::Address(target) = &route.target else {
                panic!("a tunnel where none was expected");
            };
            (
                route.id.as_str(),
                hostname.as_deref(),
                *port,
                target.as_str(),
            )
        })
        .collect();
    assert_eq!(
        routes,
        [
            ("db:5432", Some("db.local"), 5432, "[::1]:5432"),
            ("db:80", Some("db.local"), 80, "[::1]:8080"),
            ("admin:9000", Some("db.local"), 9000, "admin.internal:9000"),
            ("near:7000", None, 7000, "x:7000"),
        ]
    );
    assert_eq!(plan.routes_of("db").count(), 2);
    assert!(plan.routes[0].connect_wait.is_some());
    assert_eq!(plan, again(&loaded));
}

#[test]
fn an_app_is_its_steps_in_their_folders_with_their_variables() {
    let loaded = sound(
        "gopath: /go\nrun: {env: {G: global, A: global}}\nprojects:\n- name: p\n  local:\n\
         \x20 - name: a\n\
         \x20   path: /src\n\
         \x20   hostname: a.local\n\
         \x20   setup: git clone x\n\
         \x20   build: {path: /src/sub, commands: [one, two]}\n\
         \x20   run: {command: 'exec x $HOME', env: {A: app}, env_file: /e, stop_commands: [bye]}\n\
         \x20 - {name: off, disabled: true, hostname: off.local}\n",
    );
    let plan = plan_of(&loaded);
    assert_eq!(plan.apps.len(), 1);
    assert_eq!(plan.hostnames.len(), 1);
    assert!(plan.hostnames[0].ports.is_empty());
    let app = &plan.apps[0];
    let setup = app.setup.as_ref().unwrap();
    assert_eq!((setup.argv[2].as_str(), &setup.dir), ("git clone x", &None));
    let build = app.build.as_ref().unwrap();
    assert_eq!(build.dir.as_deref(), Some("/src/sub".as_ref()));
    assert_eq!(build.shown, "one\ntwo");
    let run = app.run.as_ref().unwrap();
    assert_eq!(run.argv, ["/bin/sh", "-c", "exec x $HOME"]);
    assert_eq!(run.dir.as_deref(), Some("/src".as_ref()));
    let stop = app.stop_commands.as_ref().unwrap();
    assert_eq!(
        (stop.argv[2].as_str(), &stop.dir, &stop.env),
        ("bye", &run.dir, &run.env)
    );
    let env = run
        .environment(&plan.env, [Ok("A=file\nF='x y'\n".to_owned())])
        .unwrap();
    let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        env,
        [
            ("GOPATH", "/go"),
            ("G", "global"),
            ("A", "file"),
            ("F", "x y")
        ]
    );
    assert_eq!(plan, again(&loaded));
}

#[test]
fn an_env_file_that_is_missing_or_broken_is_named() {
    let loaded =
        sound("projects: [{name: p, local: [{name: a, run: {command: x, env_file: /no/such}}]}]\n");
    let step = plan_of(&loaded).apps[0].run.clone().unwrap();
    let missing = step
        .environment(&[], [Err(std::io::ErrorKind::NotFound.into())])
        .unwrap_err();
    assert!(missing.to_string().contains("/no/such"), "{missing}");
    let broken = step
        .environment(&[], [Ok("A=1\n???\n".to_owned())])
        .unwrap_err();
    assert!(broken.to_string().starts_with("/no/such:2: "), "{broken}");
}

#[test]
fn a_forward_that_leads_here_has_a_tunnel_and_neither_route_nor_name() {
    let loaded = sound(
        "projects:\n- name: p\n  local: [{name: a, run: x}]\n  forward:\n\
         \x20 - {name: api, type: kubernetes-remote, values: {ports: [1], labels: {a: b}}}\n",
    );
    let plan = plan_of(&loaded);
    assert!(plan.tunnels[0].leads_here());
    assert!(plan.routes.is_empty() && plan.hostnames.is_empty());
    assert_eq!(plan.apps.len(), 1);
    assert_eq!(plan, again(&loaded));
}

#[test]
fn a_project_may_have_only_forwards() {
    let loaded = sound(
        "projects: [{name: my project, forward: [{name: f, type: proxy, values: {ports: ['22:22'], proxy_hostname: h}}]}]\n",
    );
    let plan = plan_of(&loaded);
    assert!(plan.apps.is_empty());
    assert_eq!(plan.routes[0].id, "f:22");
}

#[test]
fn everything_that_can_be_said_is_said_again_by_the_effective_project() {
    let loaded = sound(
        "gopath: /go$$x\nkubeconfig: /k\nhosts: system\nallow_remote: [a]\nwatch: {exclude: [z]}\nrun: {env: {N: '~', T: on}}\nlocal: [{name: g, watch: yes, path: /g}]\n\
         projects:\n- name: '8080'\n  local:\n\
         \x20 - name: 'true'\n\
         \x20   path: /a$$b\n\
         \x20   hostname: h\n\
         \x20   watch: {paths: [x, '$$y'], exclude: [q], debounce: 1s, gitignore: off}\n\
         \x20   watch_signal: HUP\n\
         \x20   setup: [a, \"b\\nc\"]\n\
         \x20   files: [{to: /t, content: \"{{ .Name }}\\n\"}, {from: /f, to: /t}]\n\
         \x20   build: {type: command, commands: ['# x', ' y ']}\n\
         \x20   run: {command: \"a: b # c\\t'\\\"\", env: {A: ~, B: '', C: 0x10, D: \"\\u2028\\x1b\\x85\"}, stop_commands: s}\n\
         \x20   monitoring: {port: 80, url: /}\n\
         \x20   depends_on: {g: started, f: }\n\
         \x20   ready: monitoring\n\
         \x20   restart: {policy: always, backoff: 2s}\n\
         \x20   stop: {signal: 9, timeout: 0}\n\
         \x20   pty: on\n\
         \x20   log_file: /l\n\
         \x20   keep_children: true\n\
         \x20 forward:\n\
         \x20 - {name: f, type: kubernetes, monitoring: {port: 1, url: u}, values: {context: 'no', namespace: '1', service: s, ports: [1:http], transport: v4, faults: [{latency: 1s, jitter: 5ms}, {corrupt: 1%, stall: yes, slice: 4KiB, direction: up, expires: 1m}]}}\n\
         \x20 - {name: r, type: kubernetes-remote, values: {deployment: s, ports: ['1:2'], mode: service, skip_init: yes}}\n\
         \x20 - {name: s, type: ssh-remote, values: {remote: h, args: [-v], ports: ['1:2'], forward_hostname: x}}\n",
    );
    assert_eq!(plan_of(&loaded), again(&loaded));
}

//! What a person gets to read for each mistake.

use super::*;

/// The one problem of a file, as it is shown in short, and its help.
fn one(text: &str) -> (String, Vec<String>) {
    let result = read(text);
    let found = problems(&result);
    assert_eq!(found.len(), 1, "{text}\n{found:#?}");
    let report = match result {
        Ok(loaded) => loaded.report(),
        Err(report) => report,
    };
    (found[0].clone(), report.diagnostics[0].help.clone())
}

fn in_app(keys: &str) -> (String, Vec<String>) {
    one(&format!(
        "projects:\n- name: p\n  local:\n  - name: a\n    {keys}\n"
    ))
}

fn in_values(kind: &str, values: &str) -> (String, Vec<String>) {
    one(&format!(
        "projects:\n- name: p\n  forward:\n  - name: f\n    type: {kind}\n    values: {{{values}}}\n"
    ))
}

#[test]
fn a_misspelt_key_is_a_warning_with_what_was_probably_meant() {
    let (problem, help) = in_app("run: {commnad: x, command: y}");
    assert_eq!(
        problem,
        "W unknown-key monday.yaml:5:11 unknown key `commnad` in `run`"
    );
    assert_eq!(help, ["did you mean `command`?"]);
    let (problem, help) = in_app("hostnam: x");
    assert_eq!(
        problem,
        "W unknown-key monday.yaml:5:5 unknown key `hostnam` of an app"
    );
    assert_eq!(help, ["did you mean `hostname`?"]);
    let (problem, help) = one("project: []\nprojects: [{name: p, local: [{name: a}]}]\n");
    assert_eq!(
        problem,
        "W unknown-key monday.yaml:1:1 unknown key `project` at the top level"
    );
    assert_eq!(help, ["did you mean `projects`?"]);
    let (_, help) = in_values("proxy", "ports: [1], proxy_hostname: h, hostnmae: x");
    assert_eq!(help, ["did you mean `hostname`?"]);
    let (_, help) = in_app("ready: {tcp: 'a:1', interwal: 1s}");
    assert_eq!(help, ["did you mean `interval`?"]);
}

#[test]
fn a_key_that_resembles_nothing_gets_the_list_of_keys() {
    let (_, help) = in_app("stop: {whatever: 1}");
    assert_eq!(help, ["the keys here are: signal, timeout"]);
}

#[test]
fn a_key_on_the_wrong_level_is_sent_to_the_right_one() {
    let (_, help) = in_app("command: x");
    assert_eq!(help, ["`command` belongs into `run`"]);
    let (_, help) = one(
        "projects:\n- name: p\n  forward:\n  - {name: f, type: proxy, ports: [2], values: {ports: [1], proxy_hostname: h}}\n",
    );
    assert_eq!(help, ["`ports` belongs into `values`"]);
}

#[test]
fn keys_of_the_first_version_name_the_key_to_use_now() {
    for (old, now) in [
        ("executable: x", "run: {command"),
        ("args: [x]", "run: {command"),
        ("env: {A: 1}", "run: {env"),
        ("stop_executable: x", "stop_commands"),
        ("stop_args: [x]", "stop_commands"),
        ("watcher: {}", "watch: true"),
    ] {
        let (problem, help) = in_app(old);
        let key = old.split(':').next().unwrap();
        assert_eq!(
            problem,
            format!(
                "W old-key monday.yaml:5:5 `{key}` is a key of Monday's first version, and ignored"
            )
        );
        assert!(help[0].contains(now), "{help:?}");
    }
}

#[test]
fn private_keys_are_silent_and_what_is_in_them_too() {
    sound(
        "x-mine: {a: [~], a: 2}\nanchors: [&a {name: a}, {b: 1, b: 2}]\nprojects: [{name: p, x-y: 1, local: [*a]}]\n",
    );
}

#[test]
fn the_dropped_key_deeper_down_was_probably_a_merge() {
    let (problem, help) =
        one("<: &a {name: a}\nprojects: [{name: p, local: [{<: *a, name: b}]}]\n");
    assert_eq!(
        problem,
        "W unknown-key monday.yaml:2:31 unknown key `<` of an app"
    );
    assert!(help[0].contains("`<<`"));
}

#[test]
fn a_value_of_the_wrong_kind_says_what_is_expected_and_what_is_there() {
    let (problem, _) = in_app("path: [a, b]");
    assert_eq!(
        problem,
        "E wrong-kind monday.yaml:5:11 `path`: here is a list, but expected is a text"
    );
    let (problem, _) = in_app("build: {env: {A: {B: c}}}");
    assert_eq!(
        problem,
        "E wrong-kind monday.yaml:5:22 `A`: here is a map, but expected is a text"
    );
    let (problem, _) = in_app("stop: x");
    assert_eq!(
        problem,
        "E wrong-kind monday.yaml:5:11 `stop`: here is a text, but expected is a map with `signal` and `timeout`"
    );
    let (problem, help) = in_app("build: {env: [A]}");
    assert_eq!(
        problem,
        "E bad-value monday.yaml:5:19 `env`: `A` is not a variable"
    );
    assert!(help[0].contains("NAME=VALUE"));
    let (problem, help) = in_app("stop: {timeout: 10}");
    assert_eq!(
        problem,
        "E bad-value monday.yaml:5:21 `timeout`: `10` is not a span of time"
    );
    assert!(help[0].contains("unit"));
    let (problem, _) = in_app("ready: {tcp: 'x:1', retries: -1}");
    assert_eq!(
        problem,
        "E bad-value monday.yaml:5:34 `retries`: `-1` is not a number"
    );
    let (problem, _) = in_app("restart: sometimes");
    assert_eq!(
        problem,
        "E bad-value monday.yaml:5:14 `restart`: `sometimes` is not a restart policy"
    );
    let (problem, _) = in_app("depends_on: {b: {condition: well}}\n  - name: b");
    assert_eq!(
        problem,
        "E bad-value monday.yaml:5:33 `condition`: `well` is not a condition"
    );
}

#[test]
fn all_mistakes_are_found_in_one_pass() {
    let result = read(
        "projects:
- name: p
  local:
  - name: a
    path: []
    pty: maybe
    run: {command: x, env: [A]}
  - name: a
  - hostname: 'no name'
  forward:
  - name: f
    type: kubernets
    values: {ports: [a:b, 1:2:3]}
  - name: g
    type: proxy
    values: {ports: [0:1]}
    monitorng: {}
",
    );
    let found = problems(&result);
    let expected = [
        "E wrong-kind monday.yaml:5:11 `path`",
        "E bad-value monday.yaml:6:10 `pty`",
        "E bad-value monday.yaml:7:29 `env`",
        "E duplicate-name monday.yaml:8:11 two apps",
        "E missing-key monday.yaml:9:5 an app has no name",
        "E bad-value monday.yaml:9:15 `no name` cannot be a host name",
        "E bad-value monday.yaml:12:11 `type`: `kubernets` is not a type of forward",
        "E bad-value monday.yaml:13:22 `a:b` is not a pair of ports",
        "E bad-value monday.yaml:13:27 `1:2:3` is not a pair of ports",
        "E bad-value monday.yaml:16:22 `0:1` is not a pair of ports",
        "E missing-key monday.yaml:16:5 `proxy_hostname` is missing",
        "W unknown-key monday.yaml:17:5 unknown key `monitorng` of a forward",
    ];
    for part in expected {
        assert!(
            found.iter().any(|problem| problem.starts_with(part)),
            "{part} is not in {found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn two_things_of_one_name_are_an_error_with_both_positions() {
    let report = read("projects:\n- name: p\n  local: [{name: a}, {name: b}, {name: a}]\n")
        .unwrap()
        .report();
    let problem = &report.diagnostics[0];
    assert_eq!(
        short(problem, &report),
        "E duplicate-name monday.yaml:3:40 two apps of this project are called `a`"
    );
    assert_eq!(report.sources.start(problem.secondary[0].span).column, 18);
    let report = read("<: &a {name: a}\nprojects: [{name: p, local: [*a, *a]}]\n")
        .unwrap()
        .report();
    assert_eq!(
        short(&report.diagnostics[0], &report),
        "E duplicate-name monday.yaml:2:34 two apps of this project are called `a`"
    );
    let result = read_files(&[
        ("monday.a.yaml", "projects: [{name: p, local: [{name: a}]}]"),
        ("monday.b.yaml", "projects: [{name: p, local: [{name: a}]}]"),
    ]);
    assert_eq!(
        problems(&result),
        ["E duplicate-name monday.b.yaml:1:19 two projects are called `p`"]
    );
    assert!(result.unwrap().projects.is_empty());
}

#[test]
fn ports_that_are_none_have_their_position() {
    let (problem, help) = in_values("proxy", "proxy_hostname: h, ports: [\"a:b\"]");
    assert_eq!(
        problem,
        "E bad-value monday.yaml:6:41 `a:b` is not a pair of ports: `a` is not a number from 1 to 65535"
    );
    assert!(help[0].contains("8080:80"));
    let (problem, help) = in_values("proxy", "proxy_hostname: h, ports: [80: 8080]");
    assert_eq!(
        problem,
        "E bad-value monday.yaml:6:41 `ports`: a map is not a pair of ports"
    );
    assert_eq!(help, ["write `80:8080`, without a blank after the colon"]);
    let (problem, _) = in_values("proxy", "proxy_hostname: h, ports: []");
    assert_eq!(
        problem,
        "E bad-value monday.yaml:6:40 a forward needs at least one port"
    );
    let (problem, _) = in_values("proxy", "proxy_hostname: h");
    assert_eq!(
        problem,
        "E missing-key monday.yaml:6:5 a forward has no `ports`"
    );
    let (problem, _) = in_values("proxy", "proxy_hostname: h, ports: [80:http]");
    assert!(problem.contains("`http` is not a number"), "{problem}");
    let (problem, _) = in_values("proxy", "proxy_hostname: h, ports: ['80:1', '80:2']");
    assert!(
        problem.starts_with("E duplicate-port monday.yaml:6:49"),
        "{problem}"
    );
}

#[test]
fn forwards_that_listen_on_the_same_port_of_one_name_are_an_error() {
    let (problem, _) = one("projects:\n- name: p\n  forward:\n\
         \x20 - {name: f, type: proxy, values: {hostname: h, ports: [1], proxy_hostname: x}}\n\
         \x20 - {name: g, type: proxy, values: {hostname: H, ports: [1], proxy_hostname: x}}\n");
    assert!(
        problem.starts_with(
            "E duplicate-port monday.yaml:5:57 the forwards `f` and `g` both listen on h:1"
        ),
        "{problem}"
    );
}

#[test]
fn what_a_type_of_forward_needs_is_asked_for() {
    for (kind, values, part) in [
        ("proxy", "ports: [1]", "`proxy_hostname` is missing"),
        ("ssh", "ports: [1]", "`remote` is missing"),
        ("ssh-remote", "ports: [1], remote: ''", "`remote` is empty"),
        (
            "ssh",
            "ports: [1], remote: -oProxyCommand=x",
            "is not a host, but an option",
        ),
        (
            "kubernetes",
            "ports: [1]",
            "does not say what in the cluster is meant",
        ),
        (
            "kubernetes",
            "ports: [1], labels: {a: b}, pod: x",
            "`labels` and `pod` both say",
        ),
        (
            "proxy",
            "ports: [1], proxy_hostname: 'http://x'",
            "`http://x` is not a host",
        ),
    ] {
        let (problem, help) = in_values(kind, values);
        assert!(
            problem.starts_with("E ") && problem.contains(part),
            "{problem}"
        );
        assert!(!help.is_empty(), "{problem}");
    }
    let (problem, help) =
        one("projects: [{name: p, forward: [{name: f, values: {ports: [1]}}]}]\n");
    assert!(problem.contains("a forward has no `type`"), "{problem}");
    assert!(help[0].contains("kubernetes-remote"), "{help:?}");
}

#[test]
fn an_unknown_type_of_forward_lists_the_types() {
    let (problem, help) = in_values("kubernets", "ports: [1]");
    assert_eq!(
        problem,
        "E bad-value monday.yaml:5:11 `type`: `kubernets` is not a type of forward"
    );
    assert_eq!(
        help,
        [
            "did you mean `kubernetes`? there are: `kubernetes`, `kubernetes-remote`, `ssh`, `ssh-remote`, `proxy`"
        ]
    );
}

#[test]
fn keys_that_mean_nothing_for_a_type_are_a_warning() {
    let (problem, _) = in_values("proxy", "ports: [1], proxy_hostname: h, remote: x");
    assert_eq!(
        problem,
        "W unused-key monday.yaml:6:45 `remote` means nothing for a forward of type `proxy`"
    );
    let (problem, _) = in_values("ssh-remote", "ports: [1], remote: h, hostname: x");
    assert!(problem.contains("`hostname` means nothing"), "{problem}");
}

#[test]
fn a_forward_whose_name_is_no_host_name_needs_one() {
    let result = read(
        "projects: [{name: p, forward: [{name: my db, type: proxy, values: {ports: [1], proxy_hostname: h}}]}]\n",
    );
    assert!(
        problems(&result)[0]
            .starts_with("E bad-value monday.yaml:1:39 the forward `my db` needs a `hostname`")
    );
}

#[test]
fn dependencies_on_nothing_on_oneself_and_in_circles_are_errors() {
    let (problem, help) = in_app("depends_on: [b]");
    assert!(
        problem.starts_with("E unknown-name monday.yaml:5:18 `a` depends on `b`"),
        "{problem}"
    );
    assert!(!help.is_empty());
    let (problem, _) = in_app("depends_on: {a: ready}");
    assert_eq!(
        problem,
        "E bad-value monday.yaml:5:18 the app `a` depends on itself"
    );
    let (problem, _) = one(
        "projects: [{name: p, local: [{name: a, depends_on: c}, {name: b, depends_on: [a]}, {name: c, depends_on: {b: }}]}]\n",
    );
    assert!(
        problem.starts_with("E circle")
            && problem.contains("apps wait for each other: a -> c -> b -> a"),
        "{problem}"
    );
    let (problem, _) = one(
        "projects: [{name: p, local: [{name: a, depends_on: b}, {name: b, disabled: true}]}]\n",
    );
    assert!(problem.starts_with("W disabled-dependency"), "{problem}");
}

#[test]
fn files_and_readiness_say_what_is_missing() {
    for (keys, part) in [
        ("files: [{content: x}]", "a file has no `to`"),
        ("files: [{to: x}]", "has no `content`"),
        ("files: [{type: copy, to: x}]", "has no `from`"),
        ("files: [{from: x, content: y, to: z}]", "which of the two?"),
        (
            "files: [{type: link, to: x}]",
            "`link` is not a type of file",
        ),
        ("ready: {}", "does not say what to ask"),
        ("ready: {http: 'http://x', tcp: 'x:1'}", "which of the two?"),
        ("ready: {http: x}", "`x` is not a URL"),
        ("ready: {tcp: x}", "is not HOST:PORT"),
        ("ready: {log: '('}", "is not a regular expression"),
        ("ready: monitoring", "needs to know a port"),
        ("stop: {signal: NOPE}", "`NOPE` is not a signal"),
        ("path: '${X'", "never closed"),
        ("name: \"a\\nb\"", "control character"),
        ("run: \"x\\0\"", "NUL"),
    ] {
        let keys = if keys.starts_with("name") {
            format!("x-y: 1\n  - {keys}")
        } else {
            keys.to_owned()
        };
        let (problem, _) = in_app(&keys);
        assert!(
            problem.starts_with("E ") && problem.contains(part),
            "{keys}: {problem}"
        );
    }
}

#[test]
fn smaller_doubts_are_warnings() {
    for (keys, part) in [
        (
            "build: {type: docker, commands: [x]}",
            "builds of type `docker` do not exist",
        ),
        (
            "files: [{to: /x, content: '{{ range }'}]",
            "this is no template of Go",
        ),
        ("watch: true", "there is nothing to watch"),
        ("run: {}", "`run` has no command"),
        ("path: $NOT_SET/x", "the variable NOT_SET is not set"),
        ("log_file: !mine x", "the tag `!mine` is ignored"),
    ] {
        let (problem, _) = in_app(keys);
        assert!(
            problem.starts_with("W ") && problem.contains(part),
            "{keys}: {problem}"
        );
    }
}

#[test]
fn a_broken_project_does_not_keep_the_others_from_running() {
    let loaded = read("projects:\n- {name: good, local: [{name: a}]}\n- {name: bad, local: [{name: a}, {name: a}]}\n- {local: [{name: a}]}\n").unwrap();
    assert!(loaded.project("good").is_ok());
    assert!(loaded.project("bad").unwrap_err().has_errors());
    assert_eq!(loaded.broken.len(), 2);
    assert_eq!(loaded.names().collect::<Vec<_>>(), ["good", "bad"]);
    assert!(loaded.warnings_for("good").is_empty());
    assert_eq!(loaded.report().errors(), 2);
}

#[test]
fn an_unknown_project_lists_those_that_there_are() {
    let loaded =
        sound("projects: [{name: shop, local: [{name: a}]}, {name: bank, local: [{name: a}]}]\n");
    let report = loaded.project("shpo").unwrap_err();
    assert_eq!(
        report.diagnostics[0].help,
        ["did you mean `shop`?", "the projects are: shop, bank"]
    );
}

#[test]
fn a_mistake_in_a_shared_part_shows_the_anchor_and_the_alias() {
    let report = read("<: &a\n  name: a\n  pty: maybe\nprojects:\n- name: p\n  local:\n  - *a\n")
        .unwrap()
        .report();
    let problem = &report.diagnostics[0];
    assert_eq!(
        report
            .sources
            .start(problem.primary.as_ref().unwrap().span)
            .line,
        3
    );
    assert_eq!(report.sources.start(problem.secondary[0].span).line, 7);
}

#[test]
fn there_is_an_end_to_the_list_of_mistakes() {
    let text = format!("projects: [{}]\n", "*gone, ".repeat(10_000));
    assert!(problems(&read(&text)).len() < 300);
    let text = format!("projects: [{}]\n", "[], ".repeat(10_000));
    assert!(problems(&read(&text)).len() < 300);
}

fn in_faults(faults: &str) -> (String, Vec<String>) {
    in_values(
        "proxy",
        &format!("ports: [1], proxy_hostname: h, faults: {faults}"),
    )
}

#[test]
fn a_misspelt_fault_is_an_error_with_what_was_probably_meant() {
    let (problem, help) = in_faults("{latncy: 100ms}");
    assert_eq!(
        problem,
        "E unknown-key monday.yaml:6:54 unknown key `latncy` in `faults`"
    );
    assert_eq!(help, ["did you mean `latency`?"]);
    let (problem, help) = in_faults("[{stall: yes}, {latency: 1s, jiter: 5ms}]");
    assert_eq!(
        problem,
        "E unknown-key monday.yaml:6:82 unknown key `jiter` in `faults`"
    );
    assert_eq!(help, ["did you mean `jitter`?"]);
    let (problem, help) = in_faults("'latncy=100ms'");
    assert_eq!(
        problem,
        "E bad-value monday.yaml:6:53 `faults`: `latncy` is not known here"
    );
    assert!(help[0].starts_with("did you mean `latency`?"), "{help:?}");
    let (_, help) = in_faults("{frobnicate: 1}");
    assert!(
        help[0].starts_with("the keys here are: ") && help[0].contains("swallow_half_close"),
        "{help:?}"
    );
    let (problem, help) = in_faults("{stall: true, direction: dwon}");
    assert_eq!(
        problem,
        "E bad-value monday.yaml:6:78 `direction`: `dwon` is not known here"
    );
    assert!(help[0].starts_with("did you mean `down`?"), "{help:?}");
}

#[test]
fn a_fault_that_makes_no_sense_says_where_and_what_to_do() {
    for (faults, found, advice) in [
        (
            "{latency: 100}",
            "bad-value monday.yaml:6:63 `latency`: `100` is not a span of time",
            "write a number with a unit",
        ),
        (
            "{rate: fast}",
            "bad-value monday.yaml:6:60 `rate`: `fast` is not a number of bytes",
            "write it as in `4096`",
        ),
        (
            "{corrupt: 200%}",
            "bad-value monday.yaml:6:63 `corrupt`: `200%` is not a share",
            "25%",
        ),
        (
            "{stall: maybe}",
            "bad-value monday.yaml:6:61 `stall`: `maybe` is neither true nor false",
            "write `true`",
        ),
        (
            "{stall: [1]}",
            "wrong-kind monday.yaml:6:61 `stall`: here is a list, but expected is true or false",
            "",
        ),
        (
            "{direction: up}",
            "bad-value monday.yaml:6:53 a fault needs an effect",
            "`latency`",
        ),
        (
            "{stall: true, jitter: 1s}",
            "bad-value monday.yaml:6:75 `jitter` goes with `latency`",
            "leave `jitter` out",
        ),
        (
            "[{stall: true}, {refuse: true, probability: 0.5}]",
            "bad-value monday.yaml:6:97 `refuse` and `unanswered` concern every new client",
            "leave `probability` out",
        ),
        (
            "'rate=0'",
            "bad-value monday.yaml:6:53 `faults`: `rate` has to be at least one byte a second",
            "use `stall` for none",
        ),
        (
            "true",
            "bad-value monday.yaml:6:53 `faults`: `true` is not known here",
            "there are: ",
        ),
    ] {
        let (problem, help) = in_faults(faults);
        assert_eq!(problem, format!("E {found}"), "{faults}");
        let advised = help.iter().any(|line| line.contains(advice));
        assert!(advised || advice.is_empty(), "{faults}: {help:?}");
    }
}

#[test]
fn two_mistakes_in_faults_are_told_at_once_and_nothing_follows_from_them() {
    let result = read(
        "projects:\n- name: p\n  forward:\n  - name: f\n    type: proxy\n    values:\n      ports: [1]\n      proxy_hostname: h\n      faults:\n      - {latncy: 1s}\n      - {rate: x, slice_delay: 1s}\n",
    );
    assert_eq!(
        problems(&result),
        [
            "E unknown-key monday.yaml:10:10 unknown key `latncy` in `faults`",
            "E bad-value monday.yaml:11:16 `rate`: `x` is not a number of bytes",
        ]
    );
}

#[test]
fn faults_may_be_one_or_several_as_a_map_or_as_in_a_flag_and_shared() {
    let loaded = sound(
        "<: &slow {latency: 1s, x-why: 'like the old office'}\nprojects:\n- name: p\n  forward:\n\
         \x20 - {name: f, type: proxy, values: {proxy_hostname: h, ports: [1], faults: *slow}}\n\
         \x20 - {name: g, type: proxy, values: {proxy_hostname: h, ports: [1], faults: ['latency=1s', {<<: *slow, jitter: 0}, {stall: on}]}}\n",
    );
    let forwards = &loaded.project("p").unwrap().forwards;
    assert_eq!(forwards[0].options.faults, ["latency=1s".parse().unwrap()]);
    assert_eq!(
        forwards[1].options.faults,
        ["latency=1s", "latency=1s,jitter=0", "stall"].map(|text| text.parse().unwrap())
    );
}

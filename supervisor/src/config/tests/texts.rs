//! What is said of mistakes: one thing of each, where it is, and what to do.

use super::*;

/// The help of every problem, in order.
fn helps(text: &str) -> Vec<String> {
    let result = read(text);
    let report = match &result {
        Ok(loaded) => loaded.report(),
        Err(report) => report.clone(),
    };
    let helps = report
        .diagnostics
        .iter()
        .map(|problem| problem.help.join("; "));
    helps.collect()
}

/// What is found in an app, or anything else of a project.
fn of_project(text: &str) -> Vec<String> {
    problems(&read(&format!("projects: [{{name: p, {text}}}]\n")))
}

fn of_app(text: &str) -> Vec<String> {
    of_project(&format!("local: [{{name: a, {text}}}]"))
}

#[test]
fn each_mistake_is_told_once() {
    for text in [
        "local: [{name: a, run: [~]}]",
        "local: [{name: a, run: {command: [~]}}]",
        "forward: [~]",
        "local: [~]",
        "forward: [{name: f, type: kubernetes, values: {ports: [1], labels: {a: }}}]",
    ] {
        let found = of_project(text);
        assert_eq!(found.len(), 1, "{text} {found:?}");
        assert!(found[0].starts_with("E "), "{text} {found:?}");
    }
}

#[test]
fn a_value_of_the_wrong_kind_says_what_to_write() {
    for (text, part) in [
        ("run: [{echo done: yes}]", "needs quotes"),
        ("path: {a: b}", "needs quotes"),
        ("path: [a]", "single value"),
        ("stop: soon", "indented"),
        ("stop: [a]", "without a `-`"),
    ] {
        let text = format!("projects: [{{name: p, local: [{{name: a, {text}}}]}}]\n");
        let found = helps(&text);
        assert!(
            found.iter().any(|help| help.contains(part)),
            "{text} {found:?}"
        );
    }
}

#[test]
fn every_problem_says_what_to_do() {
    for text in [
        "projects: [{name: p, local: [{name: a, run: \"x\\0\"}]}]\n",
        "projects: [{name: p, local: [{name: a, path: \"x\\0\"}]}]\n",
        "projects: [{name: p, local: [{name: a, run: {command: x, env: {A: \"x\\0\"}}}]}]\n",
        "projects: [{name: p, local: [{name: a, depends_on: b}, {name: b, disabled: yes}]}]\n",
        "projects: [{name: p, forward: [{name: f, type: proxy, values: {ports: [1], proxy_hostname: h, remote: x}}]}]\n",
        "projects: [{name: p, local: [{name: a, watch: {debounce: 20years, paths: /x}}]}]\n",
    ] {
        let found = helps(text);
        assert!(
            !found.is_empty() && found.iter().all(|help| !help.is_empty()),
            "{text} {found:?}"
        );
    }
    let deep = format!("a: {}\n", "[".repeat(100));
    assert!(
        helps(&deep).iter().all(|help| !help.is_empty()),
        "{:?}",
        helps(&deep)
    );
}

#[test]
fn a_span_that_is_too_long_is_not_called_none() {
    let found = of_app("watch: {debounce: 20years, paths: /x}");
    assert!(found[0].contains("ten years are the most"), "{found:?}");
}

#[test]
fn what_no_program_could_use_is_found() {
    for (text, part) in [
        ("watch_signal: NOPE", "E bad-value"),
        ("watch_signal: HUP", "W unused-key"),
        ("setup: make", "W unused-key"),
        ("ready: monitoring, monitoring: {port: abc}", "`abc`"),
        ("ready: {http: 'http://'}", "not a URL"),
        ("ready: {http: 'http://:80/x'}", "not a URL"),
        ("ready: {tcp: 'a:b:1'}", "not HOST:PORT"),
        ("ready: {tcp: '::1:80'}", "not HOST:PORT"),
    ] {
        let found = of_app(text);
        assert_eq!(found.len(), 1, "{text} {found:?}");
        assert!(found[0].contains(part), "{text} {found:?}");
    }
    for text in [
        "ready: {tcp: '[::1]:80'}",
        "ready: {http: 'https://me:x@host:80?x'}",
        "watch_signal: HUP, watch: {paths: /x}",
        "setup: make, path: /x",
        "restart: No",
        "restart: OFF",
        "restart: False",
    ] {
        assert_eq!(of_app(text), Vec::<String>::new(), "{text}");
    }
    let forward = |text: &str| of_project(&format!("forward: [{text}]"));
    let found = forward("{name: f, type: proxy, values: {ports: [1], proxy_hostname: 'h:80'}}");
    assert!(found[0].contains("`h:80` is not a host"), "{found:?}");
    let found = forward("{name: f, type: proxy, values: {ports: [1], proxy_hostname: '[::1]'}}");
    assert_eq!(found, Vec::<String>::new());
    let remote = |args: &str| {
        let one = |name: &str| {
            format!(
                "{{name: {name}, type: ssh-remote, values: {{remote: me@h, ports: [80], args: {args}}}}}"
            )
        };
        forward(&format!("{}, {}", one("a"), one("b")))
    };
    assert!(
        remote("[-v]")[0].contains("both listen on me@h:80"),
        "{:?}",
        remote("[-v]")
    );
}

#[test]
fn two_projects_are_the_same_but_for_blanks() {
    let found = problems(&read("projects: [{name: shop}, {name: 'shop '}]\n"));
    assert!(
        found
            .iter()
            .any(|problem| problem.contains("two projects are called `shop`")),
        "{found:?}"
    );
}

#[test]
fn keys_of_the_first_version_are_known_in_a_single_app_as_well() {
    for text in [
        "projects: {name: p, local: {name: a, executable: x}}\n",
        "projects: [{name: p, local: {name: a, executable: x}}]\n",
        "local: {name: a, executable: x}\nprojects: {name: p}\n",
    ] {
        let found = problems(&read(text));
        assert!(found[0].contains("first version"), "{text} {found:?}");
    }
}

#[test]
fn an_error_at_the_end_is_at_the_last_character() {
    for end in ["", "\n", "\n\n", " # x\n", "\n  \n"] {
        let found = problems(&read(&format!(
            "projects:\n  - name: p\n    local: [a{end}"
        )));
        let at = if end.contains('#') { "3:17" } else { "3:13" };
        assert!(
            found[0].contains(&format!("monday.yaml:{at}")),
            "{end:?} {found:?}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_makes_no_other_one_wrong() {
    let machine = Fake::new()
        .set("MONDAY_CONFIG_PATH", "/conf")
        .file("/conf/monday.a.yaml", b"<: &api {name: caf\xe9}\n")
        .file(
            "/conf/monday.b.yaml",
            "projects: [{name: p, local: [*api, *x]}]\n",
        );
    let found = problems(&load_in(&Search::new(), &machine));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("E not-utf8 monday.a.yaml:1:19"),
        "{found:?}"
    );
}

#[test]
fn a_leftover_that_is_no_yaml_any_more_says_what_it_is() {
    let result = read_files(&[
        ("monday.a.yaml", "projects: [{name: a}]"),
        ("monday.b.yaml", "projects: [{name: b, local: [{name: x}]}]"),
        ("monday.yaml", "projects:\n- name: aprojects:\n- name: b\n"),
    ]);
    let report = result.unwrap_err();
    let helps: Vec<&String> = report
        .diagnostics
        .iter()
        .flat_map(|problem| &problem.help)
        .collect();
    assert!(
        helps
            .iter()
            .any(|help| help.contains("the merge that earlier releases")),
        "{helps:?}"
    );
}

#[test]
fn a_leftover_with_the_anchors_of_others_is_named_where_they_are_missed() {
    let result = read_files(&[
        ("monday.a.yaml", "projects: {name: a, local: [*api]}\n"),
        (
            "monday.yaml",
            "<: &api {name: api}\nprojects: {name: a, local: [*api]}\n",
        ),
    ]);
    let found = problems(&result);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("W leftover-merge"), "{found:?}");
    let report = result.unwrap_err();
    assert!(
        report.diagnostics[1].help[0].starts_with("/conf/monday.yaml declares it"),
        "{report}"
    );
}

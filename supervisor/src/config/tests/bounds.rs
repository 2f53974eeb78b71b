//! Files that were made to take long, or to hide what is wrong among what is not.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::super::write;
use super::*;

/// None of these files takes a second where nothing is compiled for debugging; what took a minute once takes more than
/// this even so.
const LONGEST: Duration = Duration::from_secs(10);

/// The result of some work, which must not take long. The processor's time counts: what else the machine does is no
/// matter.
fn soon<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let now = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let start = now();
    let result = work();
    let taken = now().saturating_sub(start);
    assert!(taken < LONGEST, "{what} took {taken:?}");
    result
}

/// What is found in a file that must not take long, shown as well.
fn found(what: &str, text: &str) -> Vec<String> {
    soon(what, || {
        let result = read(text);
        let report = match &result {
            Ok(loaded) => loaded.report(),
            Err(report) => report.clone(),
        };
        let _ = (
            report.render(crate::diagnostic::Style::plain()),
            report.to_json(),
        );
        problems(&result)
    })
}

/// So many pieces, each with its number in place of `%`.
fn pieces(count: usize, piece: &str) -> String {
    (0..count)
        .map(|at| piece.replace('%', &at.to_string()))
        .collect()
}

fn has(problems: &[String], part: &str) -> bool {
    problems.iter().any(|problem| problem.contains(part))
}

#[test]
fn warnings_of_shared_apps_hide_no_error() {
    let text = format!(
        "local:\n{}projects:\n{}- {{name: last, local: [{{name: a}}, {{name: a}}]}}\n",
        pieces(15, "- {name: app%, path: $NOT_SET/x%}\n"),
        pieces(14, "- {name: p%, local: [{name: own}]}\n"),
    );
    let loaded = read(&text).unwrap();
    assert_eq!(loaded.broken.len(), 1);
    assert_eq!(loaded.broken[0].name, "last");
    // Each of them is told once, and to whoever runs any of the projects.
    assert_eq!(loaded.warnings_for("p13").warnings(), 15);
    assert_eq!(loaded.report().warnings(), 15);
}

#[test]
fn many_warnings_hide_no_error_and_are_counted() {
    let text = format!(
        "projects:\n- name: p\n  local:\n{}  - {{name: a0, depends_on: [nobody]}}\n  forward:\n  - {{name: f, type: proxy, values: {{proxy_hostname: h, ports: ['a:b']}}}}\n",
        pieces(
            40,
            "  - {name: a%, executable: x, args: x, env: x, stop_executable: x, stop_args: x}\n"
        ),
    );
    let found = problems(&read(&text));
    for part in ["two apps", "`nobody`", "`a:b`"] {
        assert!(has(&found, part), "{part} {found:?}");
    }
    let text = format!(
        "projects: [{{name: p, local: [{{name: a}}]}}]\n{}",
        pieces(250, "y%: 1\n")
    );
    let found = problems(&read(&text));
    assert_eq!(found.len(), 201);
    assert!(has(&found, "50 more warnings are not shown"), "{found:?}");
}

#[test]
fn warnings_alone_stop_nothing() {
    let text = format!(
        "anchors:\n{}projects: [{{name: p, local: [*a]}}]\n",
        pieces(220, "- !t {x: 1}\n") + "- &a {name: a}\n"
    );
    let loaded = read(&text).unwrap();
    assert_eq!(loaded.projects[0].apps[0].name, "a");
}

#[test]
fn more_errors_than_are_told_are_an_error_about_everything() {
    let text = format!(
        "projects:\n- {{name: good, local: [{{name: a}}]}}\n- name: bad\n  local:\n{}- {{name: late, local: [{{name: a}}, {{name: a}}]}}\n",
        pieces(300, "  - {name: app%, depends_on: [none%]}\n"),
    );
    let report = read(&text).unwrap_err();
    assert_eq!(report.errors(), 201);
    let last = report.diagnostics.last().unwrap();
    assert_eq!(
        last.message,
        "there are more than 200 errors: the others are not shown"
    );
}

#[test]
fn every_project_of_a_shared_list_is_one_of_its_own() {
    let text = "<: &ps [{name: a, local: [{name: x}]}, {name: b, local: [{name: y}, {name: y}]}]\nprojects: *ps\nprojects: [{name: c, local: [{name: z}]}]\n";
    let loaded = read(text).unwrap();
    let names: Vec<&str> = loaded
        .projects
        .iter()
        .map(|project| project.name.as_str())
        .collect();
    assert_eq!(names, ["a", "c"]);
    assert!(loaded.project("b").unwrap_err().has_errors());
}

#[test]
fn a_long_text_without_indentation_takes_no_longer_than_another() {
    for lines in [20_000, 60_000] {
        let text = format!(
            "projects:\n- name: p\n  local:\n  - name: a\n    run: \"\n{}\"\n",
            "x\n".repeat(lines)
        );
        let loaded = soon("a long text", || read(&text)).unwrap();
        let command = &loaded.projects[0].apps[0].run.as_ref().unwrap().commands[0];
        assert_eq!(command.matches('x').count(), lines);
    }
}

#[test]
fn any_number_of_tabs_behind_colons_is_read() {
    for (lines, tabs) in [(60, 60), (60, 49), (90_000, 49), (3_000, 3_000)] {
        let text = format!(
            "projects:\n- name: p\n  local:\n  - name: a\n    run:\n      command: x\n      env:\n{}{}",
            pieces(tabs, "        T%:\tt\n"),
            pieces(lines - tabs, "        E%: e\n"),
        );
        let loaded = soon("tabs", || read(&text)).unwrap();
        let env = &loaded.projects[0].apps[0].run.as_ref().unwrap().env;
        assert_eq!(env.len(), lines);
        assert_eq!(env[tabs - 1].1, "t");
    }
}

#[test]
fn tabs_in_texts_stay_what_they_are() {
    let text = "projects:\n- name:\tp\n  local:\n  - name: a\n    run:\n      command: |\n        printf 'a:\tb'\n      env: {A: \"x:\ty\", B:\tz, C: 'it''s:\t'}\n      stop_commands: [\"k:\t\tl\"]\n";
    let loaded = sound(text);
    let app = &loaded.projects[0].apps[0];
    let run = app.run.as_ref().unwrap();
    assert_eq!(run.commands, ["printf 'a:\tb'\n"]);
    let values: Vec<&str> = run.env.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["x:\ty", "z", "it's:\t"]);
    assert_eq!(app.stop.commands, ["k:\t\tl"]);
}

#[test]
fn any_number_of_lines_without_indentation_in_brackets_is_read() {
    for count in [60, 3_000] {
        let text = format!(
            "projects:\n- name: p\n  local: [\n{}]\n- {{name: q}}\n",
            pieces(count, "{name: a%,\nrun: \"x # ]\"}, # ]\n")
        );
        let loaded = soon("brackets", || read(&text)).unwrap();
        assert_eq!(loaded.projects[0].apps.len(), count);
    }
    let apart = format!(
        "projects:\n- name: p\n  local:\n{}",
        pieces(60, "  - name: a%\n    build: [\nx,\ny\n]\n")
    );
    assert_eq!(
        read(&apart).unwrap().projects[0].apps[59]
            .build
            .as_ref()
            .unwrap()
            .commands,
        ["x", "y"]
    );
}

#[test]
fn what_is_declared_for_all_does_not_multiply_without_bound() {
    let apps = pieces(1000, "- {name: a%}\n");
    let projects = pieces(1000, "- {name: p%}\n");
    let found_of_apps = found(
        "apps of all",
        &format!("local:\n{apps}projects:\n{projects}"),
    );
    assert!(
        has(
            &found_of_apps,
            "E too-large monday.yaml:1:1 what is declared for all, once for each of 1000 projects"
        ),
        "{found_of_apps:?}"
    );
    let variables = pieces(1000, "    V%: x\n");
    let apps = pieces(1000, "  - {name: a%, run: x}\n");
    let found_of_env = found(
        "variables of all",
        &format!("run:\n  env:\n{variables}projects:\n- name: p\n  local:\n{apps}"),
    );
    assert!(
        has(&found_of_env, "once for each of 1000 apps"),
        "{found_of_env:?}"
    );
}

#[test]
fn many_mistakes_take_no_longer_than_few() {
    let project = |apps: &str| format!("projects:\n- name: p\n  local:\n{apps}");
    let keys = found(
        "unknown keys",
        &project(&pieces(20_000, "  - {name: a%, nonsense: 1}\n")),
    );
    assert!(has(&keys, "19800 more warnings"), "{}", keys.len());
    let deep = found(
        "unknown keys of one map",
        &project(&format!("  - name: a\n{}", pieces(50_000, "    k%: 1\n"))),
    );
    assert!(has(&deep, "49800 more warnings"), "{}", deep.len());
    let kinds = found(
        "values of the wrong kind",
        &project(&pieces(80_000, "  - {name: a%, pty: maybe}\n")),
    );
    assert!(has(&kinds, "too-many"), "{}", kinds.len());
    let dependent = format!(
        "{}  - {{name: last, depends_on: [{}]}}\n",
        pieces(8_000, "  - {name: a%}\n"),
        pieces(8_000, "a%, ")
    );
    assert_eq!(
        found("dependencies", &project(&dependent)),
        Vec::<String>::new()
    );
    let unknown = found(
        "unknown dependencies",
        &project(&pieces(1_000, "  - {name: a%, depends_on: [strange-%]}\n")),
    );
    assert!(has(&unknown, "too-many"), "{}", unknown.len());
    let mut circle = pieces(
        5_000,
        "  - {name: a%, depends_on: [a0, b%]}\n  - {name: b%, depends_on: [a%]}\n",
    );
    circle += "  - {name: last}\n";
    assert!(has(&found("circles", &project(&circle)), "too-many"));
}

#[test]
fn lists_that_go_on_often_take_no_longer_than_one() {
    let text = pieces(20_000, "projects: {name: p%, local: {name: a}}\n");
    assert_eq!(
        soon("repeated lists", || read(&text))
            .unwrap()
            .projects
            .len(),
        20_000
    );
}

#[test]
fn many_texts_with_old_line_ends_are_written_in_one_go() {
    let text = format!(
        "projects:\n- name: p\n  local:\n  - name: a\n    run:\n      command: x\n      env:\n{}",
        pieces(12_000, "        E%: \"v\\u2028%\"\n")
    );
    let loaded = soon("reading", || read(&text)).unwrap();
    let written = soon("writing", || write::to_yaml(loaded.effective("p").unwrap())).unwrap();
    let again = read(&written).unwrap();
    assert_eq!(again.projects, loaded.projects);
}

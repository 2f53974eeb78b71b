//! Section by section what of YAML is relied on.

use super::*;

#[test]
fn the_repeated_less_than_key_declares_shared_parts() {
    let loaded = sound(
        "<: &api {name: api, run: {command: x}}\n\
         <: &list [a, b]\n\
         <: &text hello\n\
         projects: [{name: p, local: [*api]}]\n",
    );
    assert_eq!(loaded.projects[0].apps[0].name, "api");
}

#[test]
fn merge_keys_work_at_every_level_and_explicit_keys_win() {
    let loaded = sound(
        "<: &env {A: 1, B: 1, C: 1}\n\
         <: &env2 {B: 2, C: 2, D: 2}\n\
         <: &base {path: /base, run: {command: x}}\n\
         projects:\n\
         - name: p\n\
         \x20 local:\n\
         \x20 - <<: *base\n\
         \x20   name: one\n\
         \x20 - name: two\n\
         \x20   path: /own\n\
         \x20   <<: *base\n\
         \x20   run:\n\
         \x20     command: y\n\
         \x20     env:\n\
         \x20       <<: [*env, *env2]\n\
         \x20       A: own\n",
    );
    let apps = &loaded.projects[0].apps;
    assert_eq!(apps[0].path.as_deref(), Some("/base".as_ref()));
    assert_eq!(apps[1].path.as_deref(), Some("/own".as_ref()));
    let run = apps[1].run.as_ref().unwrap();
    assert_eq!(run.commands, ["y"]);
    let mut env = run.env.clone();
    env.sort();
    let pairs: Vec<(&str, &str)> = env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(pairs, [("A", "own"), ("B", "1"), ("C", "1"), ("D", "2")]);
}

#[test]
fn merging_something_that_is_no_map_is_an_error_at_the_alias_and_the_anchor() {
    let result = read(
        "<: &list [a]\nprojects:\n- <<: *list\n  name: p\n  local: [{name: a}]\n- <<:\n  name: q\n  local: [{name: a}]\n",
    );
    assert_eq!(
        problems(&result),
        [
            "E bad-merge monday.yaml:3:7 `<<` merges maps, but here is a text",
            "E bad-merge monday.yaml:6:3 `<<` merges maps, but here is nothing",
        ]
    );
}

#[test]
fn a_later_definition_of_an_anchor_serves_later_aliases() {
    let loaded = sound(
        "<: &x {name: one}\n<: &y [*x]\n<: &x {name: two}\nlocal: *y\nprojects: [{name: p, local: [*x]}]\n",
    );
    let names: Vec<&str> = loaded.projects[0]
        .apps
        .iter()
        .map(|app| app.name.as_str())
        .collect();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn anchors_flow_from_file_to_file_in_order() {
    let loaded = read_files(&[
        ("monday.a.yaml", "<: &api {name: api}"),
        (
            "monday.b.yaml",
            "<: &db {name: db, type: proxy, values: {ports: [1], proxy_hostname: h}}",
        ),
        ("monday.yaml", "<: &first {name: first}\n"),
        (
            "monday.z.yaml",
            "projects:\n- name: p\n  local: [*first, *api]\n  forward: [*db]\n",
        ),
    ]);
    assert_eq!(problems(&loaded), Vec::<String>::new());
    let loaded = loaded.unwrap();
    assert_eq!(loaded.projects[0].apps.len(), 2);
    assert_eq!(loaded.files.len(), 4);
    assert_eq!(loaded.files[0], std::path::Path::new("/conf/monday.yaml"));
}

#[test]
fn an_alias_before_its_anchor_is_an_error_with_its_position() {
    let result = read_files(&[
        (
            "monday.a.yaml",
            "projects:\n- name: p\n  local:\n  - *api\n  - *apo\n",
        ),
        ("monday.b.yaml", "<: &api {name: api}\n"),
    ]);
    assert_eq!(
        problems(&result),
        [
            "E unknown-anchor monday.a.yaml:4:5 no anchor `api` is declared before this alias",
            "E unknown-anchor monday.a.yaml:5:5 no anchor `apo` is declared before this alias",
        ]
    );
}

#[test]
fn an_anchor_that_was_probably_meant_is_suggested() {
    let result = read("<: &user-api {name: api}\nprojects: [{name: p, local: [*user-app]}]\n");
    let report = result.unwrap_err();
    assert_eq!(report.diagnostics[0].help, ["did you mean `*user-api`?"]);
    assert_eq!(report.diagnostics[0].secondary.len(), 1);
}

#[test]
fn a_file_without_a_final_line_end_does_not_glue_onto_the_next() {
    let loaded = read_files(&[
        ("monday.a.yaml", "local:\n- name: one"),
        ("monday.b.yaml", "projects:\n- name: p"),
    ])
    .unwrap();
    assert_eq!(loaded.projects[0].apps[0].name, "one");
}

#[test]
fn repeated_top_level_lists_are_joined() {
    let loaded = read_files(&[
        (
            "monday.a.yaml",
            "projects: [{name: a}]\nlocal: [{name: one}]\nprojects: [{name: b}]\nlocal:\n",
        ),
        (
            "monday.b.yaml",
            "projects:\n- name: c\nlocal: {name: two}\n",
        ),
    ])
    .unwrap();
    let names: Vec<&str> = loaded.names().collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(loaded.projects[2].apps.len(), 2);
}

#[test]
fn repeated_sections_merge_their_fields() {
    let loaded = read_files(&[
        ("monday.a.yaml", "run: {env: {A: 1, B: 1}}\n"),
        (
            "monday.b.yaml",
            "run: {env: {B: 2}}\nprojects:\n- name: p\n  local:\n  - name: x\n    run: {command: a}\n    run: {env: {C: 3}}\n",
        ),
    ])
    .unwrap();
    let run = loaded.projects[0].apps[0].run.clone().unwrap();
    assert_eq!(run.commands, ["a"]);
    assert_eq!(
        run.env,
        [("A", "1"), ("B", "2"), ("C", "3")].map(|(k, v)| (k.to_owned(), v.to_owned()))
    );
    assert_eq!(
        problems(&Ok(loaded)),
        ["W repeated-key monday.b.yaml:1:13 `B` is given twice: the last one counts"]
    );
}

#[test]
fn of_other_repeated_keys_the_last_wins_with_both_positions() {
    let result = read(
        "gopath: /a\nprojects:\n- name: p\n  local: [{name: one}]\n  local: [{name: two}]\ngopath: /b\n",
    );
    let found = problems(&result);
    assert_eq!(
        found,
        [
            "W repeated-key monday.yaml:5:3 `local` is given twice: the last one counts",
            "W repeated-key monday.yaml:6:1 `gopath` is given twice: the last one counts",
        ]
    );
    let loaded = result.unwrap();
    assert_eq!(loaded.projects[0].apps[0].name, "two");
    assert_eq!(loaded.projects[0].settings.gopath.as_deref(), Some("/b"));
    assert_eq!(loaded.report().diagnostics[0].secondary.len(), 1);
}

#[test]
fn only_the_first_document_of_a_file_counts() {
    let result =
        read("---\nprojects: [{name: p, local: [{name: a}]}]\n---\nprojects: [{name: q}]\n");
    assert_eq!(
        problems(&result),
        ["W second-document monday.yaml:3:1 only the first YAML document of a file is read"]
    );
    assert_eq!(result.unwrap().names().collect::<Vec<_>>(), ["p"]);
    sound("---\nprojects: [{name: p, local: [{name: a}]}]\n---\n");
    sound("%YAML 1.1\n---\nprojects: [{name: p, local: [{name: a}]}]\n...\n");
}

#[test]
fn an_empty_file_among_others_is_ignored_and_an_empty_whole_is_an_error() {
    let loaded = read_files(&[
        ("monday.a.yaml", ""),
        ("monday.b.yaml", "# nothing\n"),
        ("monday.c.yaml", "projects: [{name: p, local: [{name: a}]}]"),
    ]);
    assert_eq!(problems(&loaded), Vec::<String>::new());
    for text in ["", "\n\n", "# only this\n", "---\n", "~", "\u{feff}"] {
        let result = read(text);
        assert_eq!(
            problems(&result),
            ["E empty monday.yaml:1:1 the configuration is empty: monday.yaml"],
            "{text:?}"
        );
        assert!(result.unwrap_err().diagnostics[0].help[0].contains("init"));
    }
    assert_eq!(
        problems(&read("local: [{name: a}]\n")),
        ["E no-project no project is declared in monday.yaml"]
    );
}

#[test]
fn booleans_are_those_of_yaml_1_1() {
    for (text, expected) in [
        ("yes", true),
        ("On", true),
        ("TRUE", true),
        ("no", false),
        ("Off", false),
        ("'true'", true),
    ] {
        assert_eq!(
            app(&format!("name: a\npty: {text}")).pty,
            expected,
            "{text}"
        );
    }
    let result = read("projects: [{name: p, local: [{name: a, pty: maybe}]}]");
    assert_eq!(
        problems(&result),
        ["E bad-value monday.yaml:1:45 `pty`: `maybe` is neither `true` nor `false`"]
    );
}

#[test]
fn values_of_variables_keep_the_text_of_the_file() {
    let run = app(
        "name: a\nrun:\n  command: x\n  env:\n    A: 8005\n    B: on\n    C: 1.50\n    D: 017\n    E: 0x10\n    F: 2001-01-01\n    G: null\n    H: ~\n    I:\n    J: 'x # y'\n    K: 12:30:45\n    L: .inf\n    M: |\n      two\n      lines\n    N: $HOME/${X}",
    )
    .run
    .unwrap();
    let values: Vec<&str> = run.env.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(
        values,
        [
            "8005",
            "on",
            "1.50",
            "017",
            "0x10",
            "2001-01-01",
            "",
            "",
            "",
            "x # y",
            "12:30:45",
            ".inf",
            "two\nlines\n",
            "$HOME/${X}"
        ]
    );
}

#[test]
fn null_items_of_lists_are_errors_with_their_position() {
    let result = read(
        "projects:\n- name: p\n  local:\n  - name: a\n    build:\n      commands:\n      - x\n      -\n      - ~\n  -\n",
    );
    assert_eq!(
        problems(&result),
        [
            "E bad-value monday.yaml:8:7 `commands`: this item of the list is empty",
            "E bad-value monday.yaml:9:9 `commands`: this item of the list is empty",
            "E bad-value monday.yaml:10:3 `local`: this item of the list is empty",
        ]
    );
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = "<: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let before = format!("*a{}", level - 1);
        let line = format!("<: &a{level} [{}]\n", [before.as_str(); 10].join(", "));
        text.push_str(&line);
    }
    text += "projects: *a29\n";
    let result = read(&text);
    let found = problems(&result);
    assert!(
        found[0].starts_with("E alias-bomb monday.yaml:6:"),
        "{found:?}"
    );
    assert_eq!(found.len(), 1);
}

#[test]
fn a_long_text_that_is_repeated_is_refused_as_well() {
    let text = format!(
        "<: &long {}\nprojects: [{}]\n",
        "x".repeat(1_000_000),
        "*long, ".repeat(1000)
    );
    assert!(problems(&read(&text))[0].starts_with("E alias-bomb"));
}

#[test]
fn values_that_are_nested_too_deep_are_refused() {
    for text in [
        format!("projects: {}", "[".repeat(200)),
        format!("projects:\n{}x", "- ".repeat(1000)),
        (0..100).fold("<: &a0 [x]\n".to_owned(), |text, at| {
            text + &format!("<: &a{} [*a{at}]\n", at + 1)
        }) + "projects: *a100\n",
    ] {
        let found = problems(&read(&text));
        assert!(
            found
                .iter()
                .any(|problem| problem.starts_with("E too-deep")),
            "{found:?}"
        );
    }
}

#[test]
fn an_alias_cannot_contain_itself() {
    let result = read("projects: &a [*a]\n");
    assert_eq!(
        problems(&result)[0],
        "E unknown-anchor monday.yaml:1:15 no anchor `a` is declared before this alias"
    );
}

#[test]
fn the_top_level_is_a_map() {
    assert_eq!(
        problems(&read("- name: p\n")),
        ["E no-map monday.yaml:1:1 a configuration is a map, but here is a list"]
    );
    assert_eq!(
        problems(&read("hello\n")),
        ["E no-map monday.yaml:1:1 a configuration is a map, but here is a text"]
    );
}

#[test]
fn a_tab_is_named_as_what_it_is() {
    let result = read("projects:\n- name: p\n\tlocal: []\n");
    assert_eq!(
        problems(&result),
        ["E tab monday.yaml:3:1 a tab is used for indentation"]
    );
}

#[test]
fn what_is_no_yaml_has_a_position_and_a_hint() {
    for (text, place) in [
        ("projects:\n- name: p: q\n", "2:10"),
        ("projects: [a, b\nx: 1\n", "2:2"),
        ("projects: 'p\n", "1:11"),
        ("projects:\n  - name: p\n local: x\n", "3:2"),
        ("projects: @p\n", "1:11"),
        ("projects: {a: 1\n", "1:15"),
        ("projects: \"\\q\"\n", "1:11"),
        ("a\nprojects: x\n", "2:9"),
    ] {
        let report = read(text).unwrap_err();
        let found: Vec<String> = report
            .diagnostics
            .iter()
            .map(|problem| short(problem, &report))
            .collect();
        assert_eq!(found.len(), 1, "{text:?} {found:?}");
        assert!(
            found[0].starts_with(&format!("E syntax monday.yaml:{place} ")),
            "{text:?} {place} {found:?}"
        );
        assert!(!report.diagnostics[0].help.is_empty(), "{text:?}");
    }
}

#[test]
fn an_error_in_one_file_does_not_hide_those_of_another() {
    let result = read_files(&[
        ("monday.a.yaml", "<: &api {name: api}\nlocal: [x\n"),
        (
            "monday.b.yaml",
            "projects:\n- nam: p\n  local: [*api, *gone]\n",
        ),
    ]);
    let found = problems(&result);
    for part in [
        "E syntax monday.a.yaml:2:9",
        "E unknown-anchor monday.b.yaml:3:17",
        "W unknown-key monday.b.yaml:2:3 unknown key `nam`",
    ] {
        let shown = found.iter().any(|problem| problem.starts_with(part));
        assert!(shown, "{part} is not in {found:#?}");
    }
    // `api` is declared in the broken file: that its alias is unknown is no mistake.
    assert!(
        !found.iter().any(|problem| problem.contains("`api`")),
        "{found:?}"
    );
}

#[test]
fn what_libyaml_reads_although_yaml_forbids_it_is_read() {
    for text in [
        "projects:\n- name:\tp\n  local:\t\n  - name: a\n    path:\t/x\n",
        "projects:\n- name: p\n  local: [\n  {name: a,\n path: /x}\n]\n",
        "projects:\n- name: p\n  local:\n  - name: a\n    path: \"\n/x\"\n",
    ] {
        let loaded = sound(text);
        let app = &loaded.projects[0].apps[0];
        assert!(app.path.is_some(), "{text}");
        assert_eq!(app.name, "a");
    }
    let commands = |text: &str| app(text).build.unwrap().commands;
    assert_eq!(
        commands("name: a\nbuild:\n  commands: ['one',\n'two\n\nit''s']"),
        ["one", "two\nit's"]
    );
}

#[test]
fn positions_in_such_a_file_are_those_of_the_file_as_it_is() {
    let result = read("local: [\n{name: a, pty:\tmaybe}]\nprojects: [{name: \"p\nq\", x: 1}]\n");
    assert_eq!(
        problems(&result),
        [
            "W unknown-key monday.yaml:4:5 unknown key `x` of a project",
            "E bad-value monday.yaml:2:16 `pty`: `maybe` is neither `true` nor `false`",
        ]
    );
}

#[test]
fn a_quote_that_is_never_closed_is_shown_where_it_is_opened() {
    for text in [
        "projects:\n- name: 'p\n  local: []\n",
        "projects:\n- name: 'p\n  local: []\n- name: 'q'\n",
    ] {
        let found = problems(&read(text));
        assert!(
            found[0].starts_with("E syntax monday.yaml:2:9"),
            "{found:?}"
        );
        assert!(found[0].contains("never closed"), "{found:?}");
    }
}

#[test]
fn a_conflict_of_git_is_named_as_what_it_is() {
    let result = read("projects:\n<<<<<<< HEAD\n- name: p\n=======\n- name: q\n>>>>>>> x\n");
    assert_eq!(
        problems(&result),
        ["E conflict monday.yaml:2:1 git left a conflict in this file"]
    );
}

#[test]
fn a_pattern_without_quotes_is_no_alias() {
    let report = read("projects: [{name: p, local: [{name: a, watch: {exclude: [**/*.go]}}]}]\n")
        .unwrap_err();
    assert!(report.diagnostics.last().unwrap().help[0].contains("quotes"));
}

//! Several files, and the one that the Go program left behind.

use super::*;

const A: &str = "projects:\n- name: a\n  local: [{name: x}]\n";
const B: &str = "projects:\n- name: b\n  local: [{name: y}]";

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded.names().collect()
}

#[test]
fn the_merge_that_the_go_program_left_is_ignored_with_a_warning() {
    let merged = format!("{A}\n{B}\n");
    let result = read_files(&[
        ("monday.a.yaml", A),
        ("monday.b.yaml", B),
        ("monday.yaml", &merged),
    ]);
    let found = problems(&result);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("W leftover-merge monday.yaml:1:1 /conf/monday.yaml is ignored"),
        "{found:?}"
    );
    assert_eq!(names(&result.unwrap()), ["a", "b"]);
}

#[test]
fn so_is_a_merge_that_is_no_yaml_any_more_because_its_files_were_glued() {
    let glued = format!("{B}{A}");
    let result = read_files(&[
        ("monday.a.yaml", B),
        ("monday.b.yaml", A),
        ("monday.yaml", &glued),
    ]);
    assert!(
        problems(&result)[0].starts_with("W leftover-merge"),
        "{:?}",
        problems(&result)
    );
    assert_eq!(names(&result.unwrap()), ["b", "a"]);
}

#[test]
fn a_main_file_with_a_project_of_its_own_is_read() {
    let result = read_files(&[("monday.a.yaml", A), ("monday.yaml", B)]);
    assert_eq!(problems(&result), Vec::<String>::new());
    assert_eq!(names(&result.unwrap()), ["b", "a"]);
    let result = read_files(&[("monday.a.yaml", A), ("monday.yaml", "gopath: /go\n")]);
    assert_eq!(problems(&result), Vec::<String>::new());
    assert_eq!(
        result.unwrap().projects[0].settings.gopath.as_deref(),
        Some("/go")
    );
}

#[test]
fn a_main_file_that_shares_only_some_projects_is_an_error_with_both_positions() {
    let main = format!("{A}\n- name: c\n  local: [{{name: z}}]\n");
    let result = read_files(&[("monday.a.yaml", A), ("monday.yaml", &main)]);
    assert_eq!(
        problems(&result),
        ["E duplicate-name monday.a.yaml:2:9 two projects are called `a`"]
    );
    let loaded = result.unwrap();
    assert_eq!(loaded.projects.len(), 1);
    assert_eq!(loaded.projects[0].name, "c");
}

#[test]
fn a_relative_path_may_be_beside_the_file_that_names_it() {
    let machine = Fake::new()
        .set("MONDAY_CONFIG_PATH", "/conf")
        .file("/conf/monday.yaml", "<: &a {name: a, path: ./app}\n")
        .file(
            "/conf/monday.p.yaml",
            "projects: [{name: p, local: [*a, {name: b, path: other}]}]",
        )
        .file("/conf/app/main.go", "")
        .file("/here/other/main.go", "");
    let loaded = load_in(&Search::new(), &machine).unwrap();
    let paths: Vec<_> = loaded.projects[0]
        .apps
        .iter()
        .map(|app| app.path.clone().unwrap())
        .collect();
    assert_eq!(
        paths,
        [std::path::PathBuf::from("/conf/app"), "/here/other".into()]
    );
}

//! Every trap of the configuration, through the public commands: each folder below `traps` is a configuration, and its
//! file `expected` is what `validate --output json` and `config` answer, in short.
//!
//! `MONDAY_BLESS=1 cargo test -p monday-supervisor --test traps` writes what they answer now; read the difference.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traps")
}

/// Runs the supervisor on a configuration, in surroundings that are the same everywhere.
fn supervisor(args: &[&str], trap: &Path) -> Output {
    let nowhere = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_monday-supervisor"))
        .arg(args[0])
        .arg("--config")
        .arg(trap)
        .args(&args[1..])
        .current_dir(nowhere.path())
        .env_clear()
        .env("HOME", "/home/me")
        .env("MONDAY_EDITOR", "/bin/true")
        .env("XDG_RUNTIME_DIR", nowhere.path())
        .output()
        .unwrap()
}

/// `error[code] file:line:column message`, and below it where else and what to do.
fn in_short(diagnostic: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let place = |value: &Value| {
        let file = text(&value["file"]);
        let name = Path::new(&file)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        format!("{name}:{}:{}", value["line"], value["column"])
    };
    let mut short = format!(
        "{}[{}]",
        text(&diagnostic["severity"]),
        text(&diagnostic["code"])
    );
    if diagnostic["file"].is_string() {
        write!(short, " {}", place(diagnostic)).unwrap();
    }
    writeln!(short, " {}", text(&diagnostic["message"])).unwrap();
    for related in diagnostic["related"].as_array().unwrap() {
        writeln!(short, "  {} {}", place(related), text(&related["label"])).unwrap();
    }
    for help in diagnostic["help"].as_array().unwrap() {
        writeln!(short, "  help: {}", text(help)).unwrap();
    }
    short
}

/// What the commands answer, in short.
fn answers(trap: &Path) -> String {
    let validate = supervisor(&["validate", "--output", "json"], trap);
    let json: Value = serde_json::from_slice(&validate.stdout).unwrap();
    let mut answers = String::new();
    for diagnostic in json["diagnostics"].as_array().unwrap() {
        answers.push_str(&in_short(diagnostic));
    }
    writeln!(answers, "exit status {}", validate.status.code().unwrap()).unwrap();
    for project in json["projects"].as_array().into_iter().flatten() {
        let config = supervisor(&["config", project.as_str().unwrap()], trap);
        if config.status.success() {
            write!(
                answers,
                "--- {}\n{}",
                project.as_str().unwrap(),
                String::from_utf8(config.stdout).unwrap()
            )
            .unwrap();
        }
    }
    // The only trace of where the test runs.
    answers.replace(&format!("{}/", trap.display()), "")
}

fn check(name: &str) {
    let trap = folder().join(name);
    let expected = trap.join("expected");
    let found = answers(&trap);
    if std::env::var_os("MONDAY_BLESS").is_some() {
        std::fs::write(&expected, found).unwrap();
        return;
    }
    assert_eq!(found, std::fs::read_to_string(&expected).unwrap(), "{name}");
}

/// One test for each folder.
macro_rules! traps {
    ($($sentence:ident: $folder:literal,)+) => {
        $(
            #[test]
            fn $sentence() {
                check($folder);
            }
        )+

        const FOLDERS: &[&str] = &[$($folder),+];
    };
}

traps! {
    a_repeated_less_than_declares_shared_parts_and_nothing_else: "repeated-less-than",
    merge_keys_work_at_every_level: "merge-keys",
    a_later_definition_of_an_anchor_serves_later_aliases: "anchor-redefined",
    anchors_flow_from_file_to_file: "anchors-across-files",
    an_alias_before_its_anchor_is_an_error: "alias-before-anchor",
    an_alias_that_is_never_declared_is_an_error_and_a_near_one_is_suggested: "alias-never-declared",
    a_file_without_a_final_newline_does_not_glue: "no-final-newline",
    top_level_lists_are_joined: "joined-lists",
    sections_are_merged: "merged-sections",
    of_a_repeated_key_the_last_counts_with_a_warning: "repeated-key",
    unknown_keys_are_warned_of_and_explained: "unknown-keys",
    keys_of_the_first_version_name_the_key_of_now: "keys-of-version-one",
    values_of_variables_keep_their_text: "raw-env",
    variables_have_four_forms: "env-forms",
    variables_of_the_app_win_over_those_of_all: "env-precedence",
    booleans_are_those_of_yaml_1_1: "booleans",
    what_is_no_boolean_is_an_error: "wrong-booleans",
    ports_are_texts_and_never_base_sixty: "ports",
    wrong_ports_have_their_position: "wrong-ports",
    null_items_of_lists_are_errors: "null-items",
    aliases_that_multiply_are_refused: "alias-bomb",
    the_friendly_forms_are_accepted: "superset",
    globals_reach_every_project: "globals",
    every_key_of_an_app_is_read: "app-keys",
    every_key_of_a_forward_is_read: "forward-keys",
    every_fault_is_read: "faults",
    wrong_faults_are_errors_with_what_was_meant: "wrong-faults",
    the_remote_types_do_not_listen_here: "remote-types",
    a_project_may_have_only_forwards_and_two_of_them_one_hostname: "only-forwards",
    two_forwards_cannot_listen_on_the_same_port_of_one_name: "same-listener",
    a_proxy_that_leads_to_itself_is_an_error: "proxy-loop",
    with_private_names_a_proxy_may_lead_to_its_own_name: "private-proxy",
    names_may_have_spaces: "names-with-spaces",
    two_things_of_one_name_are_an_error: "two-of-one-name",
    an_unknown_forward_type_lists_the_types: "unknown-forward-type",
    a_misspelt_key_far_down_is_found: "four-levels-down",
    a_tab_is_named: "tab",
    invalid_utf8_is_named: "not-utf8",
    an_empty_configuration_says_how_to_make_one: "empty",
    an_empty_file_among_others_is_ignored: "empty-among-others",
    a_second_document_is_ignored_with_a_warning: "second-document",
    a_configuration_without_projects_is_an_error: "no-project",
    broken_yaml_has_its_position: "broken-yaml",
    a_quote_that_is_never_closed_is_found_where_it_is_opened: "unclosed-quote",
    a_conflict_of_git_is_named: "conflict",
    what_libyaml_reads_is_read: "what-libyaml-reads",
    the_merge_that_the_go_program_left_is_ignored: "leftover-merge",
    a_project_that_is_declared_twice_is_an_error_with_both_positions: "project-twice",
    values_of_the_wrong_kind_say_what_is_expected: "wrong-kinds",
    apps_that_wait_for_each_other_are_an_error: "circle",
    paths_are_expanded: "paths",
    paths_that_cannot_be_expanded_are_errors: "wrong-paths",
    a_team_s_folder_of_split_files_is_read: "team",
    templates_that_are_none_are_warned_of: "templates",
    words_that_are_none_are_named_with_those_there_are: "wrong-words",
    host_names_may_go_wherever_that_is_possible: "hosts-auto",
    host_names_may_have_to_go_into_the_hosts_file: "hosts-system",
    what_does_nothing_is_warned_of: "unused",
    defaults_of_variables_are_expanded_as_well: "default-paths",
    words_of_other_tools_are_answered_with_ours: "words-of-other-tools",
}

#[test]
fn every_folder_has_its_test() {
    let mut folders: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let mut tested: Vec<&str> = FOLDERS.to_vec();
    tested.sort_unstable();
    assert_eq!(folders, tested);
}

#[test]
fn no_file_of_the_user_is_ever_written() {
    let trap = folder().join("leftover-merge");
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(&trap).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let state = || {
        let mut state: Vec<_> = std::fs::read_dir(copy.path())
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                (
                    path.clone(),
                    std::fs::read(&path).unwrap(),
                    path.metadata().unwrap().modified().unwrap(),
                )
            })
            .collect();
        state.sort();
        state
    };
    let before = state();
    for args in [
        &["validate"][..],
        &["list"],
        &["config", "one"],
        &["edit"],
        &["run", "one", "--", "/bin/true"],
    ] {
        let output = supervisor(args, copy.path());
        assert!(output.status.success(), "{args:?} {output:?}");
    }
    assert_eq!(state(), before);
}

/// The page that says which trap is tested where.
const PAGE: &str = include_str!("TRAPS.md");

#[test]
fn every_folder_is_on_the_page_of_the_traps_and_nothing_else_is() {
    let tables = PAGE
        .split("## Traps that show only in a run")
        .next()
        .unwrap();
    let rows = tables
        .lines()
        .filter(|line| line.starts_with("| ") && !line.ends_with("| folders |"));
    let mut named: Vec<&str> = rows
        .flat_map(|row| {
            row.trim_end_matches(" |")
                .rsplit(" | ")
                .next()
                .unwrap()
                .split(", ")
        })
        .collect();
    named.sort_unstable();
    named.dedup();
    let mut folders: Vec<&str> = FOLDERS.to_vec();
    folders.sort_unstable();
    assert_eq!(named, folders);
}

/// What a project never shows: shared parts, and what became part of every project.
const NOT_SHOWN: [&str; 6] = ["<", "anchors", "setup", "build", "run", "watch"];

#[test]
fn every_key_of_the_schema_is_in_what_config_shows_of_a_trap() {
    let schema = Command::new(env!("CARGO_BIN_EXE_monday-supervisor"))
        .arg("schema")
        .output()
        .unwrap();
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    let mut known = BTreeSet::new();
    ways_of_schema(&schema, &schema, "", &mut known);
    let mut shown = BTreeSet::new();
    for name in FOLDERS {
        let expected = std::fs::read_to_string(folder().join(name).join("expected")).unwrap();
        for project in expected.split("\n--- ").skip(1) {
            let (_, yaml) = project.split_once('\n').unwrap();
            ways_of_value(&serde_yaml::from_str(yaml).unwrap(), "", &mut shown);
        }
    }
    let top = |way: &str| way[1..].split('.').next().unwrap().to_owned();
    let missing: Vec<&String> = known
        .iter()
        .filter(|way| !NOT_SHOWN.contains(&top(way).as_str()))
        // The apps and forwards of all are shown as those of a project.
        .filter(|way| !["local", "forward"].contains(&top(way).as_str()))
        .filter(|way| !shown.contains(*way))
        .collect();
    assert!(known.len() > 150, "{known:?}");
    assert_eq!(missing, Vec::<&String>::new());
}

/// The ways to all keys, `.projects.local.run.env` among them.
fn ways_of_schema(root: &Value, part: &Value, way: &str, ways: &mut BTreeSet<String>) {
    if let Some(target) = part["$ref"].as_str() {
        ways_of_schema(root, root.pointer(&target[1..]).unwrap(), way, ways);
    }
    for several in ["anyOf", "oneOf", "allOf"] {
        for part in part[several].as_array().into_iter().flatten() {
            ways_of_schema(root, part, way, ways);
        }
    }
    for one in ["then", "else", "items"] {
        if let Some(part) = part.get(one) {
            ways_of_schema(root, part, way, ways);
        }
    }
    for (key, value) in part["properties"].as_object().into_iter().flatten() {
        let way = format!("{way}.{key}");
        ways_of_schema(root, value, &way, ways);
        ways.insert(way);
    }
}

/// The ways to all keys of a document.
fn ways_of_value(value: &serde_yaml::Value, way: &str, ways: &mut BTreeSet<String>) {
    for item in value.as_sequence().into_iter().flatten() {
        ways_of_value(item, way, ways);
    }
    for (key, value) in value.as_mapping().into_iter().flatten() {
        let way = format!("{way}.{}", key.as_str().unwrap_or_default());
        ways_of_value(value, &way, ways);
        ways.insert(way);
    }
}

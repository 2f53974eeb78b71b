//! The README's shell blocks run, word for word.
//!
//! `<!-- test: skip because … -->` before a block keeps it from being run; `<!-- test: with FILE from above -->` writes
//! the last YAML block into that file first.

use std::time::Duration;

use monday_tests::document;
use monday_tests::executable;
use monday_tests::namespace::Privacy;
use monday_tests::world::World;
use monday_tests::{needs_namespaces, needs_programs};

const PRIVACY: Privacy = Privacy::HostsAndNetwork;

#[test]
fn every_shell_block_runs() {
    needs_programs!("curl", "jq", "nc", "ip", "python3");
    needs_namespaces!(PRIVACY);
    let text = readme();
    let mut yaml = None;
    let mut ran = 0;
    for block in document::blocks(&text) {
        if block.language == "yaml" {
            yaml = Some(block.text.clone());
        }
        let directive = block.directive.as_deref().unwrap_or_default();
        let program = match block.language.as_str() {
            "sh" => "sh",
            "python" => "python3",
            _ => continue,
        };
        if directive.starts_with("skip because ") {
            continue;
        }
        let world = World::new().with(PRIVACY);
        if !directive.is_empty() {
            let file = directive
                .strip_prefix("with ")
                .and_then(|rest| rest.strip_suffix(" from above"))
                .unwrap_or_else(|| panic!("README.md:{}: {directive}?", block.line));
            let content = yaml.as_deref().expect("a YAML block above");
            world.write(&format!("home/{file}"), content);
        }
        // As a person types it, one command after the other; the first that fails ends it.
        let words: &[&str] = match program {
            "sh" => &["-e", "-c"],
            _ => &["-c"],
        };
        let finished = world.run(program, words.iter().copied().chain([block.text.as_str()]));
        assert_eq!(
            finished.code, 0,
            "README.md:{}:\n{}\n--- standard output\n{}--- standard error\n{}",
            block.line, block.text, finished.stdout, finished.stderr
        );
        world.assert_no_survivors(Duration::from_secs(20));
        world.assert_hosts_untouched();
        ran += 1;
    }
    assert!(ran >= 4, "only {ran} blocks of the README were run");
}

#[test]
fn it_names_the_two_commands_that_a_newcomer_needs() {
    let blocks = document::blocks(&readme());
    for command in ["make demo", "make test"] {
        let shown =
            |block: &document::Block| block.language == "sh" && block.text.trim() == command;
        assert!(blocks.iter().any(shown), "`{command}` is not shown");
    }
}

fn readme() -> String {
    let path = executable::workspace().join("README.md");
    std::fs::read_to_string(path).expect("there is a README")
}

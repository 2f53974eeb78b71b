//! `shared/PROTOCOL.md` is true: every line of it is sent to the real executables, and what comes back is compared with
//! what it says. And it is complete: no method, event, parameter or kind of error is left out.

mod happening;
mod same;
mod scene;
mod stage;

use std::collections::BTreeSet;

use monday_shared::protocol::common::{Hello, History, Subscribe};
use monday_shared::protocol::error::ErrorKind;
use monday_shared::protocol::fault::FaultSpec;
use monday_shared::protocol::{ipalias, run, supervisor, tcpproxy, watch};
use monday_tests::document;
use monday_tests::executable;
use monday_tests::needs_programs;
use serde_json::{Value, json};

use scene::{Line, lines_of, scenes, text};
use stage::Stage;

#[test]
fn every_example_of_monday_run_is_true() {
    play("monday-run");
}

#[test]
fn every_example_of_monday_watch_is_true() {
    play("monday-watch");
}

#[test]
fn every_example_of_monday_tcpproxy_is_true() {
    play("monday-tcpproxy");
}

#[test]
fn every_example_of_monday_fwd_is_true() {
    play("monday-fwd");
}

#[test]
fn every_example_of_monday_ipalias_is_true() {
    play("monday-ipalias");
}

#[test]
fn every_example_of_monday_supervisor_is_true() {
    play("monday-supervisor");
}

#[test]
fn every_method_has_an_example() {
    for name in executable::SIDECARS
        .into_iter()
        .chain([executable::WATCH, executable::SUPERVISOR])
    {
        let shown: BTreeSet<String> = lines_of(name)
            .filter_map(|line| match line {
                Line::Request(text) => serde_json::from_str::<Value>(&text).ok(),
                _ => None,
            })
            .filter_map(|request| Some(request["method"].as_str()?.to_owned()))
            .collect();
        let common = ["hello", "subscribe", "shutdown"];
        let sidecar = crate::sidecar::Sidecar::start(name);
        let hello = sidecar.connect().ask("hello");
        for method in hello["methods"].as_array().expect("a list") {
            let method = method.as_str().expect("a text");
            assert!(
                shown.contains(method) || common.contains(&method),
                "PROTOCOL.md has no example of `{method}` of {name}"
            );
        }
    }
}

#[test]
fn every_event_has_an_example() {
    let mut all = vec![("monday-run", vec!["lagged".to_owned()])];
    all.push(("monday-run", variants::<run::Event>()));
    all.push(("monday-watch", variants::<watch::Event>()));
    all.push(("monday-tcpproxy", variants::<tcpproxy::Event>()));
    all.push(("monday-ipalias", variants::<ipalias::Event>()));
    all.push(("monday-supervisor", variants::<supervisor::Event>()));
    for (name, events) in all {
        assert!(!events.is_empty());
        let shown: BTreeSet<String> = lines_of(name)
            .filter_map(|line| match line {
                Line::Answer(text) => serde_json::from_str::<Value>(&text).ok(),
                _ => None,
            })
            .filter_map(|line| {
                let event = line
                    .get("event")
                    .or_else(|| line.get("params")?.get("event"));
                Some(event?.as_str()?.to_owned())
            })
            .collect();
        for event in events {
            assert!(
                shown.contains(&event),
                "PROTOCOL.md has no example of the event `{event}` of {name}"
            );
        }
    }
}

/// The events of an executable: serde names them all when it is given one that does not exist.
fn variants<E: serde::de::DeserializeOwned>() -> Vec<String> {
    let refused = serde_json::from_value::<E>(json!({"event": "?"}));
    let error = refused.err().expect("there is no such event").to_string();
    expected(&error)
}

/// The names in "unknown `?`, expected one of `a`, `b`".
fn expected(error: &str) -> Vec<String> {
    let names = error.split('`').skip(3).step_by(2);
    names.map(str::to_owned).collect()
}

#[test]
fn every_parameter_is_explained() {
    let explained = text();
    let all = [
        fields::<Hello>(),
        fields::<Subscribe>(),
        fields::<History>(),
        fields::<run::RunSpec>(),
        fields::<run::RestartPolicy>(),
        fields::<run::Readiness>(),
        fields::<run::LogFile>(),
        fields::<run::Stop>(),
        fields::<run::Signal>(),
        fields::<watch::WatchSpec>(),
        fields::<watch::Unwatch>(),
        fields::<tcpproxy::RouteSpec>(),
        fields::<tcpproxy::Close>(),
        fields::<tcpproxy::Apply>(),
        fields::<tcpproxy::Wait>(),
        fields::<tcpproxy::Clear>(),
        fields::<tcpproxy::Drain>(),
        fields::<FaultSpec>(),
        fields::<ipalias::NameSpec>(),
        fields::<ipalias::Release>(),
        fields::<supervisor::Status>(),
        fields::<supervisor::Restart>(),
        fields::<supervisor::Start>(),
        fields::<supervisor::Stop>(),
        fields::<supervisor::Signal>(),
        fields::<supervisor::Reconnect>(),
        fields::<supervisor::Wait>(),
        fields::<supervisor::Switch>(),
        fields::<ipalias::Exchange>(),
    ];
    for field in all.iter().flatten() {
        assert!(
            explained.contains(&format!("`{field}`"))
                || explained.contains(&format!("\"{field}\":")),
            "PROTOCOL.md does not explain `{field}`"
        );
    }
    assert!(all.iter().all(|fields| !fields.is_empty()));
}

/// The members of parameters: serde names them all when it is given one that does not exist.
fn fields<P: serde::de::DeserializeOwned>() -> Vec<String> {
    let refused = serde_json::from_value::<P>(json!({"?": 0}));
    let error = refused.err().expect("there is no such member").to_string();
    expected(&error)
}

#[test]
fn every_kind_of_error_is_listed_with_its_number() {
    let text = text();
    let rows: Vec<(String, String)> = document::rows_below(&text, "Errors")
        .into_iter()
        .map(|row| (row[0].to_owned(), row[1].to_owned()))
        .collect();
    let kinds: Vec<(String, String)> = ErrorKind::ALL
        .into_iter()
        .map(|kind| {
            let name = json!(kind).as_str().expect("a kind is a text").to_owned();
            (name, kind.code().to_string())
        })
        .collect();
    assert_eq!(rows, kinds);
}

/// Plays every scene of an executable.
fn play(name: &str) {
    needs_programs!("nc", "jq");
    let scenes = scenes()
        .into_iter()
        .filter(|scene| scene.command[0] == name);
    let mut played = 0;
    for scene in scenes {
        Stage::set(&scene).play(&scene.blocks);
        played += 1;
    }
    assert!(played > 0, "PROTOCOL.md does not start {name}");
}

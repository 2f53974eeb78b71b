//! What it says when it cannot do what was asked.

use monday_tests::cluster::{App, together};
use monday_tests::fake_api::{FakeApi, Refusal};
use monday_tests::world::World;

use crate::forwarder::{Forwarder, connect, start};
use crate::staged::{WORDS, echo};

fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn every_way_that_was_tried_is_told_with_its_answer() {
    let (world, fake) = (World::new(), FakeApi::start());
    fake.pod("web-1", "web", &[("echo", 7001, echo())]);
    fake.behave(|behaviour| {
        behaviour.spdy = Refusal::Status(403, "Forbidden", "spdy is forbidden here");
        behaviour.tunnel = Refusal::Status(403, "Forbidden", "nor is this");
    });
    let done = start(&world, &fake.kubeconfig(&world), &WORDS)
        .finish_open()
        .expect_code(1);
    assert_says(
        &done.stderr,
        &[
            "fake",
            "default",
            "app=web",
            "web-1",
            "spdy is forbidden here",
            "nor is this",
            "kubectl auth can-i create pods --subresource portforward",
        ],
    );
}

#[test]
fn a_context_that_is_not_there_is_told_with_those_that_are() {
    let (world, fake) = (World::new(), FakeApi::start());
    let words = ["--context", "elsewhere", "-l", "app=web", "0:80"];
    let done = start(&world, &fake.kubeconfig(&world), &words).finish_open();
    assert!([1, 2].contains(&done.code), "{done:?}");
    assert_says(&done.stderr, &["elsewhere", "fake", "kubeconfig"]);
}

#[test]
fn a_kubeconfig_that_is_not_there_or_makes_no_sense_is_named() {
    let world = World::new();
    let missing = world.path("nowhere");
    let done = start(&world, &missing, &WORDS).finish_open();
    assert!([1, 2].contains(&done.code), "{done:?}");
    assert_says(&done.stderr, &["nowhere"]);
    let broken = world.file("broken", "clusters: {{{\n");
    let done = start(&world, &broken, &WORDS).finish_open();
    assert!([1, 2].contains(&done.code), "{done:?}");
    assert_says(&done.stderr, &["broken"]);
}

#[test]
fn words_that_make_no_forward_are_refused_with_status_2() {
    let world = World::new();
    let kubeconfig = world.path("not-read");
    for (words, named) in [
        (&["-l", "app=web"][..], "Usage"),
        (&["0:80"], "-l KEY=VALUE"),
        (&["-l", "app=web", "x:80"], "x:80"),
        (&["-l", "app=web", "0:70000"], "70000"),
        (&["-l", "=", "0:80"], "="),
        (&["node/one", "0:80"], "node"),
        (&["-l", "app=web", "pod/one", "0:80"], "pod/one"),
        (&["-l", "app=web", "a@0:80", "a@0:81"], "MONDAY_ADDR_A"),
    ] {
        let done = start(&world, &kubeconfig, words)
            .finish_open()
            .expect_code(2);
        assert_says(&done.stderr, &[named]);
    }
}

#[test]
fn a_port_that_refuses_is_told_with_pod_and_port() {
    let Some(cluster) = together() else { return };
    let app = App::new("complaints", "web");
    cluster.deploy(&app);
    let words = ["-n", "complaints", "-l", "app=web", "0:9"];
    let mut forwarder = Forwarder::ready(&cluster.kubeconfig(), &words);
    let _ = std::io::Read::read(&mut connect(forwarder.address()), &mut [0]);
    let told = forwarder
        .process
        .event_where("a failed connection", |event| event["error"].is_string());
    let pod = &cluster.pods(&app)[0];
    assert_says(
        told["error"].as_str().unwrap(),
        &["9", "connection refused", pod],
    );
}

#[test]
fn a_name_that_no_port_has_is_told_with_those_that_there_are() {
    let Some(cluster) = together() else { return };
    cluster.deploy(&App::new("unnamed", "web"));
    let words = ["-n", "unnamed", "-l", "app=web", "0:grpc"];
    let mut forwarder = Forwarder::ready(&cluster.kubeconfig(), &words);
    let _ = std::io::Read::read(&mut connect(forwarder.address()), &mut [0]);
    let told = forwarder
        .process
        .event_where("a failed connection", |event| event["error"].is_string());
    assert_says(told["error"].as_str().unwrap(), &["grpc", "talk", "http"]);
}

#[test]
fn what_is_waited_for_is_told_while_there_is_no_pod() {
    let Some(cluster) = together() else { return };
    cluster.deploy(&App::new("nobody", "web"));
    let world = World::new();
    let words = ["-n", "nobody", "-l", "app=nobody", "0:80"];
    let mut process = start(&world, &cluster.kubeconfig(), &words);
    let told = process.event_where("why it waits", |event| event["why"].is_string());
    assert_says(
        &told.to_string(),
        &[
            "app=nobody",
            "namespace nobody",
            "context monday",
            "no such pod",
        ],
    );
}

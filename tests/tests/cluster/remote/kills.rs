//! Whoever is killed, and whenever: the workload is put back.

use monday_tests::cluster::{App, Part, alone, together};
use monday_tests::control::Control;
use monday_tests::process::Process;
use monday_tests::wait::{Deadline, PATIENCE, ProcessFd};
use nix::sys::signal::Signal;

use super::stage::{
    ROLLOUT, Remote, assert_restored, own_name, restore, step_of, talk_of, until_restored,
    watcher_of,
};
use crate::talk;

fn kill(pid: u32) {
    let process = ProcessFd::open(pid).expect("it runs");
    process.kill();
    assert!(process.wait(Deadline::patient()), "{pid} lives on");
}

/// The steps at which something is killed.
const STEPS: [&str; 4] = ["journalled", "patched", "tunnelled", "restoring"];

/// Brings a session to that step.
fn at(remote: &mut Remote, step: &str) {
    if step == "restoring" {
        remote.step("tunnelled");
        remote.process.signal(Signal::SIGTERM);
    }
    remote.step(step);
}

#[test]
fn a_killed_forward_is_put_back_by_the_process_beside_it_at_every_step() {
    let Some(cluster) = together() else { return };
    let app = App::new("kill-one", "web");
    cluster.deploy(&app);
    for step in STEPS {
        let mut remote = Remote::on(&cluster, &app.namespace, &[]);
        at(&mut remote, step);
        remote.process.signal(Signal::SIGKILL);
        let took = until_restored(&cluster, &app.namespace, &remote.before, 3 * PATIENCE);
        println!("killed when {step}: as it was after {took:?}");
        remote.assert_alone();
        assert_restored(&cluster, &app.namespace, &remote.before);
        let (code, said) = restore(&remote.world, &cluster, &["-n", &app.namespace]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("nothing to be put back"), "{step}: {said}");
    }
}

#[test]
fn when_both_are_killed_the_next_start_puts_it_back_at_every_step() {
    let Some(cluster) = together() else { return };
    let app = App::new("kill-both", "web");
    cluster.deploy(&app);
    for (place, step) in STEPS.into_iter().enumerate() {
        let mut remote = Remote::on(&cluster, &app.namespace, &[]);
        remote.step("checking");
        let watcher = remote.watcher();
        at(&mut remote, step);
        kill(watcher);
        remote.process.signal(Signal::SIGKILL);
        remote.process.wait();
        // One that was started when the first was killed.
        remote.assert_alone();
        if place % 2 == 0 {
            let (code, said) = restore(&remote.world, &cluster, &["-n", &app.namespace]);
            assert_eq!(code, 0, "{step}: {said}");
            until_restored(&cluster, &app.namespace, &remote.before, PATIENCE);
        } else {
            // Any start will do, and it can begin anew.
            let ports = remote.here.ports();
            let words = ["-n", "kill-both", "deployment/web", &ports[0]];
            let mut next = super::stage::start(&remote.world, &cluster, &words);
            step_of(&mut next, "tunnelled");
            let name = talk::who(talk_of(&cluster, "kill-both")).unwrap();
            assert_eq!(name, own_name(), "{step}");
            next.signal(Signal::SIGTERM);
            next.wait_within(ROLLOUT);
        }
        assert_restored(&cluster, &app.namespace, &remote.before);
    }
}

#[test]
fn a_killed_watcher_is_started_again_and_does_its_work() {
    let Some(cluster) = together() else { return };
    let remote = Remote::ready(&cluster, &App::new("kill-watcher", "web"));
    let watcher = remote.watcher();
    kill(watcher);
    let next = watcher_of(remote.process.pid(), Some(watcher));
    assert_ne!(next, watcher);
    remote.process.signal(Signal::SIGKILL);
    until_restored(&cluster, "kill-watcher", &remote.before, 3 * PATIENCE);
}

#[test]
fn another_machine_puts_back_what_is_over_and_leaves_alone_what_is_not() {
    let Some(cluster) = together() else { return };
    let mut remote = Remote::ready(&cluster, &App::new("kill-other", "web"));
    // A world of its own has no journal.
    let elsewhere = monday_tests::world::World::new();
    let words = ["-n", "kill-other"];
    let (code, said) = restore(&elsewhere, &cluster, &words);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("it is left alone"), "{said}");
    let watcher = remote.watcher();
    kill(watcher);
    remote.process.signal(Signal::SIGKILL);
    remote.process.wait();
    remote.assert_alone();
    let (code, said) = restore(&elsewhere, &cluster, &["--all", "-n", "kill-other"]);
    assert_eq!(code, 0, "{said}");
    until_restored(&cluster, "kill-other", &remote.before, PATIENCE);
}

#[test]
fn without_an_api_server_it_is_left_to_the_next_start_loudly() {
    let Some(cluster) = alone() else { return };
    let mut remote = Remote::ready(&cluster, &App::new("kill-api", "web"));
    cluster.kill(Part::ApiServer);
    remote.process.signal(Signal::SIGTERM);
    let code = remote.process.wait_within(ROLLOUT);
    let said = remote.process.transcript();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("COULD NOT BE PUT BACK"), "{said}");
    cluster.start(Part::ApiServer);
    cluster.wait_until_ready(Deadline::within(3 * PATIENCE));
    // The watcher may have been quicker: then nothing is left to be done.
    let (code, said) = restore(&remote.world, &cluster, &["-n", "kill-api"]);
    assert_eq!(code, 0, "{said}");
    assert_restored(&cluster, "kill-api", &remote.before);
}

/// The pid of the project's monday-fwd.
fn forwarder_of(socket: &std::path::Path) -> u32 {
    let status = Control::connect(socket).ask("status");
    let sidecars = status["sidecars"].as_array().unwrap();
    let fwd = sidecars
        .iter()
        .find(|one| one["name"] == "monday-fwd")
        .unwrap();
    u32::try_from(fwd["pid"].as_u64().unwrap()).unwrap()
}

#[test]
fn under_a_supervisor_the_next_forward_goes_on_and_without_it_all_is_put_back() {
    let Some(cluster) = together() else { return };
    let app = App::new("kill-project", "web");
    cluster.deploy(&app);
    let before = cluster.get("kill-project", "deployment/web");
    let world = monday_tests::world::World::new();
    let port = monday_tests::port::free_port();
    let yaml = format!(
        "\
kubeconfig: {kubeconfig}
projects:
  - name: shop
    local:
      - name: web
        run: {pod} talk:{port}
    forward:
      - name: web
        type: kubernetes-remote
        values: {{namespace: kill-project, deployment: web, ports: ['7000:{port}']}}
",
        kubeconfig = cluster.kubeconfig().display(),
        pod = world.executables().join("monday-pod").display(),
    );
    let config = world.configure(&yaml);
    let mut command = world.command("monday-supervisor");
    command
        .args(["run", "shop", "--output", "json", "--config"])
        .arg(&config);
    let mut process = Process::start(command);
    process.ready();
    let says = |process: &mut Process, text: &str| {
        let text = text.to_owned();
        process.event_where(&text, |event| event.to_string().contains(&text));
    };
    says(&mut process, "leads here from");
    let socket = world.supervisor_socket("shop");
    // What a change of the spec would change; the time until which a session is good is renewed all the time.
    let revision = |what: &serde_json::Value| {
        what["metadata"]["annotations"]["deployment.kubernetes.io/revision"].clone()
    };
    let during = cluster.get("kill-project", "deployment/web");
    assert_ne!(revision(&during), revision(&before));
    let agent = talk_of(&cluster, "kill-project");
    assert_eq!(
        talk::who(talk_of(&cluster, "kill-project")).unwrap(),
        own_name()
    );

    kill(forwarder_of(&socket));
    says(&mut process, "goes on");
    says(&mut process, "leads here from");
    assert_eq!(
        talk::who(talk_of(&cluster, "kill-project")).unwrap(),
        own_name()
    );
    let after = cluster.get("kill-project", "deployment/web");
    if (revision(&after), &after["spec"]) != (revision(&during), &during["spec"]) {
        process.fail("it was touched twice");
    }
    assert_eq!(
        talk_of(&cluster, "kill-project"),
        agent,
        "the agent did not stay"
    );

    // All of it at once.
    let fwd = forwarder_of(&socket);
    process.signal(Signal::SIGKILL);
    kill(fwd);
    until_restored(&cluster, "kill-project", &before["spec"], 3 * PATIENCE);
    world.assert_no_survivors(3 * PATIENCE);
}

//! What cannot be done is said once, with what to do; and nothing is changed.

use monday_tests::cluster::{App, Cluster, Rule, together};
use monday_tests::process::Process;
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::json;

use super::stage::{ROLLOUT, Remote, assert_restored, start};

/// Ends by itself with status 1 and says all of that, in one message.
fn refused(mut process: Process, said: &[&str]) {
    process.wait_within(ROLLOUT);
    let done = process.finish_open();
    let transcript = format!("{}{}", done.stdout, done.stderr);
    assert_eq!(done.code, 1, "{transcript}");
    let last = transcript
        .lines()
        .rev()
        .find(|line| line.contains("monday-fwd: "))
        .unwrap_or_default();
    for text in said {
        assert!(
            last.contains(text),
            "`{text}` is not in {last}\n{transcript}"
        );
    }
}

/// All that would change if something was changed; not the time until which a session is good.
fn state_of(cluster: &Cluster, namespace: &str) -> serde_json::Value {
    let object = cluster.get(namespace, "deployment/web");
    let annotations = &object["metadata"]["annotations"];
    json!([
        object["spec"],
        annotations["monday.internal/session"],
        annotations["deployment.kubernetes.io/revision"]
    ])
}

#[test]
fn who_may_not_do_it_is_told_every_right_that_is_missing() {
    let Some(cluster) = together() else { return };
    cluster.deploy(&App::new("refuse-rights", "web"));
    let look = Rule {
        group: "apps",
        resources: &["deployments"],
        verbs: &["get", "list"],
    };
    let kubeconfig = cluster.user("remote-looker", "refuse-rights", &[Rule::PODS, look]);
    let before = state_of(&cluster, "refuse-rights");
    let world = World::new();
    let mut command = world.command("monday-fwd");
    command
        .args([
            "kubernetes-remote",
            "-n",
            "refuse-rights",
            "deployment/web",
            "7000:1",
        ])
        .env("KUBECONFIG", &kubeconfig);
    let said = [
        "rights are missing",
        "`watch` on `deployments`",
        "`patch` on `deployments`",
        "`create` or `get` on `pods/portforward`",
        "nothing was changed",
        "kubectl --context",
        "auth can-i --list --namespace refuse-rights",
    ];
    refused(Process::start(command), &said);
    assert_eq!(state_of(&cluster, "refuse-rights"), before);
}

#[test]
fn an_image_that_does_not_exist_is_undone_with_the_words_of_the_cluster() {
    let Some(cluster) = together() else { return };
    cluster.deploy(&App::new("refuse-image", "web"));
    let words = ["--image", "monday.test/nothing/agent:1"];
    let remote = Remote::on(&cluster, "refuse-image", &words);
    let (before, world, here) = (remote.before, remote.world, remote.here);
    refused(
        remote.process,
        &[
            "monday.test/nothing/agent:1",
            "ImagePull",
            "it was put back",
        ],
    );
    assert_restored(&cluster, "refuse-image", &before);
    drop((world, here));
}

#[test]
fn a_quota_that_forbids_the_pod_is_named_and_nothing_stays_changed() {
    let Some(cluster) = together() else { return };
    cluster.deploy(&App::new("refuse-quota", "web"));
    cluster.apply(&[json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "tight", "namespace": "refuse-quota"},
        "spec": {"hard": {"pods": "1"}},
    })]);
    let remote = Remote::on(&cluster, "refuse-quota", &[]);
    let (before, world, here) = (remote.before, remote.world, remote.here);
    refused(
        remote.process,
        &["exceeded quota: tight", "it was put back"],
    );
    assert_restored(&cluster, "refuse-quota", &before);
    drop((world, here));
}

#[test]
fn a_guarded_context_and_a_mistake_of_the_target_change_nothing() {
    let Some(cluster) = together() else { return };
    cluster.deploy(&App::new("refuse-guard", "web"));
    let before = state_of(&cluster, "refuse-guard");
    let world = World::new();
    let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let guarded = world.file("guarded", &text);
    let rename = [
        "config",
        "rename-context",
        "monday",
        "shop-prod",
        "--kubeconfig",
    ];
    cluster.kubectl(&[&rename[..], &[guarded.to_str().unwrap()]].concat());
    let run = |words: &[&str], kubeconfig: &std::path::Path| {
        let mut command = world.command("monday-fwd");
        command
            .arg("kubernetes-remote")
            .args(["-n", "refuse-guard"])
            .args(words)
            .env("KUBECONFIG", kubeconfig);
        Process::start(command)
    };
    let said = ["shop-prod", "guard list", "allow_remote", "--allow-context"];
    refused(run(&["deployment/web", "7000:1"], &guarded), &said);
    let admin = cluster.kubeconfig();
    refused(
        run(&["deployment/nobody", "7000:1"], &admin),
        &["deployment/nobody", "not found"],
    );
    refused(
        run(&["-l", "app=nobody", "7000:1"], &admin),
        &["app=nobody", "there are web"],
    );
    cluster.kubectl(&["-n", "refuse-guard", "rollout", "pause", "deployment/web"]);
    refused(
        run(&["deployment/web", "7000:1"], &admin),
        &["paused", "rollout resume"],
    );
    cluster.kubectl(&["-n", "refuse-guard", "rollout", "resume", "deployment/web"]);
    assert_eq!(state_of(&cluster, "refuse-guard"), before);
}

#[test]
fn a_second_session_is_refused_with_whose_the_first_one_is() {
    let Some(cluster) = together() else { return };
    let remote = Remote::ready(&cluster, &App::new("refuse-second", "web"));
    let during = state_of(&cluster, "refuse-second");
    for world in [&remote.world, &World::new()] {
        let words = ["-n", "refuse-second", "deployment/web", "7000:1"];
        refused(
            start(world, &cluster, &words),
            &["has a session already", "process", "since"],
        );
    }
    assert_eq!(state_of(&cluster, "refuse-second"), during);
    remote.assert_served_here(&cluster);
    remote.end(&cluster);
}

#[test]
fn an_application_that_is_down_closes_connections_and_leaves_the_tunnel() {
    let Some(cluster) = together() else { return };
    let app = App::new("refuse-down", "web");
    cluster.deploy(&app);
    let before = cluster.get("refuse-down", "deployment/web")["spec"].clone();
    let world = World::new();
    let port = monday_tests::port::free_port();
    let rule = format!("7000:{port}");
    let mut process = start(
        &world,
        &cluster,
        &["-n", "refuse-down", "deployment/web", &rule],
    );
    super::stage::step_of(&mut process, "tunnelled");
    let agent = super::stage::talk_of(&cluster, "refuse-down");
    assert!(crate::talk::who(agent).is_err());
    let event = process.event_where("the connection's end", |event| {
        event["event"] == "connection"
    });
    assert!(
        event["error"]
            .as_str()
            .unwrap()
            .contains("is the application running?"),
        "{event}"
    );
    // It comes up, and nothing else has to happen.
    let mut command = world.command("monday-pod");
    command.arg(format!("talk:{port}"));
    let mut late = Process::start(command);
    late.line_with("serves");
    assert_eq!(crate::talk::who(agent).unwrap(), super::stage::own_name());
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait_within(ROLLOUT), 130);
    assert_restored(&cluster, "refuse-down", &before);
}

//! What can be forwarded to, and how its ports are named.

use monday_tests::cluster::{App, PORTS, Target, service_port, together};

use crate::forwarder::Forwarder;
use crate::talk;

/// The port of the pods to which most tests lead.
const TALK: u16 = PORTS[0].1;

#[test]
fn labels_a_service_a_deployment_and_a_pod_lead_to_the_same_port() {
    let Some(cluster) = together() else { return };
    let app = App::new("targets", "web");
    cluster.deploy(&app);
    let pods = cluster.pods(&app);
    let pod = format!("pod/{}", pods[0]);
    let number = format!("0:{TALK}");
    let of_service = format!("0:{}", service_port(TALK));
    for words in [
        &["-l", "app=web", &number][..],
        &["-l", "app=web", "0:talk"],
        &["deployment/web", "0:talk"],
        &["deploy/web", &number],
        &["service/web", "0:talk"],
        &["svc/web", &of_service],
        &[&pod, &number],
        &[&pod, "0:talk"],
    ] {
        let words = [&["-n", "targets"], words].concat();
        let forwarder = Forwarder::ready(&cluster.kubeconfig(), &words);
        assert_eq!(
            talk::who(forwarder.address()).unwrap(),
            pods[0],
            "{words:?}"
        );
        assert!(forwarder.via().contains(&pods[0]), "{}", forwarder.ready);
        forwarder.end();
    }
}

#[test]
fn a_stateful_set_is_forwarded_to_by_its_name() {
    let Some(cluster) = together() else { return };
    let mut app = App::new("targets-sts", "db");
    app.target = Target::StatefulSet;
    cluster.deploy(&app);
    for target in ["statefulset/db", "sts/db"] {
        let words = ["-n", "targets-sts", target, "0:talk"];
        let forwarder = Forwarder::ready(&cluster.kubeconfig(), &words);
        assert_eq!(talk::who(forwarder.address()).unwrap(), "db-0");
        forwarder.end();
    }
}

#[test]
fn several_ports_of_one_target_are_forwarded_at_once() {
    let Some(cluster) = together() else { return };
    let mut app = App::new("targets-pod", "alone");
    app.target = Target::Pod;
    cluster.deploy(&app);
    let words = [
        "-n",
        "targets-pod",
        "pod/alone",
        "talk@0:talk",
        "hello@0:banner",
        "web@0:http",
    ];
    let forwarder = Forwarder::ready(&cluster.kubeconfig(), &words);
    assert_eq!(talk::who(forwarder.listen(0)).unwrap(), "alone");
    // A server that greets first does so although nothing was sent.
    let greeted = crate::forwarder::connect(forwarder.listen(1));
    assert_eq!(talk::first_line(&greeted).unwrap(), "220 alone greets");
    assert_eq!(
        monday_tests::http::get(forwarder.listen(2)).unwrap(),
        "alone\n"
    );
    forwarder.end();
}

#[test]
fn a_command_finds_the_forward_in_its_environment_and_gives_its_status() {
    let Some(cluster) = together() else { return };
    monday_tests::needs_programs!("curl");
    let app = App::new("targets-command", "web");
    cluster.deploy(&app);
    let world = monday_tests::world::World::new();
    let mut command = world.command("monday-fwd");
    command.env("KUBECONFIG", cluster.kubeconfig()).args([
        "kubernetes",
        "-n",
        "targets-command",
        "-l",
        "app=web",
        "web@0:http",
        "--",
        "sh",
        "-c",
        "curl -s http://$MONDAY_ADDR_WEB/; exit 7",
    ]);
    let done = monday_tests::process::Process::start(command)
        .finish()
        .expect_code(7);
    assert_eq!(done.stdout.trim(), cluster.pods(&app)[0]);
}

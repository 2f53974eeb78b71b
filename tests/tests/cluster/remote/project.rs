//! One project with an app that takes the place of the cluster's, and reaches another of the cluster's by its name.

use monday_tests::cluster::{App, together};
use monday_tests::namespace::Privacy;
use monday_tests::process::Process;
use monday_tests::wait::PATIENCE;
use monday_tests::world::World;
use monday_tests::{needs_mount_namespace, needs_programs};
use nix::sys::signal::Signal;

use super::stage::{own_name, talk_of};
use crate::talk;

#[test]
fn an_app_takes_the_clusters_place_and_reaches_another_by_its_name() {
    needs_programs!("curl");
    needs_mount_namespace!();
    let Some(cluster) = together() else { return };
    let (a, b) = (App::new("both", "web"), App::new("both", "b"));
    cluster.deploy(&a);
    cluster.deploy(&b);
    let before = cluster.get("both", "deployment/web")["spec"].clone();
    let world = World::new().with(Privacy::Hosts);
    let port = monday_tests::port::free_port();
    let yaml = format!(
        "\
kubeconfig: {kubeconfig}
projects:
  - name: shop
    local:
      - name: web
        depends_on: [b]
        run:
          command: curl -sS --retry 5 http://{host}:8080/ && echo asked by name && exec {pod} talk:{port}
    forward:
      - name: web
        type: kubernetes-remote
        values: {{namespace: both, labels: {{app: web}}, ports: ['7000:{port}']}}
      - name: b
        type: kubernetes
        values: {{hostname: {host}, namespace: both, labels: {{app: b}}, ports: ['8080:http']}}
",
        kubeconfig = cluster.kubeconfig().display(),
        host = world.host("b"),
        pod = world.executables().join("monday-pod").display(),
    );
    let config = world.configure(&yaml);
    let mut command = world.command("monday-supervisor");
    command
        .args(["run", "shop", "--output", "json", "--config"])
        .arg(&config);
    let mut process = Process::start(command);
    process.event_where("the app's question", |event| {
        event["event"] == "output" && event.to_string().contains("asked by name")
    });
    process.event_where("the cluster's traffic", |event| {
        event.to_string().contains("leads here from")
    });
    assert_eq!(talk::who(talk_of(&cluster, "both")).unwrap(), own_name());
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait(), 130, "{}", process.transcript());
    super::stage::assert_restored(&cluster, "both", &before);
    world.assert_no_survivors(PATIENCE);
    world.assert_hosts_untouched();
}

//! Parts of the cluster die and come back.

use std::time::{Duration, Instant};

use monday_tests::cluster::{App, Part, alone};
use monday_tests::wait::{Deadline, PATIENCE};

use crate::forwarder::Forwarder;
use crate::loop_of_requests::Loop;
use crate::talk;

/// Requests that began this long before or after a part died may fail: they were under way.
const UNDER_WAY: Duration = Duration::from_secs(2);

fn survives(part: Part, namespace: &str) {
    let Some(cluster) = alone() else { return };
    let app = App::new(namespace, "web");
    cluster.deploy(&app);
    let words = [
        "-n",
        namespace,
        "-l",
        "app=web",
        "--connect-wait",
        "60s",
        "0:talk",
    ];
    let mut forwarder = Forwarder::ready(&cluster.kubeconfig(), &words);
    let pod = talk::who(forwarder.address()).unwrap();
    let requests = Loop::start(forwarder.address());
    std::thread::sleep(Duration::from_millis(200));
    let killing = Instant::now();
    cluster.kill(part);
    let killed = Instant::now();
    cluster.start(part);
    cluster.wait_until_ready(Deadline::within(3 * PATIENCE));
    // Again, which may take as long as the part takes to start.
    match talk::who(forwarder.address()) {
        Ok(answered) => assert_eq!(answered, pod),
        Err(error) => forwarder.process.fail(&format!("nobody answers: {error}")),
    }
    let requests = requests.stop();
    // The listener is open and holds whom it cannot serve yet.
    let unexpected: Vec<_> = requests
        .failures()
        .filter(|request| request.began + UNDER_WAY < killing || request.began > killed + UNDER_WAY)
        .collect();
    if !unexpected.is_empty() {
        let (count, all) = (unexpected.len(), requests.0.len());
        let why = format!("{count} of {all} requests failed: {unexpected:?}");
        forwarder.process.fail(&why);
    }
    forwarder.end();
}

#[test]
fn the_api_server_is_killed_and_comes_back() {
    survives(Part::ApiServer, "outage-api");
}

#[test]
fn the_kubelet_is_killed_and_comes_back() {
    survives(Part::Kubelet, "outage-kubelet");
}

#[test]
fn containerd_is_killed_and_comes_back() {
    survives(Part::Containerd, "outage-containerd");
}

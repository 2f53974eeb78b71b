//! What the other tests stand on: the cluster itself, seen with the real kubectl.

use std::io::{BufRead as _, BufReader};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use monday_tests::cluster::{App, together};

#[test]
fn the_real_kubectl_reaches_what_a_pod_serves() {
    let Some(cluster) = together() else { return };
    let app = App::new("ground", "web");
    cluster.deploy(&app);
    let mut kubectl = cluster
        .kubectl_command(&[
            "--namespace",
            "ground",
            "port-forward",
            "deployment/web",
            ":talk",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    // Kept: kubectl ends when it cannot tell of each connection.
    let mut said = BufReader::new(kubectl.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    // Forwarding from 127.0.0.1:PORT -> 7000
    let address = line.split_whitespace().nth(2).unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"who\n").unwrap();
    let mut name = String::new();
    client.read_to_string(&mut name).unwrap();
    assert_eq!(cluster.pods(&app), [name.trim_end()]);
    kubectl.kill().unwrap();
    kubectl.wait().unwrap();
}

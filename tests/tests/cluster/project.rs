//! One project of local apps and forwards to pods, from one YAML, run by the supervisor.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use monday_tests::cluster::{App, together};
use monday_tests::control::Control;
use monday_tests::namespace::Privacy;
use monday_tests::process::Process;
use monday_tests::wait::{Deadline, PATIENCE, ProcessFd};
use monday_tests::world::World;
use monday_tests::{needs_mount_namespace, needs_programs};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::loop_of_requests::Loop;
use crate::talk;

/// A client with a pool of one: as HTTP clients do, it uses its connection again, and makes a new one where that has
/// ended.
struct Pool {
    address: SocketAddr,
    idle: Option<TcpStream>,
}

impl Pool {
    /// The pod that answers.
    fn get(&mut self) -> std::io::Result<String> {
        if let Some(pod) = self.idle.as_mut().and_then(|stream| ask(stream).ok()) {
            return Ok(pod);
        }
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let pod = ask(&mut stream)?;
        self.idle = Some(stream);
        Ok(pod)
    }
}

fn ask(stream: &mut TcpStream) -> std::io::Result<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: pod\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut piece = [0; 512];
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Some(pod) = body.strip_suffix('\n')
        {
            return Ok(pod.to_owned());
        }
        match stream.read(&mut piece)? {
            0 => return Err(std::io::Error::other(format!("half an answer: {text:?}"))),
            read => answer.extend(&piece[..read]),
        }
    }
}

/// Where a forward of the project listens.
fn listens(status: &Value, forward: &str) -> SocketAddr {
    let forwards = status["forwards"].as_array().unwrap();
    let found = forwards.iter().find(|one| one["name"] == forward).unwrap();
    let listen = found["routes"][0]["listen"].as_str();
    listen.unwrap_or_else(|| panic!("{found}")).parse().unwrap()
}

/// Kills the project's monday-fwd and waits until it is gone: a connection that its dying listener still took ends
/// with it.
fn kill_the_forwarder(world: &World) {
    let status = Control::connect(&world.supervisor_socket("shop")).ask("status");
    let sidecars = status["sidecars"].as_array().unwrap();
    let fwd = sidecars
        .iter()
        .find(|one| one["name"] == "monday-fwd")
        .unwrap();
    let pid = i32::try_from(fwd["pid"].as_i64().unwrap()).unwrap();
    let gone = ProcessFd::open(pid.unsigned_abs()).unwrap();
    gone.kill();
    assert!(gone.wait(Deadline::patient()), "monday-fwd lives on");
}

#[test]
fn a_local_app_and_two_forwards_to_pods_live_through_a_rollout() {
    needs_programs!("curl");
    needs_mount_namespace!();
    let Some(cluster) = together() else { return };
    let mut app = App::new("project", "web");
    app.arguments = vec!["--drain".to_owned()];
    cluster.deploy(&app);
    let world = World::new().with(Privacy::Hosts);
    let yaml = format!(
        "\
kubeconfig: {kubeconfig}
projects:
  - name: shop
    local:
      - name: front
        hostname: {front}
        depends_on: [api]
        run:
          command: curl -sS --retry 5 http://{api}:8080/ && echo asked by name && exec sleep 1000
    forward:
      - name: api
        type: kubernetes
        values: {{hostname: {api}, namespace: project, labels: {{app: web}}, ports: ['8080:http']}}
      - name: talk
        type: kubernetes
        values: {{hostname: {talk}, namespace: project, deployment: web, ports: ['7000:7000']}}
",
        kubeconfig = cluster.kubeconfig().display(),
        front = world.host("front"),
        api = world.host("api"),
        talk = world.host("talk"),
    );
    let config = world.configure(&yaml);
    let mut command = world.command("monday-supervisor");
    command
        .args(["run", "shop", "--output", "json", "--config"])
        .arg(&config);
    let mut process = Process::start(command);
    process.ready();
    let pods = cluster.pods(&app);
    // The app asks a pod by its host name.
    process.event_where("the app's question", |event| {
        let text = event.to_string();
        event["event"] == "output" && text.contains("asked by name") || text.contains(&pods[0])
    });
    let status = Control::connect(&world.supervisor_socket("shop")).ask("status");
    let (api, talk) = (listens(&status, "api"), listens(&status, "talk"));
    assert_ne!(api.ip(), talk.ip(), "an address for each name: {status}");
    assert_eq!(talk::who(talk).unwrap(), pods[0]);
    let mut pool = Pool {
        address: api,
        idle: None,
    };
    assert_eq!(pool.get().unwrap(), pods[0]);

    let requests = Loop::start(talk);
    cluster.kubectl(&["-n", "project", "rollout", "restart", "deployment/web"]);
    cluster.kubectl(&[
        "-n",
        "project",
        "rollout",
        "status",
        "deployment/web",
        "--timeout=60s",
    ]);
    let old = format!("pod/{}", pods[0]);
    let mut gone = cluster
        .kubectl_command(&[
            "-n",
            "project",
            "wait",
            "--for=delete",
            &old,
            "--timeout=60s",
        ])
        .spawn()
        .unwrap();
    while gone.try_wait().unwrap().is_none() {
        pool.get()
            .expect("whoever holds a connection makes another one when it ends");
        std::thread::sleep(Duration::from_millis(20));
    }
    let requests = requests.stop();
    requests.assert_none_failed();
    let after = cluster.pods(&app);
    assert_eq!(pool.get().unwrap(), after[0]);
    assert_eq!(talk::who(talk).unwrap(), after[0]);
    let by_name = world.sh(&format!("curl -s http://{}:8080/", world.host("api")));
    assert_eq!(by_name.expect_code(0).stdout.trim(), after[0]);

    // The forwarder dies: the listeners stay, and connections are held until it is back.
    kill_the_forwarder(&world);
    assert_eq!(talk::who(talk).unwrap(), after[0]);
    assert_eq!(pool.get().unwrap(), after[0]);

    process.signal(Signal::SIGINT);
    assert_eq!(process.wait(), 130, "{}", process.transcript());
    world.assert_no_survivors(PATIENCE);
    world.assert_hosts_untouched();
}

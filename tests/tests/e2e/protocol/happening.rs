//! What happens in an example of the reference besides what the client sends: the lines that begin with `#`.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use monday_tests::control::Control;
use monday_tests::wait::Deadline;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::project::{kill_hard, pid_of};

/// Makes it happen.
pub(super) fn happen(stage: &mut Stage, what: &str) {
    match what {
        "this client reads nothing more until the command has ended" => {
            let mut other = connect(stage, "run.sock");
            let status = other
                .call("subscribe", &json!({"bulk": "skip"}))
                .expect("everybody may subscribe");
            if status["status"]["phase"] == "running" {
                other.event_where("the end of the command", |event| event["phase"] == "exited");
            }
        }
        "another program writes the hosts file without our lines" => {
            stage
                .world
                .write("home/hosts", "127.0.0.1\tlocalhost\n# mine\n");
        }
        "the file notes.txt is saved" => stage.world.write("home/notes.txt", "two\n"),
        "the file later.txt is saved" => stage.world.write("home/later.txt", "one\n"),
        "the file later.txt is removed" => {
            std::fs::remove_file(stage.world.home().join("later.txt")).expect("it is there");
        }
        "elsewhere: nc -k -l 127.0.0.1 18431" => {
            let other = stage.world.start("nc", ["-k", "-l", "127.0.0.1", "18431"]);
            stage.others.push(other);
            until_somebody_listens(([127, 0, 0, 1], 18431).into());
        }
        "a client connects to the route `web`" => {
            // It is reset, sooner or later.
            drop(TcpStream::connect(listener_of_web(stage)));
        }
        "the process is out of file descriptors, and a client connects to the route `web`" => {
            let address = listener_of_web(stage);
            // Descriptors that are open stay so; a new one would need a number below this, and those are taken.
            let limit = Rlimit {
                current: Some(3),
                maximum: Some(3),
            };
            let pid = i32::try_from(stage.process.pid())
                .ok()
                .and_then(Pid::from_raw);
            prlimit(pid, Resource::Nofile, limit).expect("limits of our own can be lowered");
            // The kernel takes the connection; it waits to be accepted.
            stage
                .clients
                .push(TcpStream::connect(address).expect("the route listens"));
        }
        "monday.yaml loses the forward" => {
            let file = stage.world.home().join("monday.yaml");
            let text = std::fs::read_to_string(&file).expect("the project was started from it");
            let (without, _) = text.split_once("    forward:").expect("it has a forward");
            stage.world.write("home/monday.yaml", without);
        }
        "monday.yaml is broken" => stage.world.write("home/monday.yaml", "projects: ["),
        "a client connects to the forward `db`" => {
            let forwards = connect(stage, "fwd.sock").ask("list");
            let listen = forwards["forwards"][0]["listen"].as_str();
            let address: SocketAddr = listen.expect("a forward").parse().expect("an address");
            // It is reset, sooner or later.
            drop(TcpStream::connect(address));
        }
        "monday-tcpproxy is killed" => {
            let status = Control::connect(&stage.world.supervisor_socket("shop")).ask("status");
            kill_hard(pid_of(&status["sidecars"], "monday-tcpproxy"));
        }
        unknown => panic!("PROTOCOL.md: nobody knows how to make this happen: {unknown}"),
    }
}

/// A second connection to the executable.
fn connect(stage: &Stage, socket: impl AsRef<Path>) -> Control {
    Control::connect(&stage.world.home().join(socket))
}

fn listener_of_web(stage: &Stage) -> SocketAddr {
    let routes = connect(stage, "proxy.sock").ask("list");
    let web: Option<&Value> = routes["routes"]
        .as_array()
        .and_then(|routes| routes.iter().find(|route| route["id"] == "web"));
    let listen = web.and_then(|web| web["listen"].as_str()).expect("a route");
    listen.parse().expect("an address")
}

fn until_somebody_listens(address: SocketAddr) {
    let deadline = Deadline::patient();
    while TcpStream::connect(address).is_err() {
        assert!(!deadline.passed(), "nobody listens on {address}");
        std::thread::yield_now();
    }
}

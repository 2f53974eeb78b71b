//! Forwards over SSH in a project, through the real sshd.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use monday_tests::http;
use monday_tests::port::free_port;
use monday_tests::skip::skip;
use monday_tests::sshd::Sshd;
use monday_tests::wait::{Deadline, PATIENCE};
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::project::{control, named, start, status};

/// An sshd, or nothing where there is none.
fn sshd() -> Option<Sshd> {
    if !Path::new("/usr/sbin/sshd").exists() {
        skip("/usr/sbin/sshd is missing: install openssh-server");
        return None;
    }
    Some(Sshd::start().unwrap())
}

/// `remote` and `args` of a forward to that server.
fn to(sshd: &Sshd) -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective());
    format!(
        "remote: {}@127.0.0.1, args: ['-F', none, '-p', '{}', '-i', '{}', '-o', 'UserKnownHostsFile={}']",
        user.unwrap().unwrap().name,
        sshd.address().port(),
        sshd.key().display(),
        sshd.known_hosts().display()
    )
}

fn listens(project: &Value, forward: &str) -> SocketAddr {
    let listen = &named(&project["forwards"], forward)["routes"][0]["listen"];
    listen.as_str().unwrap().parse().unwrap()
}

/// Waits until everything is ready.
fn await_up(world: &World) {
    let waited = control(world, "shop").call("wait", &json!({"timeout": "60s"}));
    waited.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_listener_stays_while_the_server_is_away_and_its_address_is_the_name_s() {
    let Some(mut sshd) = sshd() else { return };
    let world = World::new();
    let behind = http::serve("from behind");
    let here = free_port();
    let yaml = format!(
        "projects:\n- name: shop\n  forward:\n  - {{name: db, type: ssh, values: {{hostname: {}, ports: ['8080:{1}'], {2}}}}}\n  \
         - {{name: direct, type: ssh, values: {{disable_proxy: true, ports: ['{here}:{1}'], {2}}}}}\n",
        world.host("db"),
        behind.port(),
        to(&sshd)
    );
    let (mut project, _) = start(&world, &yaml);
    await_up(&world);
    let now = status(&world, "shop");
    let address = listens(&now, "db");
    assert!(address.ip().to_string().starts_with("127.77."), "{address}");
    assert_eq!(address.port(), 8080);
    assert_eq!(http::get(address).unwrap(), "from behind");
    let direct = SocketAddr::from(([127, 0, 0, 1], here));
    assert_eq!(listens(&now, "direct"), direct);
    assert_eq!(http::get(direct).unwrap(), "from behind");

    // Somebody asks while there is no server, and hears when it is back.
    let mut asking = None;
    sshd.restart(|| asking = Some(std::thread::spawn(move || http::get(address))))
        .unwrap();
    let heard = asking.unwrap().join().unwrap();
    assert_eq!(heard.unwrap(), "from behind");

    project.signal(Signal::SIGTERM);
    assert_eq!(project.wait(), 143);
    world.assert_no_survivors(PATIENCE);
    assert!(TcpStream::connect(direct).is_err(), "nobody listens there");
}

#[test]
fn a_service_here_is_reached_from_there_beside_the_app_of_its_name() {
    let Some(sshd) = sshd() else { return };
    let world = World::new();
    let (there, here) = (free_port(), TcpListener::bind("127.0.0.1:0").unwrap());
    let yaml = format!(
        "projects:\n- name: shop\n  local:\n  - {{name: api, run: {{command: exec sleep 1000}}}}\n  forward:\n  \
         - {{name: api, type: ssh-remote, values: {{ports: ['{there}:{}'], {}}}}}\n",
        here.local_addr().unwrap().port(),
        to(&sshd)
    );
    let (mut project, _) = start(&world, &yaml);
    await_up(&world);
    let both = status(&world, "shop");
    assert_eq!(both["apps"][0]["phase"], "running", "{both}");
    // The other machine is this one: its port is there as soon as the tunnel is.
    let deadline = Deadline::patient();
    let mut remote = loop {
        match TcpStream::connect(("127.0.0.1", there)) {
            Ok(remote) => break remote,
            Err(error) => assert!(!deadline.passed(), "{error}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let (arrived, _) = here.accept().unwrap();
    drop(arrived);
    remote.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(remote.read(&mut [0]).unwrap(), 0);
    project.signal(Signal::SIGTERM);
    assert_eq!(project.wait(), 143);
}

#[test]
fn a_reload_moves_a_forward_and_it_is_ready_when_its_new_tunnels_are() {
    let Some(sshd) = sshd() else { return };
    let world = World::new();
    let (one, two) = (http::serve("one"), http::serve("two"));
    let yaml = |ports: &str| {
        format!(
            "projects:\n- name: shop\n  forward:\n  - {{name: db, type: ssh, values: {{hostname: {}, ports: [{ports}], {}}}}}\n",
            world.host("db"),
            to(&sshd)
        )
    };
    let (mut project, _) = start(&world, &yaml(&format!("'8080:{}'", one.port())));
    await_up(&world);
    assert_eq!(
        http::get(listens(&status(&world, "shop"), "db")).unwrap(),
        "one"
    );
    world.write(
        "config/shop.yaml",
        &yaml(&format!("'8081:{}', '8082:{}'", one.port(), two.port())),
    );
    let reloaded = control(&world, "shop").ask("reload");
    assert_eq!(reloaded["changed"], json!(["db"]), "{reloaded}");
    await_up(&world);
    let now = status(&world, "shop");
    let tunnels = named(&now["forwards"], "db")["tunnels"].as_array().unwrap();
    let mut ids: Vec<&str> = tunnels
        .iter()
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, ["db:8081", "db:8082"]);
    assert!(tunnels.iter().all(|it| it["phase"] == "up"), "{now}");
    let second = SocketAddr::new(listens(&now, "db").ip(), 8082);
    assert_eq!(http::get(second).unwrap(), "two");
    project.signal(Signal::SIGTERM);
    assert_eq!(project.wait(), 143);
}

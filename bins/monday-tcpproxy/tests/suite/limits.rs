//! The stated limits: idle connections, file descriptors.

use std::net::TcpStream;
use std::process::Command;

use crate::harness::{Executable, assert_echoes, connect, echo_server, reset, wait_until};

#[test]
fn a_thousand_idle_connections_take_two_descriptors_each_and_all_still_work() {
    const CONNECTIONS: usize = 1000;
    let proxy = Executable::start(&[&format!("0={}", echo_server())]);
    let before = proxy.settled_open_files();
    let mut clients: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let mut client = connect(proxy.routes[0]);
            assert_echoes(&mut client);
            client
        })
        .collect();
    assert_eq!(proxy.open_files() - before, 2 * CONNECTIONS);
    for client in &mut clients {
        assert_echoes(client);
    }
    drop(clients);
    wait_until("all descriptors are free again", || {
        proxy.open_files() == before
    });
}

#[test]
fn out_of_descriptors_a_listener_waits_and_then_goes_on() {
    const LIMIT: usize = 64;
    let target = echo_server();
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        .arg(format!(
            "ulimit -n {LIMIT} && exec \"$0\" --output json 0={target}"
        ))
        .arg(env!("CARGO_BIN_EXE_monday-tcpproxy"));
    let mut proxy = Executable::start_command(&mut limited);
    let address = proxy.routes[0];
    // More than there are descriptors for: the kernel queues those that are not accepted.
    let clients: Vec<TcpStream> = (0..LIMIT).map(|_| connect(address)).collect();
    wait_until("no descriptor is left", || proxy.open_files() >= LIMIT - 1);
    assert!(proxy.child.try_wait().unwrap().is_none(), "it lives");
    clients.into_iter().for_each(reset);
    assert_echoes(&mut connect(address));
}

#[test]
fn connections_of_every_fate_leave_no_descriptor_behind() {
    let proxy = Executable::start(&[&format!("0={}", echo_server()), "0=1"]);
    let before = proxy.settled_open_files();
    for round in 0..50 {
        let mut client = connect(proxy.routes[0]);
        assert_echoes(&mut client);
        if round % 2 == 0 {
            reset(client);
        }
        drop(connect(proxy.routes[1]));
    }
    wait_until("all descriptors are free again", || {
        proxy.open_files() == before
    });
}

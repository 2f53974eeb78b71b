//! Opening, replacing and closing routes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use monday_shared::duration::Span;
use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::tcpproxy::{Event, Fate, LiveConnections, RouteSpec};
use monday_shared::rpc::hub::{Delivery, Subscription};
use monday_tcpproxy::CopyPath;
use monday_tcpproxy::error::Error;

use crate::harness::{Proxy, Server, assert_echoes, assert_reset, connect, echo_server, route};

fn at(id: &str, listen: SocketAddr, target: SocketAddr) -> RouteSpec {
    RouteSpec::new(id, listen.to_string(), target.to_string())
}

/// A target that says who it is.
fn named(name: &'static str) -> SocketAddr {
    let (server, address) = Server::start();
    std::thread::spawn(move || {
        loop {
            // A client that has gone again does not matter.
            let _ = server.accept().write_all(name.as_bytes());
        }
    });
    address
}

fn who(address: SocketAddr) -> String {
    let mut name = String::new();
    connect(address).read_to_string(&mut name).unwrap();
    name
}

/// The events so far, each as the first word of its text.
fn told(events: &mut Subscription<Event>) -> Vec<String> {
    std::iter::from_fn(|| events.try_next())
        .map(|delivery| match delivery {
            Delivery::Event(event) => match &event.event {
                Event::Opened(route) => format!("opened {}", route.id),
                Event::Closed { id } => format!("closed {id}"),
                other => other.to_string(),
            },
            other => panic!("events were lost: {other:?}"),
        })
        .collect()
}

#[test]
fn a_batch_opens_in_the_order_in_which_it_was_asked_for() {
    let proxy = Proxy::start(CopyPath::Auto);
    let target = echo_server();
    let batch = ["b", "a", "c"].map(|id| route(id, target)).to_vec();
    let opened = proxy.open(batch).unwrap();
    let ids: Vec<_> = opened.iter().map(|route| route.id.as_str()).collect();
    assert_eq!(ids, ["b", "a", "c"]);
    for route in &opened {
        assert_echoes(&mut connect(route.listen.ip().unwrap()));
    }
}

#[test]
fn opening_the_same_again_changes_nothing_even_on_port_0() {
    let (proxy, address) = Proxy::to(echo_server(), CopyPath::Auto);
    let mut client = connect(address);
    assert_echoes(&mut client);
    let (_, mut events) = proxy.hub.subscribe(Bulk::Skip);
    let target = proxy.list()[0].target.parse().unwrap();
    let again = proxy.open(vec![route("r", target)]).unwrap();
    assert_eq!(again[0].listen.ip().unwrap(), address);
    assert_echoes(&mut client);
    assert_eq!(told(&mut events), [""; 0]);
}

#[test]
fn another_target_takes_new_connections_and_leaves_old_ones_alone() {
    let (proxy, address) = Proxy::to(echo_server(), CopyPath::Auto);
    let mut old = connect(address);
    assert_echoes(&mut old);
    let (_, mut events) = proxy.hub.subscribe(Bulk::Skip);
    let replaced = proxy.open(vec![route("r", named("new"))]).unwrap();
    assert_eq!(
        replaced[0].listen.ip().unwrap(),
        address,
        "it keeps its port"
    );
    assert_eq!(who(address), "new");
    assert_echoes(&mut old);
    assert_eq!(told(&mut events), ["opened r"]);
    assert_eq!(proxy.list()[0].accepted, 2, "it goes on counting");
}

#[test]
fn another_address_closes_the_listener_on_the_old_one() {
    let (proxy, address) = Proxy::to(echo_server(), CopyPath::Auto);
    let elsewhere = SocketAddr::from(([127, 0, 0, 2], 0));
    let moved = proxy.open(vec![at("r", elsewhere, named("x"))]).unwrap()[0]
        .listen
        .ip()
        .unwrap();
    assert_eq!(who(moved), "x");
    assert!(TcpListener::bind(address).is_ok(), "the old port is free");
}

#[test]
fn two_routes_swap_their_addresses_in_one_batch() {
    let proxy = Proxy::start(CopyPath::Auto);
    let (one, two) = (named("one"), named("two"));
    let opened = proxy.open(vec![route("a", one), route("b", two)]).unwrap();
    let (first, second) = (
        opened[0].listen.ip().unwrap(),
        opened[1].listen.ip().unwrap(),
    );
    proxy
        .open(vec![at("a", second, one), at("b", first, two)])
        .unwrap();
    assert_eq!((who(first), who(second)), ("two".into(), "one".into()));
}

#[test]
fn a_batch_that_cannot_be_opened_changes_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (proxy, address) = Proxy::to(named("old"), CopyPath::Auto);
    let (_, mut events) = proxy.hub.subscribe(Bulk::Skip);
    let free = {
        let probe = TcpListener::bind("127.0.0.3:0").unwrap();
        probe.local_addr().unwrap()
    };
    let error = proxy
        .open(vec![
            route("r", named("new")),
            at("fresh", free, named("fresh")),
            at("unlucky", taken.local_addr().unwrap(), named("unlucky")),
        ])
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("route `unlucky`: cannot listen on"),
        "{text}"
    );
    assert!(
        text.contains(&format!("pid {}", std::process::id())),
        "{text}"
    );
    assert_eq!(who(address), "old");
    assert_eq!(proxy.list().len(), 1);
    assert!(TcpListener::bind(free).is_ok(), "nothing listens there");
    assert_eq!(told(&mut events), [""; 0]);
}

#[test]
fn an_address_that_another_route_has_is_a_conflict_that_names_it() {
    let (proxy, address) = Proxy::to(echo_server(), CopyPath::Auto);
    let error = proxy.open(vec![at("b", address, named("b"))]).unwrap_err();
    assert!(matches!(error, Error::Conflict(_)));
    assert!(error.to_string().contains("route `r` does"), "{error}");
}

#[test]
fn addresses_that_make_no_sense_name_the_route() {
    let proxy = Proxy::start(CopyPath::Auto);
    for (listen, target) in [("nowhere", "1"), ("0", "http://x/"), ("db:80", "1")] {
        let error = proxy
            .open(vec![RouteSpec::new("r", listen, target)])
            .unwrap_err();
        assert!(error.to_string().starts_with("route `r`: "), "{error}");
    }
    assert!(proxy.open(vec![RouteSpec::new("", "0", "1")]).is_err());
    assert!(proxy.list().is_empty());
}

#[test]
fn applying_the_same_again_changes_nothing_even_on_port_0() {
    let proxy = Proxy::start(CopyPath::Auto);
    let target = echo_server();
    let wanted = || vec![route("a", target), route("b", target)];
    let first = proxy.apply(wanted()).unwrap();
    let mut client = connect(first.routes[0].listen.ip().unwrap());
    assert_echoes(&mut client);
    let (_, mut events) = proxy.hub.subscribe(Bulk::Skip);
    let again = proxy.apply(wanted()).unwrap();
    assert_eq!(again.routes[0].listen, first.routes[0].listen);
    assert_echoes(&mut client);
    assert_eq!(told(&mut events), [""; 0]);
    assert_eq!(again.closed, [""; 0]);
}

#[test]
fn what_is_not_wanted_any_more_is_closed_and_its_address_can_be_had() {
    let proxy = Proxy::start(CopyPath::Auto);
    let first = proxy.apply(vec![route("a", named("a"))]).unwrap();
    let address = first.routes[0].listen.ip().unwrap();
    let second = proxy.apply(vec![at("b", address, named("b"))]).unwrap();
    assert_eq!(second.closed, ["a"]);
    assert_eq!(who(address), "b");
    assert_eq!(proxy.list().len(), 1);
}

#[test]
fn a_wanted_set_that_cannot_be_had_changes_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (proxy, address) = Proxy::to(named("old"), CopyPath::Auto);
    let unlucky = at("unlucky", taken.local_addr().unwrap(), named("unlucky"));
    assert!(proxy.apply(vec![unlucky]).is_err());
    assert_eq!(who(address), "old");
}

#[test]
fn live_connections_of_a_replaced_route_can_be_cut_or_drained() {
    let with = |connections, drain_timeout| LiveConnections {
        connections: Some(connections),
        drain_timeout,
    };
    let (proxy, address) = Proxy::to(echo_server(), CopyPath::Auto);
    let mut old = connect(address);
    assert_echoes(&mut old);
    proxy.open_with(vec![route("r", named("second"))], with(Fate::Cut, None));
    assert_reset(&mut old);
    assert_eq!(who(address), "second");

    proxy.open(vec![route("r", echo_server())]).unwrap();
    let mut old = connect(address);
    assert_echoes(&mut old);
    let soon = Some(Span::from_millis(300));
    proxy.open_with(vec![route("r", named("third"))], with(Fate::Drain, soon));
    assert_echoes(&mut old);
    assert_eq!(who(address), "third");
    assert_reset(&mut old);
}

#[test]
fn closing_what_is_not_open_is_no_error() {
    let (proxy, _) = Proxy::to(echo_server(), CopyPath::Auto);
    assert_eq!(proxy.close(&["ghost", "r", "r"]), ["r"]);
    assert!(proxy.list().is_empty());
}

#[test]
fn clients_wait_until_accepting_begins() {
    // The proxy of the harness accepts at once; this one is told to later.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (table, running) = monday_tcpproxy::table::start(
            monday_tcpproxy::workers::Workers::here(),
            monday_tcpproxy::table::Settings::default(),
            monday_shared::rpc::hub::Hub::new(),
        );
        let opened = table
            .open(vec![route("r", named("me"))], LiveConnections::default())
            .await
            .unwrap();
        let address = opened[0].listen.ip().unwrap();
        let client = tokio::task::spawn_blocking(move || who(address));
        assert_eq!(table.list().await.unwrap()[0].accepted, 0);
        table.accept();
        assert_eq!(client.await.unwrap(), "me");
        running.end().await;
        assert!(matches!(table.list().await, Err(Error::Ending)));
    });
}

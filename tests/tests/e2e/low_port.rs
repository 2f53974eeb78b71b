//! Ports below 1024 for somebody who may not bind them.

use monday_tests::namespace::Privacy;
use monday_tests::world::World;
use monday_tests::{needs_namespaces, needs_programs};

/// Words before a command that take away the right to bind such ports; nothing else changes.
const WITHOUT: &str = "setpriv --bounding-set=-net_bind_service --inh-caps=-net_bind_service";

/// A target that answers one client, and a proxy without the right that leads port 80 of a name there.
fn served(proxy: &str) -> String {
    format!(
        "monday-ipalias --control names.sock web.test -- sh -c '\
         printf \"HTTP/1.0 200 OK\\r\\n\\r\\nhello\" | nc -l -N 127.0.0.1 8099 >/dev/null & \
         {proxy} --connect-wait 20s web@$MONDAY_HOST_WEB_TEST:80=127.0.0.1:8099 -- \
         curl -s --max-time 20 http://web.test/'"
    )
}

#[test]
fn port_80_of_a_name_is_served_by_a_proxy_without_the_right_to_bind_it() {
    needs_programs!("curl", "nc", "setpriv");
    needs_namespaces!(Privacy::HostsAndNetwork);
    let world = World::new().with(Privacy::HostsAndNetwork);
    let proxy = format!("{WITHOUT} monday-tcpproxy --ports-from names.sock");
    let finished = world.sh(&served(&proxy)).expect_code(0);
    assert_eq!(finished.stdout.trim_end(), "hello");
    world.assert_hosts_untouched();
}

#[test]
fn without_a_helper_or_with_one_that_is_not_there_the_error_says_what_to_do() {
    needs_programs!("setpriv");
    needs_namespaces!(Privacy::HostsAndNetwork);
    let world = World::new().with(Privacy::HostsAndNetwork);
    let route = "web@127.77.0.9:80=127.0.0.1:8099";
    let alone = world
        .sh(&format!("{WITHOUT} monday-tcpproxy {route}"))
        .expect_code(1);
    for word in ["route `web`", "127.77.0.9:80", "setcap", "--escalate"] {
        assert!(alone.stderr.contains(word), "{word}: {}", alone.stderr);
    }
    let nobody = world
        .sh(&format!(
            "{WITHOUT} monday-tcpproxy --ports-from none.sock {route}"
        ))
        .expect_code(1);
    for word in ["route `web`", "127.77.0.9:80", "none.sock"] {
        assert!(nobody.stderr.contains(word), "{word}: {}", nobody.stderr);
    }
    // One that has not assigned the address.
    let not_its_own = world
        .sh(&format!(
            "monday-ipalias --control names.sock web.test -- \
             {WITHOUT} monday-tcpproxy --ports-from names.sock {route}"
        ))
        .expect_code(1);
    assert!(
        not_its_own.stderr.contains("127.77.0.9") && not_its_own.stderr.contains("assigned"),
        "{}",
        not_its_own.stderr
    );
}

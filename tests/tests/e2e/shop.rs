//! A small project that most tests run: a service, and a forward to it under a second name.

use std::net::SocketAddr;

use monday_tests::port::free_port;
use monday_tests::world::World;
use serde_json::Value;

use crate::project::named;

/// A back that answers, and a forward that offers it under a second name.
pub(crate) fn shop(world: &World) -> (String, u16) {
    let (back, api) = (free_port(), free_port());
    let yaml = format!(
        "\
projects:
  - name: shop
    local:
      - name: back
        hostname: {back_name}
        run:
          command: exec monday-fixture http $MONDAY_HOST_BACK:{back} 'hello from back'
    forward:
      - name: api
        type: proxy
        values:
          hostname: {api_name}
          proxy_hostname: {back_name}
          ports: ['{api}:{back}']
",
        back_name = world.host("back"),
        api_name = world.host("api"),
    );
    (yaml, api)
}

/// Where the forward `api` of a ready line listens.
pub(crate) fn api_address(project: &Value) -> SocketAddr {
    let address = named(&project["forwards"], "api")["routes"][0]["listen"].as_str();
    address
        .expect("the forward listens")
        .parse()
        .expect("an address")
}

/// The lines of the hosts file about this world's names, sorted.
pub(crate) fn host_lines(world: &World) -> Vec<String> {
    let suffix = world.host("");
    let mut lines: Vec<String> = world
        .hosts()
        .lines()
        .filter(|line| line.contains(&suffix))
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

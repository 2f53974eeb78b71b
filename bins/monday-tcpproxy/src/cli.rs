//! The command line.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use monday_shared::address::split_name;
use monday_shared::address_env::variable_name;
use monday_shared::duration::Span;
use monday_shared::life::LifeArgs;
use monday_shared::protocol::fault::FaultSpec;
use monday_shared::protocol::tcpproxy::RouteSpec;

use crate::ctl::Ctl;
use crate::pipe_pool::CopyPath;
use crate::place::Place;
use crate::ready::ReadyArgs;
use crate::routes_file::{self, Mistake, RoutesFileError};
use monday_shared::address::Target;
use monday_shared::protocol::listen_address::Listens;

/// How long connections have where nobody says so: enough for a request that is under way, and little enough for a person
/// who presses Ctrl-C and has forgotten a browser.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

const EXAMPLES: &str = "\
Addresses:
  LISTEN  IP:PORT, [IPv6]:PORT, or PORT (on 127.0.0.1); port 0 takes a free one; unix:PATH;
          fd:NAME or fd:3, handed over with LISTEN_FDS; several with commas between
  TARGET  HOST:PORT, [IPv6]:PORT, or PORT (on 127.0.0.1), names being resolved at each connection;
          unix:PATH

Examples:
  monday-tcpproxy 8080=example.com:80
      relays port 8080 of this machine until Ctrl-C
  monday-tcpproxy db@0=db.internal:5432 -- sh -c 'psql -h $MONDAY_HOST_DB -p $MONDAY_PORT_DB -l'
      runs a command that finds the relay in MONDAY_ADDR_DB (IP:PORT), MONDAY_HOST_DB and
      MONDAY_PORT_DB, and exits with its status; routes without a name are ROUTE1, ROUTE2, ...
  monday-tcpproxy db@127.0.0.1:5432,unix:/tmp/.s.PGSQL.5432=unix:/run/postgresql/.s.PGSQL.5432
      relays a port and a socket to a socket
  monday-tcpproxy db@5433=5432 --fault db:latency=100ms,jitter=20ms,direction=down
      a slow database; effects: latency (jitter), rate, slice (slice_delay), cut_bytes, cut_after
      (ending), stall, blackhole, reset, refuse, unanswered, accept_delay, swallow_half_close,
      corrupt; for whom: direction, probability, connections=new, expires
  monday-tcpproxy --routes routes.yaml
      the same from a file, with the keys of the method open, for example
      routes: [{id: db, listen: 127.0.0.1:5433, target: db:5432, faults: {latency: 100ms}}]
  monday-tcpproxy --output json 0=3000
      says as its first line which port it took: {\"event\":\"ready\",\"routes\":[{\"listen\":...}]}
  monday-tcpproxy --control /tmp/proxy.sock
      takes its routes from the control socket: methods open, apply, close, fault, wait, ...
  monday-tcpproxy ctl /tmp/proxy.sock wait until=target timeout=10s
      asks a running one, here until all targets accept; see monday-tcpproxy ctl --help";

/// Listens on addresses and relays every connection to another address
///
/// Both directions are relayed until both sides have ended; a reset on one side is a reset on the other, and so is a
/// target that refuses. Nothing but this machine can connect, unless another address is written.
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    after_help = EXAMPLES,
    override_usage = "monday-tcpproxy [OPTIONS] [NAME@]LISTEN=TARGET... [-- COMMAND...]\n       \
                      monday-tcpproxy [OPTIONS] --control PATH\n       \
                      monday-tcpproxy ctl SOCKET METHOD [PARAMETER]..."
)]
pub struct Cli {
    /// The routes.
    #[arg(
        help = "What to relay: [NAME@]LISTEN=TARGET, for example db@127.0.0.1:0=db.internal:5432",
        value_name = "ROUTE",
        required_unless_present_any = ["control", "routes_file"],
        value_parser = read_route
    )]
    routes: Vec<RouteArg>,

    /// Take routes from this file as well, in YAML: `routes: [{id, listen, target, ...}]`
    #[arg(long = "routes", value_name = "FILE")]
    routes_file: Option<PathBuf>,

    /// How long a connection may take to reach its target
    #[arg(long, value_name = "TIME", default_value = "10s")]
    connect_timeout: Span,

    /// How long to hold a connection while its target refuses; 0 refuses it at once
    #[arg(long, value_name = "TIME", default_value = "0")]
    connect_wait: Span,

    /// Have ports below 1024, where we may not bind them, bound by the monday-ipalias with this control socket
    #[arg(long, value_name = "SOCKET")]
    ports_from: Option<PathBuf>,

    /// A fault of a route from the beginning: ROUTE:KEY=VALUE,...
    #[arg(long = "fault", value_name = "FAULT", value_parser = read_fault)]
    faults: Vec<FaultArg>,

    /// Makes chance repeat itself; the ready line tells the seed of a run
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// Close a connection on which nothing happened for so long; 0 never does
    #[arg(long, value_name = "TIME")]
    idle_timeout: Option<Span>,

    /// How long a half-closed connection may be silent where nobody knows whether its peer is there
    #[arg(long, value_name = "TIME")]
    half_close_linger: Option<Span>,

    /// Tell targets who the client is (PROXY protocol, version 2)
    #[arg(long)]
    proxy_protocol: bool,

    /// Tell of every connection as it comes and goes
    #[arg(long)]
    log_connections: bool,

    /// How long connections have to end by themselves when this is told to stop; a second signal cuts them. Default: 0
    /// with COMMAND or --lifeline, else 3s
    #[arg(long, value_name = "TIME")]
    drain_timeout: Option<Span>,

    #[command(flatten)]
    ready: ReadyArgs,

    /// How bytes are moved
    #[arg(long, value_name = "PATH", default_value = "auto", hide = true)]
    copy_path: CopyPath,

    #[command(flatten)]
    life: LifeArgs,

    /// Run this with the addresses in its environment, and end with it
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<OsString>,
}

/// What this process was started for.
#[derive(Clone, Debug)]
pub enum Invocation {
    /// To relay.
    Relay(Box<Cli>),
    /// To ask another one.
    Ask(Ctl),
}

impl Invocation {
    /// The command line as it is completed and documented.
    #[must_use]
    pub fn definition() -> clap::Command {
        let ctl = <Ctl as CommandFactory>::command().name("ctl");
        <Cli as CommandFactory>::command().subcommand(ctl)
    }

    /// Reads the command line of this process; ends the process if it makes no sense.
    #[must_use]
    pub fn parse_or_exit() -> Self {
        Self::try_read(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn try_read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut words: Vec<OsString> = words.into_iter().collect();
        // No route looks like this word.
        if words.get(1).is_some_and(|word| word == "ctl") {
            words.remove(1);
            return Ctl::try_parse_from(words).map(Self::Ask);
        }
        Cli::try_read(words).map(|cli| Self::Relay(Box::new(cli)))
    }
}

/// A route of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RouteArg {
    name: Option<String>,
    listen: String,
    target: String,
}

/// A fault of the command line, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FaultArg {
    route: String,
    fault: FaultSpec,
}

/// Reads `ROUTE:KEY=VALUE,...`.
fn read_fault(text: &str) -> Result<FaultArg, String> {
    let (route, fault) = text
        .split_once(':')
        .ok_or("write ROUTE:KEY=VALUE,..., for example db:latency=100ms,jitter=20ms")?;
    Ok(FaultArg {
        route: route.to_owned(),
        fault: fault.parse()?,
    })
}

/// Reads `[NAME@]LISTEN=TARGET`.
fn read_route(text: &str) -> Result<RouteArg, String> {
    let (left, target) = text
        .split_once('=')
        .ok_or("write [NAME@]LISTEN=TARGET, for example 8080=example.com:80")?;
    let (name, listen) = split_name(left)?;
    for address in &Listens::from(listen).0 {
        address
            .parse::<Place>()
            .map_err(|error| error.to_string())?;
    }
    target
        .parse::<Target>()
        .map_err(|error| error.to_string())?;
    Ok(RouteArg {
        name: name.map(str::to_owned),
        listen: listen.to_owned(),
        target: target.to_owned(),
    })
}

impl Cli {
    fn try_read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let cli = Self::try_parse_from(words)?;
        let routes = cli.routes();
        let stray = || match cli.routes_file {
            // It may be one of the file, which is not read yet.
            Some(_) => None,
            None => cli.stray_fault(&routes),
        };
        let problem = name_clash(&routes).or_else(stray);
        match problem {
            None => Ok(cli),
            Some(problem) => {
                Err(<Self as CommandFactory>::command().error(ErrorKind::ArgumentConflict, problem))
            }
        }
    }

    /// The flags of every executable.
    #[must_use]
    pub fn life(&self) -> &LifeArgs {
        &self.life
    }

    /// How bytes shall be moved.
    #[must_use]
    pub fn copy_path(&self) -> CopyPath {
        self.copy_path
    }

    /// A fault of a route that there is not among these.
    fn stray_fault(&self, routes: &[RouteSpec]) -> Option<String> {
        let stray = self
            .faults
            .iter()
            .find(|fault| routes.iter().all(|route| route.id != fault.route))?;
        let names: Vec<&str> = routes.iter().map(|route| route.id.as_str()).collect();
        Some(format!(
            "there is no route `{}` to have a fault; the routes are {}",
            stray.route,
            names.join(", ")
        ))
    }

    /// All routes: those of the command line, then those of the file.
    ///
    /// # Errors
    /// The file cannot be used, or does not go with the rest of the command line.
    pub fn all_routes(&self) -> Result<Vec<RouteSpec>, RoutesFileError> {
        let mut routes = self.routes();
        let Some(path) = &self.routes_file else {
            return Ok(routes);
        };
        for mut route in routes_file::read(path)? {
            route.faults.extend(self.faults_of(&route.id));
            routes.push(route);
        }
        match name_clash(&routes).or_else(|| self.stray_fault(&routes)) {
            None => Ok(routes),
            Some(problem) => Err(RoutesFileError::Wrong {
                path: path.clone(),
                mistake: Mistake {
                    what: problem,
                    position: None,
                },
            }),
        }
    }

    fn faults_of(&self, id: &str) -> impl Iterator<Item = FaultSpec> {
        let own = self.faults.iter().filter(move |fault| fault.route == id);
        own.map(|fault| fault.fault.clone())
    }

    /// Whom to tell that everything is there.
    #[must_use]
    pub fn ready(&self) -> &ReadyArgs {
        &self.ready
    }

    /// How long connections have when everything ends.
    #[must_use]
    pub fn drain_timeout(&self) -> Duration {
        let waits_for_nobody = !self.command.is_empty() || self.life.lifeline;
        match self.drain_timeout {
            Some(time) => time.0,
            None if waits_for_nobody => Duration::ZERO,
            None => DRAIN_TIMEOUT,
        }
    }

    /// What chance shall be derived from.
    #[must_use]
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// The routes; those without a name are ROUTE1, ROUTE2, and so on.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteSpec> {
        let mut unnamed = 0;
        self.routes
            .iter()
            .map(|route| {
                let id = route.name.clone().unwrap_or_else(|| {
                    unnamed += 1;
                    format!("ROUTE{unnamed}")
                });
                RouteSpec {
                    connect_timeout: self.connect_timeout,
                    connect_wait: self.connect_wait,
                    ports_from: self.ports_from.clone(),
                    idle_timeout: self.idle_timeout,
                    half_close_linger: self.half_close_linger,
                    proxy_protocol: self.proxy_protocol,
                    log_connections: self.log_connections,
                    faults: self.faults_of(&id).collect(),
                    ..RouteSpec::new(id, &route.listen, &route.target)
                }
            })
            .collect()
    }

    /// What to run meanwhile.
    #[must_use]
    pub fn command(&self) -> &[OsString] {
        &self.command
    }
}

/// Two names that would be the same in the environment of COMMAND.
fn name_clash(routes: &[RouteSpec]) -> Option<String> {
    let mut seen = HashMap::new();
    routes.iter().find_map(|route| {
        let variable = format!("MONDAY_ADDR_{}", variable_name(&route.id));
        let other = seen.insert(variable.clone(), &route.id)?;
        Some(format!(
            "the routes `{other}` and `{}` would both be {variable}: give them different names",
            route.id
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_read(line.split_ascii_whitespace().map(OsString::from))
    }

    #[test]
    fn routes_and_a_command_are_told_apart() {
        let cli = read("x db@127.0.0.1:0=db:5432 0=80 [::1]:1=[::1]:2 -- curl a=b").unwrap();
        let routes: Vec<_> = cli
            .routes()
            .into_iter()
            .map(|route| (route.id, route.listen.to_string(), route.target))
            .collect();
        assert_eq!(
            routes,
            [
                ("db", "127.0.0.1:0", "db:5432"),
                ("ROUTE1", "0", "80"),
                ("ROUTE2", "[::1]:1", "[::1]:2"),
            ]
            .map(|(id, listen, target)| (id.into(), listen.into(), target.into()))
        );
        assert_eq!(cli.command(), ["curl", "a=b"]);
    }

    #[test]
    fn times_hold_for_every_route() {
        let cli = read("x 0=80 1=80 --connect-timeout 250ms --connect-wait 5s").unwrap();
        for route in cli.routes() {
            assert_eq!(route.connect_timeout, Span::from_millis(250));
            assert_eq!(route.connect_wait, Span::from_secs(5));
        }
    }

    #[test]
    fn with_a_control_socket_there_may_be_no_routes() {
        assert!(read("x --control /tmp/s").unwrap().routes().is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error_that_names_it() {
        for (line, named) in [
            ("x", "<ROUTE>"),
            ("x -- true", "<ROUTE>"),
            ("x 8080", "write [NAME@]LISTEN=TARGET"),
            ("x @0=80", "the name before @ is empty"),
            ("x db:80=90", "`db:80` is no IP address to listen on"),
            ("x 80=db", "`db` has no valid port"),
            ("x 80=http://db/", "is a URL"),
            ("x a-b@0=1 a.b@0=2", "would both be MONDAY_ADDR_A_B"),
            ("x route1@0=1 0=2", "would both be MONDAY_ADDR_ROUTE1"),
            ("x 0=1 --connect-wait 5", "write a number with a unit"),
            ("x 0=1 --frobnicate", "--frobnicate"),
            ("x db@0=1 --fault dc:stall", "no route `dc`"),
            ("x db@0=1 --fault stall", "ROUTE:KEY=VALUE"),
            ("x db@0=1 --fault db:late=1s", "late"),
        ] {
            let error = read(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            let text = error.to_string();
            assert!(text.contains(named), "{line}: {text}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as CommandFactory>::command().debug_assert();
    }
}

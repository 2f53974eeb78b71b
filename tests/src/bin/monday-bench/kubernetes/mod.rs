//! Forwards to pods of a real cluster: throughput and the CPU time for it, new connections, small writes; and how many
//! round trips a new connection takes on a long way.

mod connections;
mod contender;
mod report;
mod transfer;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use monday_tests::cluster::{App, Cluster};
use monday_tests::delay::Delay;
use monday_tests::fake_api::FakeApi;
use monday_tests::world::World;

use crate::error::{Doing as _, Error};
use contender::{Contender, Way};
use report::Figures;
use transfer::Direction;

/// The namespace of what is measured.
const NAMESPACE: &str = "bench";

/// The long way.
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// What to measure and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only show that everything works: one short round.
    #[arg(long)]
    quick: bool,
    /// How many rounds; every contender has its turn in each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How much to transfer each way, in megabytes.
    #[arg(long, default_value_t = 500)]
    megabytes: u64,
    /// The executable under test. Default: the one beside this program.
    #[arg(long, value_name = "PATH")]
    fwd: Option<PathBuf>,
}

/// How much of everything is measured in one round.
#[derive(Clone, Copy, Debug)]
struct Amount {
    rounds: usize,
    bytes: u64,
    /// New connections one at a time.
    connections: usize,
    /// New connections of each of the clients that connect at once.
    connections_each: usize,
}

/// Measures and prints.
///
/// # Errors
/// The executable under test is missing or does not work. Where there can be no cluster that is said and is no error.
pub(crate) fn run(args: &Args, out: &mut impl Write) -> Result<(), Error> {
    let amount = if args.quick {
        Amount {
            rounds: 1,
            bytes: 20_000_000,
            connections: 20,
            connections_each: 5,
        }
    } else {
        Amount {
            rounds: args.rounds.max(1),
            bytes: args.megabytes * 1_000_000,
            connections: 200,
            connections_each: 75,
        }
    };
    let fwd = match &args.fwd {
        Some(path) => path.clone(),
        None => std::env::current_exe()
            .doing("find the folder of this program")?
            .with_file_name("monday-fwd"),
    };
    if !fwd.is_file() {
        return Err(Error::NotBuilt(fwd));
    }
    if let Some(why) = Cluster::impossible() {
        return writeln!(out, "NOT MEASURED: forwards to pods: {why}").doing("print the result");
    }
    let mut contenders = [
        (Contender::kubectl(), Figures::default()),
        (Contender::fwd(fwd), Figures::default()),
    ];
    far(&mut contenders, amount)?;
    let cluster = Cluster::up();
    cluster.enter();
    cluster.deploy(&App::new(NAMESPACE, "web"));
    let way = Way {
        kubeconfig: cluster.kubeconfig(),
        namespace: NAMESPACE.to_owned(),
        target: "deployment/web".to_owned(),
    };
    for round in 1..=amount.rounds {
        // Nobody is interested in progress who does not watch; on standard error it does not spoil the table.
        let _ = writeln!(std::io::stderr(), "round {round} of {}", amount.rounds);
        for (contender, figures) in &mut contenders {
            measure(contender, figures, &way, amount)?;
        }
    }
    drop(cluster);
    report::write(out, &contenders, amount).doing("print the result")
}

/// One round of one contender.
fn measure(
    contender: &Contender,
    figures: &mut Figures,
    way: &Way,
    amount: Amount,
) -> Result<(), Error> {
    let doing = |what: &str| format!("{what} through {}", contender.label());
    let forward = contender.start(way, "talk")?;
    for (direction, samples) in [
        (Direction::Down, &mut figures.down),
        (Direction::Up, &mut figures.up),
    ] {
        let sample = transfer::sample(&forward, direction, amount.bytes);
        samples.push(sample.doing(doing("transfer"))?);
    }
    drop(forward);
    let forward = contender.start(way, "echo")?;
    let first = connections::first_bytes(forward.address(), amount.connections);
    figures.first_bytes.push(first.doing(doing("connect"))?);
    let rate = connections::rate(forward.address(), amount.connections_each);
    figures.rate.push(rate.doing(doing("connect"))?);
    let small = connections::small_writes(forward.address());
    figures.small_writes.push(small.doing(doing("write"))?);
    figures.memory.push(forward.memory_megabytes());
    Ok(())
}

/// New connections on a long way, before a fake API server: a real one cannot be moved away.
fn far(contenders: &mut [(Contender, Figures)], amount: Amount) -> Result<(), Error> {
    let echo = connections::echo().doing("start a server")?;
    let fake = FakeApi::start();
    fake.pod("web-1", "web", &[("echo", 7001, echo)]);
    let delay = Delay::start(fake.address(), ROUND_TRIP);
    let world = World::new();
    let way = Way {
        kubeconfig: FakeApi::kubeconfig_at(&world, delay.address()),
        namespace: "default".to_owned(),
        target: "pod/web-1".to_owned(),
    };
    for (contender, figures) in contenders {
        let forward = contender.start(&way, "echo")?;
        let first = connections::first_bytes(forward.address(), amount.connections / 4);
        let first = first.doing(format!("connect through {}", contender.label()))?;
        figures.far.push(first);
    }
    Ok(())
}

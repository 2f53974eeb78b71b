//! TCP relays: throughput, CPU time for it, and new connections.

mod contender;
mod idle;
mod ping;
mod rate;
mod report;
mod throughput;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Doing as _, Error};
use contender::{Contender, Start};
use rate::EchoServer;
use report::Figures;
use throughput::Sink;

/// The streams of the two throughput measurements.
const STREAMS: [usize; 2] = [1, 4];

/// What to measure and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only show that everything works: one short round.
    #[arg(long)]
    quick: bool,
    /// How many rounds; every contender has its turn in each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The length of one sample.
    #[arg(long, default_value = "1.2s")]
    sample: monday_shared::duration::Span,
    /// The executable under test. Default: the one beside this program.
    #[arg(long, value_name = "PATH")]
    tcpproxy: Option<PathBuf>,
    /// Another build of the executable under test, to compare with.
    #[arg(long, value_name = "LABEL=PATH")]
    also: Vec<String>,
}

/// Measures and prints.
///
/// # Errors
/// The executable under test is missing or does not work, or the system refuses sockets. A peer that is not installed
/// is reported in the table and is no error.
pub(crate) fn run(args: &Args, out: &mut impl Write) -> Result<(), Error> {
    let (rounds, sample) = if args.quick {
        (1, Duration::from_millis(200))
    } else {
        (args.rounds.max(1), args.sample.0)
    };
    let sink = Sink::start().doing("start the server that the streams end in")?;
    let echo = EchoServer::start().doing("start the server that answers connections")?;

    let patient = rate::start_patient_echo().doing("start the server of idle connections")?;

    let mut contenders: Vec<(Contender, Figures)> = contenders(args)?
        .into_iter()
        .map(|contender| (contender, Figures::default()))
        .collect();
    for round in 1..=rounds {
        // Nobody is interested in progress who does not watch; on standard error it does not spoil the table.
        let _ = writeln!(std::io::stderr(), "round {round} of {rounds}");
        for (contender, figures) in &mut contenders {
            measure(contender, figures, &sink, &echo, patient, sample)?;
        }
    }
    let crowded = if args.quick {
        None
    } else {
        crowd(&contenders[1].0, &sink, patient, sample)?
    };
    report::write(out, &contenders, rounds, sample, crowded).doing("print the result")
}

fn contenders(args: &Args) -> Result<Vec<Contender>, Error> {
    let tcpproxy = match &args.tcpproxy {
        Some(path) => path.clone(),
        None => std::env::current_exe()
            .doing("find the folder of this program")?
            .with_file_name("monday-tcpproxy"),
    };
    let mut contenders = vec![
        Contender::raw(),
        Contender::tcpproxy("monday-tcpproxy", tcpproxy.clone())?,
    ];
    for also in &args.also {
        let (label, path) = also.split_once('=').ok_or_else(|| Error::Contender {
            program: also.clone(),
            problem: "write it as LABEL=PATH".to_owned(),
        })?;
        contenders.push(Contender::tcpproxy(label, PathBuf::from(path))?);
    }
    contenders.push(Contender::tcpproxy_with_fault(tcpproxy)?);
    contenders.push(Contender::haproxy());
    contenders.push(Contender::toxiproxy());
    contenders.push(Contender::socat());
    Ok(contenders)
}

/// One round of one contender.
fn measure(
    contender: &mut Contender,
    figures: &mut Figures,
    sink: &Sink,
    echo: &EchoServer,
    patient: std::net::SocketAddr,
    sample: Duration,
) -> Result<(), Error> {
    for (place, streams) in STREAMS.into_iter().enumerate() {
        match contender.start(sink.address())? {
            Start::Missing(why) => {
                figures.missing = Some(why);
                return Ok(());
            }
            Start::Running(relay) => {
                let measured = throughput::sample(&relay, sink, streams, sample)
                    .doing(format!("stream through {}", contender.label()))?;
                figures.throughput[place].push(measured);
            }
        }
    }
    if let Start::Running(relay) = contender.start(echo.address())? {
        let measured = rate::sample(&relay, sample);
        figures.rate.push(measured);
    }
    if let Start::Running(relay) = contender.start(patient)? {
        let doing = || format!("ping through {}", contender.label());
        figures
            .ping
            .push(ping::sample(&relay, sample / 2).doing(doing())?);
        // Beside its own connections each of socat's is a process.
        if contender.label() != "socat" {
            figures.idle.extend(idle::sample(&relay).doing(doing())?);
        }
    }
    Ok(())
}

/// How many idle connections one stream shall not notice.
const CROWD: usize = 9_000;

/// One stream beside many idle connections, and alone right after: gigabits a second. `None`: this machine lets a process
/// have too few descriptors.
fn crowd(
    contender: &Contender,
    sink: &Sink,
    patient: std::net::SocketAddr,
    sample: Duration,
) -> Result<Option<report::Crowded>, Error> {
    // The clients' end and the server's end of each are in this process.
    let wanted = 2 * CROWD as u64 + 200;
    let (_, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
        .map_err(std::io::Error::from)
        .doing("ask how many files may be open")?;
    if hard < wanted {
        return Ok(None);
    }
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, hard, hard)
        .map_err(std::io::Error::from)
        .doing("raise the limit of open files")?;
    let both = format!("127.0.0.1:0={patient}");
    let Some((idle_relay, stream_relay)) = contender.start_two(&both, sink.address())? else {
        return Ok(None);
    };
    let stream =
        || throughput::sample(&stream_relay, sink, 1, sample).doing("stream beside a crowd");
    let connections = idle::open(&idle_relay, CROWD).doing("open idle connections")?;
    let beside = stream()?;
    let held = connections.len();
    drop(connections);
    let alone = stream()?;
    Ok(Some(report::Crowded {
        held,
        beside: beside.gigabits_per_second,
        alone: alone.gigabits_per_second,
    }))
}

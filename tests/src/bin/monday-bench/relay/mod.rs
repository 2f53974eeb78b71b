//! TCP relays: throughput, CPU time for it, and new connections.

mod contender;
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

    let mut contenders: Vec<(Contender, Figures)> = contenders(args)?
        .into_iter()
        .map(|contender| (contender, Figures::default()))
        .collect();
    for round in 1..=rounds {
        // Nobody is interested in progress who does not watch; on standard error it does not spoil the table.
        let _ = writeln!(std::io::stderr(), "round {round} of {rounds}");
        for (contender, figures) in &mut contenders {
            measure(contender, figures, &sink, &echo, sample)?;
        }
    }
    report::write(out, &contenders, rounds, sample).doing("print the result")
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
        Contender::tcpproxy("monday-tcpproxy", tcpproxy)?,
    ];
    for also in &args.also {
        let (label, path) = also.split_once('=').ok_or_else(|| Error::Contender {
            program: also.clone(),
            problem: "write it as LABEL=PATH".to_owned(),
        })?;
        contenders.push(Contender::tcpproxy(label, PathBuf::from(path))?);
    }
    contenders.push(Contender::haproxy());
    contenders.push(Contender::socat());
    Ok(contenders)
}

/// One round of one contender.
fn measure(
    contender: &mut Contender,
    figures: &mut Figures,
    sink: &Sink,
    echo: &EchoServer,
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
    Ok(())
}

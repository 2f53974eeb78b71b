//! `monday-fwd ssh` beside `ssh -L`, with the same cipher, to the same sshd.

mod contender;
mod measure;
mod servers;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Doing as _, Error};
use crate::median::median;
use crate::table::Table;
use contender::Contender;
use monday_tests::delay::Delay;
use monday_tests::sshd::Sshd;
use servers::{Echo, Flood, Sink};

/// The time that is added to each direction where there is added delay: 20 ms for there and back.
const ADDED: Duration = Duration::from_millis(20);

/// What to measure and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many rounds; every contender has its turn in each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The length of one sample.
    #[arg(long, default_value = "1s")]
    sample: monday_shared::duration::Span,
    /// The cipher that all use.
    #[arg(long, default_value = "aes128-gcm@openssh.com")]
    cipher: String,
    /// The executable under test. Default: the one beside this program.
    #[arg(long, value_name = "PATH")]
    fwd: Option<PathBuf>,
}

/// What is measured, with whether more is better.
const FIGURES: [(&str, bool); 9] = [
    ("up, Gbit/s", true),
    ("down, Gbit/s", true),
    ("up, CPU s/GB", false),
    ("down, CPU s/GB", false),
    ("connections/s, one at a time", true),
    ("connections/s, 8 at a time", true),
    ("ping-pong p50, us", false),
    ("up with 20 ms, Gbit/s", true),
    ("down with 20 ms, Gbit/s", true),
];

/// One more: another connection of the same forward while one is stalled.
const STALLED: &str = "ping-pong p50 beside a stalled one, us";

/// Measures and prints.
///
/// # Errors
/// There is no sshd or no ssh, or the executable under test does not work.
pub(crate) fn run(args: &Args, out: &mut impl Write) -> Result<(), Error> {
    let sshd = Sshd::start().doing("start an sshd")?;
    let delay = Delay::start(sshd.address(), ADDED);
    let (sink, flood, echo) = (
        Sink::start().doing("start a server")?,
        Flood::start().doing("start a server")?,
        Echo::start().doing("start a server")?,
    );
    let fwd = match &args.fwd {
        Some(path) => path.clone(),
        None => std::env::current_exe()
            .doing("find the folder of this program")?
            .with_file_name("monday-fwd"),
    };
    let contenders = [Contender::Fwd(fwd), Contender::OpenSsh];
    let mut samples = vec![vec![Vec::new(); contenders.len()]; FIGURES.len() + 1];
    for round in 1..=args.rounds.max(1) {
        // Nobody is interested in progress who does not watch; on standard error it does not spoil the table.
        let _ = writeln!(std::io::stderr(), "round {round} of {}", args.rounds);
        for (place, contender) in contenders.iter().enumerate() {
            let mut put = |figure: usize, value: f64| samples[figure][place].push(value);
            let length = args.sample.0;
            let near = |target| contender.start(&sshd, sshd.address(), target, &args.cipher);
            let far = |target| contender.start(&sshd, delay.address(), target, &args.cipher);

            let running = near(sink.address)?;
            let up = measure::up(&running, &sink, length).doing("stream up")?;
            put(0, up.gigabits);
            put(2, up.cpu);
            drop(running);
            let running = near(flood.address)?;
            let down = measure::down(&running, length).doing("stream down")?;
            put(1, down.gigabits);
            put(3, down.cpu);
            drop(running);
            let running = near(echo.address)?;
            put(4, measure::rate(&running, 1, length));
            put(5, measure::rate(&running, 8, length));
            put(
                6,
                measure::ping_pong(&running, length).doing("play ping-pong")?,
            );
            drop(running);
            let running = far(sink.address)?;
            put(
                7,
                measure::up(&running, &sink, length)
                    .doing("stream up")?
                    .gigabits,
            );
            drop(running);
            let running = far(flood.address)?;
            put(
                8,
                measure::down(&running, length)
                    .doing("stream down")?
                    .gigabits,
            );
            drop(running);
            let running = near(flood.address)?;
            let stalled = measure::beside_a_stalled_one(&running, length);
            put(
                9,
                stalled.doing("play ping-pong beside a stalled connection")?,
            );
        }
    }
    write(out, &samples, args).doing("print the result")
}

fn write(out: &mut impl Write, samples: &[Vec<Vec<f64>>], args: &Args) -> std::io::Result<()> {
    writeln!(
        out,
        "monday-fwd ssh beside ssh -L, {}, medians of {} rounds of {}, {}\n",
        args.cipher,
        args.rounds,
        args.sample,
        crate::machine::describe()
    )?;
    let mut table = Table::new(&["", "monday-fwd", "OpenSSH", "ratio", "better is"]);
    let names = FIGURES.into_iter().chain([(STALLED, false)]);
    for ((name, more), samples) in names.zip(samples) {
        let (ours, theirs) = (median(&samples[0]), median(&samples[1]));
        table.row(vec![
            name.to_owned(),
            format!("{ours:.2}"),
            format!("{theirs:.2}"),
            format!("{:.2}", ours / theirs),
            if more { "more" } else { "less" }.to_owned(),
        ]);
    }
    write!(out, "{table}")
}

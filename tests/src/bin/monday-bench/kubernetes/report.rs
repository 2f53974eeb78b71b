//! The result, for people.

use std::io::{self, Write};

use super::connections::Spread;
use super::contender::Contender;
use super::transfer::Transfer;
use super::{Amount, ROUND_TRIP};
use crate::machine;
use crate::median::median;
use crate::table::Table;

/// The samples of one contender, one of each kind a round.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) down: Vec<Transfer>,
    pub(crate) up: Vec<Transfer>,
    pub(crate) first_bytes: Vec<Spread>,
    pub(crate) rate: Vec<f64>,
    pub(crate) small_writes: Vec<Spread>,
    pub(crate) far: Vec<Spread>,
    pub(crate) memory: Vec<f64>,
}

/// A figure: what it is, of what it is made, what the ratio of ours to theirs shall be.
type Row = (&'static str, fn(&Figures) -> f64, &'static str);

const ROWS: [Row; 11] = [
    (
        "download MB/s",
        |f| of(&f.down, |t| t.megabytes_per_second),
        ">= 1.2",
    ),
    (
        "upload MB/s",
        |f| of(&f.up, |t| t.megabytes_per_second),
        ">= 1.3",
    ),
    (
        "CPU s/GB down",
        |f| of(&f.down, |t| t.cpu_seconds_per_gigabyte),
        "<= 0.6",
    ),
    (
        "CPU s/GB up",
        |f| of(&f.up, |t| t.cpu_seconds_per_gigabyte),
        "<= 0.6",
    ),
    (
        "first byte ms p50",
        |f| of(&f.first_bytes, |s| s.p50),
        "<= 0.5",
    ),
    ("first byte ms p95", |f| of(&f.first_bytes, |s| s.p95), ""),
    (
        "connections/s, 8 at once",
        |f| of(&f.rate, |rate| *rate),
        ">= 1.2",
    ),
    (
        "3 small writes ms p50",
        |f| of(&f.small_writes, |s| s.p50),
        "",
    ),
    (
        "3 small writes ms p95",
        |f| of(&f.small_writes, |s| s.p95),
        "no 40 ms",
    ),
    ("first byte ms p50, far away", |f| of(&f.far, |s| s.p50), ""),
    ("memory MB", |f| of(&f.memory, |memory| *memory), ""),
];

fn of<T>(samples: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    median(&samples.iter().map(figure).collect::<Vec<_>>())
}

/// Prints the medians and how many times theirs ours are.
pub(crate) fn write(
    out: &mut impl Write,
    contenders: &[(Contender, Figures)],
    amount: Amount,
) -> io::Result<()> {
    let mut heading = vec!["forward to a pod"];
    heading.extend(contenders.iter().map(|(contender, _)| contender.label()));
    heading.extend(["ratio", "wanted"]);
    let mut table = Table::new(&heading);
    for (name, figure, wanted) in ROWS {
        let figures: Vec<f64> = contenders
            .iter()
            .map(|(_, figures)| figure(figures))
            .collect();
        let mut cells = vec![name.to_owned()];
        cells.extend(figures.iter().map(|figure| format!("{figure:.2}")));
        cells.push(match figures[..] {
            [theirs, ours] if theirs > 0.0 => format!("{:.2}", ours / theirs),
            _ => "-".to_owned(),
        });
        cells.push(wanted.to_owned());
        table.row(cells);
    }
    writeln!(
        out,
        "medians of {} rounds, {} MB a transfer, {} connections, a cluster on this machine; far away: {} ms round \
         trips to a fake API server; {}",
        amount.rounds,
        amount.bytes / 1_000_000,
        amount.connections,
        ROUND_TRIP.as_millis(),
        machine::describe()
    )?;
    write!(out, "{table}")?;
    out.flush()
}

//! The table of the results.

use std::io::{self, Write};
use std::time::Duration;

use super::STREAMS;
use super::contender::Contender;
use super::idle::Idle;
use super::rate::Rate;
use super::throughput::Throughput;
use crate::machine;
use crate::median::median;
use crate::table::Table;

/// All samples of one contender.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Why there are none.
    pub(crate) missing: Option<String>,
    /// By the place in [`STREAMS`].
    pub(crate) throughput: [Vec<Throughput>; STREAMS.len()],
    pub(crate) rate: Vec<Rate>,
    /// The time that a small message takes there and back, in microseconds.
    pub(crate) ping: Vec<f64>,
    pub(crate) idle: Vec<Idle>,
}

/// One stream beside many idle connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowded {
    /// How many.
    pub(crate) held: usize,
    /// Gigabits a second beside them.
    pub(crate) beside: f64,
    /// And alone, right after.
    pub(crate) alone: f64,
}

impl Figures {
    fn gigabits(&self, place: usize) -> f64 {
        median_of(&self.throughput[place], |t| t.gigabits_per_second)
    }

    fn cpu_per_gigabyte(&self, place: usize) -> f64 {
        median_of(&self.throughput[place], |t| t.cpu_seconds_per_gigabyte)
    }

    fn connections(&self) -> f64 {
        median_of(&self.rate, |r| r.per_second)
    }

    fn cpu_per_connection(&self) -> f64 {
        median_of(&self.rate, |r| r.cpu_micros_each)
    }

    fn ping(&self) -> f64 {
        median(&self.ping)
    }

    fn failed(&self) -> u64 {
        self.rate.iter().map(|r| r.failed).sum()
    }
}

fn median_of<T>(samples: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    median(&samples.iter().map(figure).collect::<Vec<_>>())
}

/// Says how many times as fast as its peers the first relay is.
fn ratios(out: &mut impl Write, contenders: &[(Contender, Figures)]) -> io::Result<()> {
    let raw = contenders.first().map_or(0.0, |(_, raw)| raw.ping());
    let mut relays = contenders
        .iter()
        .skip(1)
        .filter(|(_, f)| f.missing.is_none());
    let Some((ours, our)) = relays.next() else {
        return Ok(());
    };
    for (theirs, their) in relays {
        writeln!(
            out,
            "{} / {}: one stream {:.2}, four streams {:.2}, connections {:.2}, CPU a byte {:.2}, added ping {:.2}",
            ours.label(),
            theirs.label(),
            our.gigabits(0) / their.gigabits(0),
            our.gigabits(1) / their.gigabits(1),
            our.connections() / their.connections(),
            our.cpu_per_gigabyte(0) / their.cpu_per_gigabyte(0),
            (our.ping() - raw) / (their.ping() - raw)
        )?;
    }
    Ok(())
}

/// Prints the medians, the ratios to raw loopback, and who is missing.
pub(crate) fn write(
    out: &mut impl Write,
    contenders: &[(Contender, Figures)],
    rounds: usize,
    sample: Duration,
    crowded: Option<Crowded>,
) -> io::Result<()> {
    let mut table = Table::new(&[
        "relay",
        "1 stream Gbit/s",
        "of raw",
        "CPU s/GB",
        "4 streams Gbit/s",
        "of raw",
        "CPU s/GB",
        "connections/s",
        "of raw",
        "CPU us each",
        "failed",
        "ping us",
        "idle KiB each",
        "fds each",
    ]);
    let raw = contenders.first().map(|(_, figures)| figures);
    let share = |figure: f64, raw: Option<f64>| match raw {
        Some(raw) if raw > 0.0 => format!("{:.0} %", figure / raw * 100.0),
        _ => "-".to_owned(),
    };
    for (contender, figures) in contenders.iter().filter(|(_, f)| f.missing.is_none()) {
        let mut cells = vec![contender.label().to_owned()];
        for place in 0..STREAMS.len() {
            let gigabits = figures.gigabits(place);
            cells.push(format!("{gigabits:.1}"));
            cells.push(share(gigabits, raw.map(|raw| raw.gigabits(place))));
            cells.push(format!("{:.2}", figures.cpu_per_gigabyte(place)));
        }
        cells.push(format!("{:.0}", figures.connections()));
        cells.push(share(figures.connections(), raw.map(Figures::connections)));
        cells.push(format!("{:.0}", figures.cpu_per_connection()));
        cells.push(figures.failed().to_string());
        cells.push(format!("{:.0}", figures.ping()));
        if figures.idle.is_empty() {
            cells.extend(["-".to_owned(), "-".to_owned()]);
        } else {
            cells.push(format!(
                "{:.1}",
                median_of(&figures.idle, |idle| idle.kib_each)
            ));
            let descriptors = median_of(&figures.idle, |idle| idle.descriptors_each);
            cells.push(format!("{descriptors:.1}"));
        }
        table.row(cells);
    }
    writeln!(
        out,
        "medians of {rounds} rounds, {} ms a sample, all on loopback; {}",
        sample.as_millis(),
        machine::describe()
    )?;
    write!(out, "{table}")?;
    ratios(out, contenders)?;
    match crowded {
        Some(Crowded {
            held,
            beside,
            alone,
        }) => writeln!(
            out,
            "one stream beside {held} idle connections: {beside:.1} Gbit/s, alone {alone:.1}: {:.2}",
            beside / alone
        )?,
        None => writeln!(
            out,
            "NOT MEASURED: one stream beside 9000 idle connections: only in a whole run, with 20,000 open files"
        )?,
    }
    for (contender, why) in contenders
        .iter()
        .filter_map(|(contender, figures)| Some((contender, figures.missing.as_ref()?)))
    {
        writeln!(out, "NOT MEASURED: {}: {why}", contender.label())?;
    }
    out.flush()
}

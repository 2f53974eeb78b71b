//! The faults of a route, and what they mean for one direction of one connection: data and pure decisions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use monday_shared::protocol::fault::{Concerned, FaultDirection, FaultEnding, FaultSpec};

use monday_shared::amount::Ratio;

use crate::chance::Chance;

/// A fault that a route has.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) spec: FaultSpec,
    /// What it is known by.
    pub(crate) name: String,
    /// Which of all faults that there ever were.
    pub(crate) serial: u64,
    /// Since when.
    since: Instant,
    /// The first connection that is new to it.
    first_new: u64,
}

/// All faults of a route.
pub(crate) type Faults = Arc<[Arc<Fault>]>;

/// The connection that faults may concern.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// Its route.
    pub(crate) route: &'a str,
    /// Which of the route's connections it is.
    pub(crate) number: u64,
    /// Since when there is one.
    pub(crate) since: Instant,
    /// What chance is derived from.
    pub(crate) seed: u64,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the target.
    Up,
    /// From the target to the client.
    Down,
}

/// What happens to the bytes of one direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Effects {
    pub(crate) latency: Duration,
    pub(crate) jitter: Duration,
    pub(crate) bytes_per_second: Option<u64>,
    pub(crate) slice_bytes: Option<usize>,
    pub(crate) slice_delay: Duration,
    pub(crate) cut_bytes: Option<u64>,
    pub(crate) cut_at: Option<Instant>,
    pub(crate) ending: FaultEnding,
    pub(crate) stall: bool,
    pub(crate) blackhole: bool,
    pub(crate) swallow_end: bool,
    /// The share of bytes that are changed.
    pub(crate) corrupt: f64,
}

impl Fault {
    /// Begins now, for a route that has accepted so many connections.
    pub(crate) fn begin(spec: FaultSpec, serial: u64, accepted: u64) -> Self {
        Self {
            name: spec.known_as(),
            spec,
            serial,
            since: Instant::now(),
            first_new: accepted,
        }
    }

    fn concerns(&self, subject: Subject<'_>) -> bool {
        let old = subject.number < self.first_new;
        if old && self.spec.connections == Some(Concerned::New) {
            return false;
        }
        self.spec.probability.is_none_or(|share| {
            let words = [subject.route, &self.name, "concerns"];
            Chance::of(subject.seed, &words, subject.number).share() < share.value()
        })
    }

    fn goes(&self, way: Way) -> bool {
        match self.spec.direction.unwrap_or_default() {
            FaultDirection::Both => true,
            FaultDirection::Up => way == Way::Up,
            FaultDirection::Down => way == Way::Down,
        }
    }
}

/// How long a new connection is let alone before anything else happens to it.
pub(crate) fn accept_delay(faults: &[Arc<Fault>], subject: Subject<'_>) -> Duration {
    faults
        .iter()
        .filter(|fault| fault.concerns(subject))
        .filter_map(|fault| fault.spec.accept_delay)
        .map(|delay| delay.0)
        .sum()
}

/// What all faults together mean for one direction of a connection. `None`: nothing.
pub(crate) fn effects(faults: &[Arc<Fault>], subject: Subject<'_>, way: Way) -> Option<Effects> {
    let mut all = Effects::default();
    let mut any = false;
    for fault in faults {
        if !fault.goes(way) || !fault.concerns(subject) {
            continue;
        }
        let spec = &fault.spec;
        let at_the_door = [&spec.refuse, &spec.unanswered];
        let effects = spec.effects().len()
            - at_the_door.iter().filter(|switch| switch.0).count()
            - usize::from(spec.accept_delay.is_some());
        any |= effects > 0;
        all.latency += spec.latency.map_or(Duration::ZERO, |latency| latency.0);
        all.jitter += spec.jitter.map_or(Duration::ZERO, |jitter| jitter.0);
        all.bytes_per_second = least(all.bytes_per_second, spec.rate.map(|rate| rate.0));
        let slice = spec
            .slice
            .map(|slice| usize::try_from(slice.0).unwrap_or(usize::MAX));
        all.slice_bytes = least(all.slice_bytes, slice);
        all.slice_delay += spec.slice_delay.map_or(Duration::ZERO, |delay| delay.0);
        all.cut_bytes = least(all.cut_bytes, spec.cut_bytes.map(|bytes| bytes.0));
        let begin = subject.since.max(fault.since);
        let cut_at = spec.cut_after.and_then(|after| begin.checked_add(after.0));
        all.cut_at = least(all.cut_at, cut_at);
        if spec.reset.0 {
            all.cut_at = Some(begin);
            all.ending = FaultEnding::Reset;
        }
        all.ending = spec.ending.unwrap_or(all.ending);
        all.stall |= spec.stall.0;
        all.blackhole |= spec.blackhole.0;
        all.swallow_end |= spec.swallow_half_close.0;
        all.corrupt = all.corrupt.max(spec.corrupt.map_or(0.0, Ratio::value));
    }
    any.then_some(all)
}

fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str, accepted: u64) -> Arc<Fault> {
        Arc::new(Fault::begin(text.parse().unwrap(), 0, accepted))
    }

    fn subject(number: u64) -> Subject<'static> {
        Subject {
            route: "r",
            number,
            since: Instant::now(),
            seed: 7,
        }
    }

    #[test]
    fn faults_add_up_and_the_strictest_limit_holds() {
        let faults = [
            fault("latency=10ms,rate=2k", 0),
            fault("latency=5ms,rate=1k,direction=down", 0),
        ];
        let up = effects(&faults, subject(0), Way::Up).unwrap();
        let down = effects(&faults, subject(0), Way::Down).unwrap();
        assert_eq!(up.latency, Duration::from_millis(10));
        assert_eq!(up.bytes_per_second, Some(2000));
        assert_eq!(down.latency, Duration::from_millis(15));
        assert_eq!(down.bytes_per_second, Some(1000));
    }

    #[test]
    fn a_fault_concerns_only_the_connections_that_it_is_for() {
        let new_only = [fault("stall,connections=new", 3)];
        assert!(effects(&new_only, subject(2), Way::Up).is_none());
        assert!(effects(&new_only, subject(3), Way::Up).is_some());
        let half = [fault("stall,probability=0.5", 0)];
        let hit = (0..1000)
            .filter(|number| effects(&half, subject(*number), Way::Up).is_some())
            .count();
        assert!((430..570).contains(&hit), "{hit}");
    }

    #[test]
    fn what_happens_before_a_connection_leaves_its_bytes_alone() {
        let faults = [fault("accept_delay=1s", 0), fault("refuse", 0)];
        assert!(effects(&faults, subject(0), Way::Up).is_none());
        assert_eq!(accept_delay(&faults, subject(0)), Duration::from_secs(1));
    }
}

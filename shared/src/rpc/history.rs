//! What was written a while ago, kept for readers who come late: for each source (an app) its last lines, as many as
//! the [`Limits`] allow.
//!
//! Kept are the events themselves, which the hub's queues share, so a line that everybody has read costs nothing twice.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use super::hub::Event;
use crate::protocol::common::History as Wanted;
use crate::protocol::message::Stamped;

/// How much is kept of each source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many lines.
    pub lines: usize,
    /// So many bytes: of lines that are very long, fewer are kept.
    pub bytes: usize,
}

impl Default for Limits {
    /// 10,000 lines, what a person may scroll through, or 4 MiB, which twenty talkative apps can have at once.
    fn default() -> Self {
        Self {
            lines: 10_000,
            bytes: 4 * 1024 * 1024,
        }
    }
}

/// What an event is part of, if it is worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Whose lines they are.
    pub source: &'a str,
    /// Which of the source's streams, 0 or 1.
    pub lane: usize,
    /// How many lines there are.
    pub lines: usize,
    /// Whether the last of them goes on in the next event of this lane.
    pub open: bool,
}

impl Part<'_> {
    /// How many lines end in it.
    fn whole(&self) -> usize {
        self.lines - usize::from(self.open)
    }
}

/// An event of a while ago.
#[derive(Debug)]
pub struct Past<E> {
    /// When it was published.
    pub at: SystemTime,
    /// The event with the number that it had then.
    pub event: Arc<Stamped<E>>,
}

impl<E> Clone for Past<E> {
    fn clone(&self) -> Self {
        Self {
            at: self.at,
            event: Arc::clone(&self.event),
        }
    }
}

/// The last lines of every source.
#[derive(Debug)]
pub(super) struct History<E> {
    limits: Limits,
    sources: HashMap<String, Ring<E>>,
}

/// The last lines of one source.
#[derive(Debug)]
struct Ring<E> {
    kept: VecDeque<Past<E>>,
    /// How many lines end in what is kept.
    lines: usize,
    bytes: usize,
}

impl<E: Event> History<E> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            sources: HashMap::new(),
        }
    }

    /// Keeps the event, if it is part of something, and lets the oldest go.
    pub(super) fn keep(&mut self, event: &Arc<Stamped<E>>, at: SystemTime) {
        let Some(part) = event.event.part().filter(|_| self.limits.lines > 0) else {
            return;
        };
        if !self.sources.contains_key(part.source) {
            let ring = Ring {
                kept: VecDeque::new(),
                lines: 0,
                bytes: 0,
            };
            self.sources.insert(part.source.to_owned(), ring);
        }
        if let Some(ring) = self.sources.get_mut(part.source) {
            let event = Arc::clone(event);
            ring.keep(Past { at, event }, self.limits);
        }
    }

    /// What is wanted of the sources in `of` (of all, if there is no list), in the order in which it was published.
    pub(super) fn pick(&self, wanted: &Wanted, of: Option<&[String]>) -> VecDeque<Past<E>> {
        let mut picked: Vec<Past<E>> = self
            .sources
            .iter()
            .filter(|(source, _)| of.is_none_or(|of| belongs(source, of)))
            .flat_map(|(_, ring)| ring.pick(wanted))
            .collect();
        picked.sort_unstable_by_key(|past| past.event.seq);
        picked.into()
    }
}

/// Whether the source is one of these, or a step of one: `api:build` belongs to `api`.
pub(super) fn belongs(source: &str, of: &[String]) -> bool {
    of.iter().any(|name| {
        source
            .strip_prefix(name.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    })
}

fn part_of<E: Event>(past: &Past<E>) -> Part<'_> {
    past.event.event.part().unwrap_or(Part {
        source: "",
        lane: 0,
        lines: 0,
        open: false,
    })
}

fn bytes_of<E: Event>(past: &Past<E>) -> usize {
    past.event.event.bulk_bytes().unwrap_or(0)
}

impl<E: Event> Ring<E> {
    fn keep(&mut self, past: Past<E>, limits: Limits) {
        self.lines += part_of(&past).whole();
        self.bytes += bytes_of(&past);
        self.kept.push_back(past);
        while self.kept.len() > 1
            && let Some(oldest) = self.kept.front()
        {
            let (lines, bytes) = (part_of(oldest).whole(), bytes_of(oldest));
            // A batch goes when the limit is kept without it: so many lines there are in any case.
            if self.bytes <= limits.bytes && self.lines - lines < limits.lines {
                return;
            }
            self.lines -= lines;
            self.bytes -= bytes;
            self.kept.pop_front();
        }
    }

    /// The last lines, newest first. The beginning of the first line is picked as well when it came in an earlier batch.
    fn pick(&self, wanted: &Wanted) -> Vec<Past<E>> {
        let mut left = wanted.lines.unwrap_or(usize::MAX);
        let since = wanted
            .since
            .and_then(|span| SystemTime::now().checked_sub(span.0));
        let mut picked = Vec::new();
        // For each lane: the first line that was picked may have begun in an earlier batch.
        let mut begun = [false; 2];
        for past in self.kept.iter().rev() {
            let part = part_of(past);
            let begins_earlier = begun.get(part.lane).copied().unwrap_or(false);
            if since.is_some_and(|since| past.at < since) {
                left = 0;
            }
            let take = if left > 0 {
                let whole = part.whole().min(left);
                left -= whole;
                whole + usize::from(part.open)
            } else {
                usize::from(part.open && begins_earlier)
            };
            if let Some(begun) = begun.get_mut(part.lane) {
                *begun = take > 0 && take == part.lines;
            }
            if take > 0 {
                picked.push(tail(past, take, part.lines));
            }
            if left == 0 && begun == [false; 2] {
                break;
            }
        }
        picked
    }
}

/// The last `take` of its `lines`.
fn tail<E: Event>(past: &Past<E>, take: usize, lines: usize) -> Past<E> {
    let shorter = (take < lines)
        .then(|| past.event.event.last_lines(take))
        .flatten();
    let Some(event) = shorter else {
        return past.clone();
    };
    Past {
        at: past.at,
        event: Arc::new(Stamped {
            seq: past.event.seq,
            event,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::duration::Span;
    use crate::protocol::run::{Event as RunEvent, Line, Output, Stream};

    const LONG_AGO: SystemTime = SystemTime::UNIX_EPOCH;

    fn written(stream: Stream, lines: &[&str], partial: bool) -> RunEvent {
        RunEvent::Output(Output {
            generation: 1,
            stream,
            lines: lines
                .iter()
                .map(|line| Line(line.as_bytes().to_vec()))
                .collect(),
            partial,
            unterminated: false,
        })
    }

    fn history(limits: Limits, events: Vec<RunEvent>) -> History<RunEvent> {
        let mut history = History::new(limits);
        for (at, event) in events.into_iter().enumerate() {
            let seq = at as u64;
            history.keep(&Arc::new(Stamped { seq, event }), SystemTime::now());
        }
        history
    }

    fn last(history: &History<RunEvent>, lines: Option<usize>) -> Vec<String> {
        let wanted = Wanted { lines, since: None };
        texts(&history.pick(&wanted, None))
    }

    fn texts(picked: &VecDeque<Past<RunEvent>>) -> Vec<String> {
        picked
            .iter()
            .flat_map(|past| match &past.event.event {
                RunEvent::Output(output) => output.lines.clone(),
                other => panic!("{other:?} is not kept"),
            })
            .map(|line| line.text().into_owned())
            .collect()
    }

    #[test]
    fn the_last_lines_are_there_in_order_and_no_more_than_asked_for() {
        let history = history(
            Limits::default(),
            vec![
                written(Stream::Stdout, &["1", "2", "3"], false),
                RunEvent::Ready {
                    name: String::new(),
                },
                written(Stream::Stderr, &["4", "5"], false),
            ],
        );
        assert_eq!(last(&history, None), ["1", "2", "3", "4", "5"]);
        assert_eq!(last(&history, Some(3)), ["3", "4", "5"]);
        assert_eq!(last(&history, Some(0)), [""; 0]);
    }

    #[test]
    fn the_limits_hold_and_what_they_promise_is_kept() {
        let batch = |number: usize| {
            let lines: Vec<String> = (0..30).map(|line| format!("{number}.{line}")).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            written(Stream::Stdout, &lines, false)
        };
        let limits = Limits {
            lines: 100,
            bytes: usize::MAX,
        };
        let all = history(limits, (0..1000).map(batch).collect());
        let kept = last(&all, None);
        assert!((100..130).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept.last().unwrap(), "999.29");
        let limits = Limits {
            lines: usize::MAX,
            bytes: 5000,
        };
        let bytes: usize = last(&history(limits, (0..1000).map(batch).collect()), None)
            .iter()
            .map(|line| line.len() + 32)
            .sum();
        assert!((3000..=5000).contains(&bytes), "{bytes}");
        let limits = Limits {
            lines: 0,
            bytes: 5000,
        };
        assert!(last(&history(limits, vec![batch(0)]), None).is_empty());
    }

    #[test]
    fn a_line_in_pieces_is_one_line_and_comes_with_its_beginning() {
        let history = history(
            Limits::default(),
            vec![
                written(Stream::Stdout, &["old", "na"], true),
                written(Stream::Stderr, &["warning"], false),
                written(Stream::Stdout, &["me"], true),
                written(Stream::Stdout, &["? joe", "ok"], false),
            ],
        );
        assert_eq!(last(&history, Some(1)), ["ok"]);
        assert_eq!(last(&history, Some(2)), ["na", "me", "? joe", "ok"]);
        assert_eq!(
            last(&history, Some(3)),
            ["na", "warning", "me", "? joe", "ok"]
        );
    }

    #[test]
    fn a_prompt_that_waits_is_shown_beside_the_lines_that_were_asked_for() {
        let history = history(
            Limits::default(),
            vec![written(Stream::Stdout, &["one", "name? "], true)],
        );
        assert_eq!(last(&history, Some(1)), ["one", "name? "]);
    }

    #[test]
    fn what_is_older_than_asked_for_is_left_out() {
        let mut history = History::new(Limits::default());
        for (seq, at) in [(1, LONG_AGO), (2, SystemTime::now())] {
            let event = written(Stream::Stdout, &[&seq.to_string()], false);
            history.keep(&Arc::new(Stamped { seq, event }), at);
        }
        let wanted = Wanted {
            lines: None,
            since: Some(Span(Duration::from_secs(3600))),
        };
        assert_eq!(texts(&history.pick(&wanted, None)), ["2"]);
    }

    #[test]
    fn a_step_belongs_to_its_app_and_a_longer_name_does_not() {
        let of = ["api".to_owned()];
        assert!(belongs("api", &of) && belongs("api:build", &of));
        assert!(!belongs("api-gateway", &of) && !belongs("ap", &of));
    }
}

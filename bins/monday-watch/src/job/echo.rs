//! Notices that COMMAND itself changes what is watched: started for a change, it makes the same change again, and so on for
//! ever. A state machine over virtual time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::busy::Cause;

/// A change within so long a time of a start may be that of COMMAND. A person who saves is slower, at least many times in a
/// row.
const SOON: Duration = Duration::from_secs(2);

/// So many such starts in a row, each with a path in common, are no accident.
const ROW: u32 = 10;

/// What to do about a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is somebody's.
    Run,
    /// It is that of COMMAND, as was told before.
    Echo,
    /// It is that of COMMAND; these paths do not start it any more.
    Silenced(Vec<String>),
}

/// Listens for its own echo.
#[derive(Clone, Debug, Default)]
pub struct Echo {
    started: Option<Instant>,
    /// So many starts were followed by the same change.
    row: u32,
    /// What those starts have in common, without the last one.
    common: BTreeSet<String>,
    /// What has changed soon after the last start. One run may write several times, in whatever parts that is told.
    found: BTreeSet<String>,
    /// The last start is counted.
    is_counted: bool,
    silenced: BTreeSet<String>,
}

impl Echo {
    /// COMMAND was started.
    pub fn started(&mut self, now: Instant) {
        self.started = Some(now);
        let found = std::mem::take(&mut self.found);
        if std::mem::take(&mut self.is_counted) {
            self.common.retain(|path| found.contains(path));
        } else {
            self.row = u32::from(!found.is_empty());
            self.common = found;
        }
    }

    /// Something has changed.
    pub fn judge(&mut self, now: Instant, cause: &Cause) -> Verdict {
        let is_silenced = |path: &String| self.silenced.contains(path);
        if cause.count == cause.paths.len() as u64
            && cause.count > 0
            && cause.paths.iter().all(is_silenced)
        {
            return Verdict::Echo;
        }
        let soon = self
            .started
            .is_some_and(|started| now.saturating_duration_since(started) <= SOON);
        if !soon {
            self.begin_row();
            self.found = cause.paths.iter().cloned().collect();
            return Verdict::Run;
        }
        let is_again = cause.paths.iter().any(|path| self.common.contains(path));
        self.found.extend(cause.paths.iter().cloned());
        if !is_again || std::mem::replace(&mut self.is_counted, true) {
            return Verdict::Run;
        }
        self.row += 1;
        if self.row < ROW {
            return Verdict::Run;
        }
        let echo: Vec<String> = self.common.intersection(&self.found).cloned().collect();
        self.begin_row();
        self.silenced.extend(echo.iter().cloned());
        Verdict::Silenced(echo)
    }

    fn begin_row(&mut self) {
        self.row = 0;
        self.common.clear();
        self.found.clear();
        self.is_counted = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(paths: &[&str]) -> Cause {
        Cause {
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
            count: paths.len() as u64,
        }
    }

    /// The verdicts on these changes, each of which comes so long after the start that the one before it led to.
    fn verdicts(echo: &mut Echo, pause: Duration, causes: &[Cause]) -> Vec<Verdict> {
        let mut now = Instant::now();
        causes
            .iter()
            .map(|cause| {
                echo.started(now);
                now += pause;
                echo.judge(now, cause)
            })
            .collect()
    }

    #[test]
    fn a_path_that_changes_right_after_each_of_ten_starts_does_not_start_again() {
        let mut echo = Echo::default();
        let causes: Vec<Cause> = (0..12)
            .map(|n| {
                cause(if n % 2 == 0 {
                    &["out", "a"]
                } else {
                    &["b", "out"]
                })
            })
            .collect();
        let verdicts = verdicts(&mut echo, Duration::from_millis(300), &causes);
        assert!(verdicts[..9].iter().all(|verdict| *verdict == Verdict::Run));
        assert_eq!(verdicts[9], Verdict::Silenced(vec!["out".to_owned()]));
        assert_eq!(verdicts[10], Verdict::Run, "another path changed too");
        assert_eq!(echo.judge(Instant::now(), &cause(&["out"])), Verdict::Echo);
        assert_eq!(echo.judge(Instant::now(), &cause(&["src"])), Verdict::Run);
    }

    #[test]
    fn a_run_that_writes_many_times_is_one_run() {
        let mut echo = Echo::default();
        let mut now = Instant::now();
        for run in 1..ROW {
            echo.started(now);
            for part in 0..12 {
                now += Duration::from_millis(30);
                // What is new each time, and then what is the same each time.
                let new = format!("{run}.{part}");
                for paths in [&[new.as_str()], &["out"]] {
                    let verdict = echo.judge(now, &cause(paths));
                    assert_eq!(verdict, Verdict::Run, "run {run}, part {part}");
                }
            }
        }
        echo.started(now);
        assert_eq!(echo.judge(now, &cause(&["new"])), Verdict::Run);
        let verdict = echo.judge(now, &cause(&["out"]));
        assert_eq!(verdict, Verdict::Silenced(vec!["out".to_owned()]));
    }

    #[test]
    fn a_person_who_saves_often_never_meets_this() {
        let slow = vec![cause(&["a"]); 100];
        let all = verdicts(&mut Echo::default(), Duration::from_millis(2100), &slow);
        assert!(all.iter().all(|verdict| *verdict == Verdict::Run));
        let various: Vec<Cause> = (0..100).map(|n| cause(&[["a", "b", "c"][n % 3]])).collect();
        let all = verdicts(&mut Echo::default(), Duration::from_millis(300), &various);
        assert!(all.iter().all(|verdict| *verdict == Verdict::Run));
    }
}

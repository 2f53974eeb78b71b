//! What a change means for COMMAND, depending on whether it runs. A state machine that knows no processes.

use monday_shared::protocol::watch::{Changed, PATHS_NAMED};

/// What to do about a change while COMMAND runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnBusy {
    /// Stop it and start it again.
    #[default]
    Restart,
    /// Start it again when it has ended by itself.
    Queue,
    /// Nothing.
    Ignore,
    /// Send it a signal.
    Signal,
}

/// What COMMAND is started for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// The first paths that changed.
    pub paths: Vec<String>,
    /// How many there are.
    pub count: u64,
}

impl From<&Changed> for Cause {
    fn from(changed: &Changed) -> Self {
        Self {
            paths: changed.paths.clone(),
            count: changed.count,
        }
    }
}

impl Cause {
    /// Adds another change to it.
    fn add(&mut self, other: Self) {
        let known = other
            .paths
            .iter()
            .filter(|path| self.paths.contains(path))
            .count() as u64;
        self.count += other.count.saturating_sub(known);
        for path in other.paths {
            if self.paths.len() < PATHS_NAMED && !self.paths.contains(&path) {
                self.paths.push(path);
            }
        }
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Start COMMAND, for this change or for none.
    Start(Option<Cause>),
    /// Stop it.
    Stop,
    /// Send it the signal.
    Signal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Running,
    Stopping,
}

/// Decides.
#[derive(Clone, Debug)]
pub struct Busy {
    meanwhile: OnBusy,
    phase: Phase,
    /// What it is started for when it has ended.
    waiting: Option<Cause>,
}

impl Busy {
    /// COMMAND does not run yet.
    #[must_use]
    pub fn new(on_busy: OnBusy) -> Self {
        Self {
            meanwhile: on_busy,
            phase: Phase::Idle,
            waiting: None,
        }
    }

    /// It is to run although nothing has changed.
    pub fn begin(&mut self) -> Step {
        self.phase = Phase::Running;
        Step::Start(None)
    }

    /// Something has changed.
    pub fn changed(&mut self, cause: Cause) -> Option<Step> {
        match (self.phase, self.meanwhile) {
            (Phase::Idle, _) => {
                self.phase = Phase::Running;
                return Some(Step::Start(Some(cause)));
            }
            (Phase::Running, OnBusy::Ignore) => return None,
            (Phase::Running, OnBusy::Signal) => return Some(Step::Signal),
            // What changes while it is being stopped is not lost.
            (Phase::Running, OnBusy::Queue | OnBusy::Restart) | (Phase::Stopping, _) => {}
        }
        match &mut self.waiting {
            Some(waiting) => waiting.add(cause),
            None => self.waiting = Some(cause),
        }
        if (self.phase, self.meanwhile) != (Phase::Running, OnBusy::Restart) {
            return None;
        }
        self.phase = Phase::Stopping;
        Some(Step::Stop)
    }

    /// COMMAND has ended, or could not be started.
    pub fn ended(&mut self) -> Option<Step> {
        self.phase = Phase::Idle;
        let cause = self.waiting.take()?;
        self.phase = Phase::Running;
        Some(Step::Start(Some(cause)))
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

    fn running(on_busy: OnBusy) -> Busy {
        let mut busy = Busy::new(on_busy);
        assert_eq!(busy.begin(), Step::Start(None));
        busy
    }

    #[test]
    fn a_change_starts_a_command_that_does_not_run() {
        let mut busy = running(OnBusy::Ignore);
        assert_eq!(busy.ended(), None);
        assert_eq!(
            busy.changed(cause(&["a"])),
            Some(Step::Start(Some(cause(&["a"]))))
        );
    }

    #[test]
    fn a_restart_stops_once_and_starts_for_all_that_changed_meanwhile() {
        let mut busy = running(OnBusy::Restart);
        assert_eq!(busy.changed(cause(&["a"])), Some(Step::Stop));
        assert_eq!(busy.changed(cause(&["a", "b"])), None);
        assert_eq!(busy.ended(), Some(Step::Start(Some(cause(&["a", "b"])))));
        assert_eq!(busy.ended(), None);
    }

    #[test]
    fn a_queue_waits_for_the_end_and_starts_once() {
        let mut busy = running(OnBusy::Queue);
        assert_eq!(busy.changed(cause(&["a"])), None);
        assert_eq!(busy.changed(cause(&["b"])), None);
        assert_eq!(busy.ended(), Some(Step::Start(Some(cause(&["a", "b"])))));
    }

    #[test]
    fn what_is_ignored_is_forgotten_and_what_is_signalled_is_not_started() {
        let mut ignoring = running(OnBusy::Ignore);
        assert_eq!(ignoring.changed(cause(&["a"])), None);
        assert_eq!(ignoring.ended(), None);
        let mut signalling = running(OnBusy::Signal);
        assert_eq!(signalling.changed(cause(&["a"])), Some(Step::Signal));
        assert_eq!(signalling.ended(), None);
    }

    #[test]
    fn the_paths_of_many_changes_stay_few_and_their_number_is_kept() {
        let mut all = Cause::default();
        for batch in 0..10 {
            let paths: Vec<String> = (0..50).map(|path| format!("{batch}/{path}")).collect();
            all.add(Cause { paths, count: 70 });
        }
        assert_eq!((all.paths.len(), all.count), (PATHS_NAMED, 700));
    }
}

//! What is said about processes that are waited for.

use std::time::Duration;

use monday_shared::platform::process_tree::Process;

/// How many processes are named before the rest is only counted.
const NAMED: usize = 3;

fn names(processes: &[Process]) -> String {
    let mut text = processes
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more @ 1..) = processes.len().checked_sub(NAMED) {
        text = format!("{text} and {more} more");
    }
    text
}

/// Who is waited for.
pub(crate) fn waiting(processes: &[Process], killed_in: Option<Duration>) -> String {
    let who = names(processes);
    match killed_in {
        Some(left) => format!("waiting for {who}; killed in {}", rounded(left)),
        None => format!("killing {who}"),
    }
}

/// A time that passes while it is read: seconds, and their parts if it is soon over.
fn rounded(left: Duration) -> String {
    if left < Duration::from_secs(3) {
        time(left)
    } else {
        format!("{:.0} s", left.as_secs_f64())
    }
}

/// Who could not be ended.
pub(crate) fn survived(processes: &[Process]) -> String {
    format!(
        "cannot end {}: it belongs to another user, or hangs in the kernel; end it by hand (`sudo kill -9 {}`)",
        names(processes),
        processes.first().map_or(0, |process| process.id.pid)
    )
}

/// A time that is waited, as exact as it matters.
pub(crate) fn time(time: Duration) -> String {
    if time < Duration::from_millis(100) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use monday_shared::platform::process_tree::Identity;

    use super::*;

    #[test]
    fn a_short_time_is_told_in_milliseconds() {
        assert_eq!(time(Duration::from_micros(20_400)), "20 ms");
        assert_eq!(time(Duration::from_millis(500)), "0.5 s");
    }

    #[test]
    fn the_time_that_is_left_is_never_told_as_none() {
        let told = |millis| waiting(&[], Some(Duration::from_millis(millis)));
        assert!(told(500).ends_with("killed in 0.5 s"), "{}", told(500));
        assert!(told(40).ends_with("killed in 40 ms"));
        assert!(told(7990).ends_with("killed in 8 s"));
    }

    #[test]
    fn many_processes_are_counted_and_a_few_are_named() {
        let processes: Vec<Process> = (1..=5)
            .map(|pid| Process {
                id: Identity { pid, started: 1 },
                parent: 1,
                group: 1,
                session: 1,
                zombie: false,
                name: "x".to_owned(),
            })
            .collect();
        assert_eq!(names(&processes), "1 (x), 2 (x), 3 (x) and 2 more");
        assert_eq!(names(&processes[..3]), "1 (x), 2 (x), 3 (x)");
    }
}

//! What the apps use of the machine: looked at twice, a moment apart, and only when somebody asks.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use monday_shared::platform::process_tree::{Roots, Table};
use monday_shared::platform::{Used, used};
use monday_shared::protocol::supervisor::{ProjectStatus, Usage};

/// How long processor time is watched: with clock ticks of 10 ms this is one part in twenty-five, and nobody notices the
/// wait.
const MOMENT: Duration = Duration::from_millis(250);

/// What every process of an app has used, by its number.
type Family = HashMap<u32, Used>;

/// Adds what every running app uses.
pub(super) async fn add(status: &mut ProjectStatus) {
    let guardians: HashMap<String, u32> = status
        .sidecars
        .iter()
        .filter_map(|sidecar| Some((sidecar.app.clone()?, sidecar.pid?)))
        .collect();
    let begun = Instant::now();
    let Some(before) = look(guardians.clone()).await else {
        return;
    };
    tokio::time::sleep(MOMENT).await;
    let Some(after) = look(guardians).await else {
        return;
    };
    let passed = begun.elapsed();
    for app in &mut status.apps {
        let none = Family::new();
        app.usage = after
            .get(&app.name)
            .filter(|_| app.state.pid.is_some())
            .map(|now| of(before.get(&app.name).unwrap_or(&none), now, passed));
    }
}

/// Reading `/proc` blocks, and with thousands of processes for some milliseconds.
async fn look(guardians: HashMap<String, u32>) -> Option<HashMap<String, Family>> {
    let looked = tokio::task::spawn_blocking(move || {
        let table = Table::read().ok()?;
        let family = |pid: u32| -> Family {
            let roots = Roots {
                parents: &[pid],
                ..Roots::default()
            };
            table
                .family(roots)
                .iter()
                .filter_map(|process| Some((process.id.pid, used(process.id.pid)?)))
                .collect()
        };
        let families = guardians.into_iter();
        Some(families.map(|(app, pid)| (app, family(pid))).collect())
    });
    looked.await.ok().flatten()
}

fn of(before: &Family, now: &Family, passed: Duration) -> Usage {
    let spent: Duration = now
        .iter()
        .map(|(pid, used)| {
            let earlier = before.get(pid).map(|used| used.cpu).unwrap_or_default();
            used.cpu.saturating_sub(earlier)
        })
        .sum();
    let cpu = spent.as_micros() * 1000 / passed.as_micros().max(1);
    Usage {
        processes: now.len() as u64,
        memory: now.values().map(|used| used.memory).sum(),
        cpu: u64::try_from(cpu).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_came_meanwhile_count_from_their_start() {
        let used = |millis| Used {
            memory: 1000,
            cpu: Duration::from_millis(millis),
        };
        let before = Family::from([(1, used(5000)), (2, used(70))]);
        let now = Family::from([(1, used(5100)), (3, used(25))]);
        let usage = of(&before, &now, Duration::from_millis(250));
        assert_eq!(
            usage,
            Usage {
                processes: 2,
                memory: 2000,
                cpu: 500
            }
        );
    }
}

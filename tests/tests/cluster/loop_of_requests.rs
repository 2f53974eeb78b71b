//! Someone who makes a new connection again and again, whatever happens meanwhile.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::talk;

/// From one connection to the next, however long the last one takes.
const PACE: Duration = Duration::from_millis(20);

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// The pod that answered.
    pub(crate) outcome: io::Result<String>,
}

/// A loop that runs.
pub(crate) struct Loop {
    stop: Arc<AtomicBool>,
    pacer: JoinHandle<Vec<JoinHandle<Request>>>,
}

/// All requests of a loop, in the order in which they began.
pub(crate) struct Requests(pub(crate) Vec<Request>);

impl Loop {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let pacer = std::thread::spawn(move || {
            let mut requests = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                requests.push(std::thread::spawn(move || {
                    let began = Instant::now();
                    let outcome = talk::who(address);
                    let ended = Instant::now();
                    Request {
                        began,
                        ended,
                        outcome,
                    }
                }));
                std::thread::sleep(PACE);
            }
            requests
        });
        Self { stop, pacer }
    }

    pub(crate) fn stop(self) -> Requests {
        self.stop.store(true, Ordering::Relaxed);
        let requests = self.pacer.join().unwrap();
        Requests(
            requests
                .into_iter()
                .map(|request| request.join().unwrap())
                .collect(),
        )
    }
}

impl Requests {
    /// # Panics
    /// If one failed.
    pub(crate) fn assert_none_failed(&self) {
        let failed: Vec<String> = self.failures().map(|request| self.shown(request)).collect();
        assert!(
            failed.is_empty(),
            "{} of {} requests failed:\n{}",
            failed.len(),
            self.0.len(),
            failed.join("\n")
        );
    }

    pub(crate) fn failures(&self) -> impl Iterator<Item = &Request> {
        self.0.iter().filter(|request| request.outcome.is_err())
    }

    fn shown(&self, request: &Request) -> String {
        let start = self.0[0].began;
        format!(
            "  began after {:?}, took {:?}: {:?}",
            request.began - start,
            request.ended - request.began,
            request.outcome
        )
    }

    /// The longest time in which no request was answered.
    pub(crate) fn longest_gap(&self) -> Duration {
        let mut ends: Vec<Instant> = self
            .0
            .iter()
            .filter(|request| request.outcome.is_ok())
            .map(|request| request.ended)
            .collect();
        ends.sort();
        let gaps = ends.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.max().unwrap_or(Duration::MAX)
    }

    /// The pods that answered, in the order of their first answer.
    pub(crate) fn pods(&self) -> Vec<&str> {
        let mut pods: Vec<&str> = Vec::new();
        for pod in self
            .0
            .iter()
            .filter_map(|request| request.outcome.as_deref().ok())
        {
            if !pods.contains(&pod) {
                pods.push(pod);
            }
        }
        pods
    }
}

//! What the live connections of a route are told: to end, or that something has changed.
//!
//! A connection waits for one thing besides its bytes: news. It then looks up what holds for it now. So a route can
//! change its mind about ten thousand connections, and none of them pays for it before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::faults::Faults;

/// The orders of one route.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    state: Mutex<State>,
    /// How often something has changed.
    version: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// Cancelled when something changes; then there is another one.
    news: CancellationToken,
    /// How often the route was replaced so far. A connection belongs to the one that accepted it.
    generation: u64,
    /// Connections of an earlier generation are to end.
    cut_before: u64,
    faults: Faults,
}

/// What holds for a connection, until there is news.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) news: CancellationToken,
    version: u64,
    /// It is to end.
    pub(crate) cut: bool,
    /// What goes wrong.
    pub(crate) faults: Faults,
}

impl Default for State {
    fn default() -> Self {
        Self {
            news: CancellationToken::new(),
            generation: 0,
            cut_before: 0,
            faults: Arc::new([]),
        }
    }
}

impl Orders {
    /// What holds for a connection of that generation.
    pub(crate) fn look_up(&self, generation: u64) -> Order {
        let state = self.state();
        Order {
            news: state.news.clone(),
            version: self.version.load(Ordering::Acquire),
            cut: generation < state.cut_before,
            faults: Arc::clone(&state.faults),
        }
    }

    /// Begins a new generation and returns its number.
    pub(crate) fn next_generation(&self) -> u64 {
        let mut state = self.state();
        state.generation += 1;
        state.generation
    }

    /// The faults that there are.
    pub(crate) fn faults(&self) -> Faults {
        Arc::clone(&self.state().faults)
    }

    /// Other faults from now on.
    pub(crate) fn set_faults(&self, faults: Faults) {
        let mut state = self.state();
        state.faults = faults;
        self.tell(&mut state);
    }

    /// Ends the connections of all generations before that one.
    pub(crate) fn cut_before(&self, generation: u64) {
        let mut state = self.state();
        state.cut_before = state.cut_before.max(generation);
        self.tell(&mut state);
    }

    /// Ends all connections, those to come included.
    pub(crate) fn cut_all(&self) {
        self.cut_before(u64::MAX);
    }

    fn tell(&self, state: &mut State) {
        self.version.fetch_add(1, Ordering::Release);
        std::mem::take(&mut state.news).cancel();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and if it did the state would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    /// Whether something has changed since it was looked up: cheap enough to be asked before every byte.
    pub(crate) fn is_old(&self, orders: &Orders) -> bool {
        self.version != orders.version.load(Ordering::Acquire)
    }
}

/// Waits until a connection of that generation is to end.
pub(crate) async fn to_be_cut(orders: &Orders, generation: u64) {
    loop {
        let order = orders.look_up(generation);
        if order.cut {
            return;
        }
        order.news.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_earlier_generations_are_cut_and_those_that_live_are_told() {
        let orders = Orders::default();
        let (old, new) = (orders.next_generation(), orders.next_generation());
        let before = orders.look_up(old);
        assert!(!before.cut && !before.news.is_cancelled());
        orders.cut_before(new);
        assert!(before.news.is_cancelled());
        assert!(orders.look_up(old).cut && !orders.look_up(new).cut);
        assert!(!orders.look_up(new).news.is_cancelled());
        orders.cut_all();
        assert!(orders.look_up(new).cut);
    }
}

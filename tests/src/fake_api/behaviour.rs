//! How the server behaves: well, unless told otherwise.

use std::collections::VecDeque;
use std::time::Duration;

/// Knobs. Those that count say of how many they are still true.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// The only token that is good. An old one gets 401.
    pub token: Option<String>,
    /// So many requests get 401, whatever their token.
    pub unauthorized: u32,
    /// Whether raw SPDY is accepted.
    pub spdy: Refusal,
    /// Whether SPDY in a websocket is accepted.
    pub tunnel: Refusal,
    /// Whether a websocket per connection (`v4.channel.k8s.io`) is accepted.
    pub v4: Refusal,
    /// The next upgrades, of whatever kind, get these answers first.
    pub refusals: VecDeque<Refusal>,
    /// How long after the end of one direction both are closed (containerd: 1 s).
    pub linger: Duration,
    /// So many connections find no sandbox: their pod was replaced.
    pub sandbox_gone: u32,
    /// A failed connection's streams are reset after the text, instead of ended.
    pub reset_after_error: bool,
    /// So many streams get no reply.
    pub no_reply: u32,
    /// PINGs are not answered.
    pub swallow_pings: bool,
    /// What the client sends is not read.
    pub stall_reading: bool,
    /// A forward's connection is cut when so many bytes were sent on it.
    pub cut_after: Option<u64>,
    /// Websocket messages are cut anew, at odd sizes, with empty ones between.
    pub recut: bool,
    /// What comes on a forward without traffic for this long is swallowed without a word, as a load balancer does.
    pub forget_idle: Option<Duration>,
    /// What is sent instead of a well-behaved session.
    pub hostility: Option<Hostility>,
}

/// Whether an upgrade is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is accepted.
    None,
    /// It gets this status, with a `Status` as body that has a reason and a message.
    Status(u16, &'static str, &'static str),
    /// It gets no answer at all.
    Silence,
    /// The connection is closed.
    Close,
}

impl Refusal {
    /// What a user gets who lacks the verb.
    #[must_use]
    pub const fn forbidden() -> Self {
        Self::Status(403, "Forbidden", "pods \"web\" is forbidden: fake refusal")
    }
}

/// What a hostile server does once the upgrade is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostility {
    /// Frames that claim 16 MiB and never have them.
    HugeLengths,
    /// Data, ends and resets of streams that nobody opened.
    UnknownIds,
    /// Control frames without end.
    EndlessControl,
    /// Bytes that are no frames.
    Garbage,
    /// Answers everything with more data than anybody asked for, for ever.
    EndlessData,
}

impl Hostility {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::HugeLengths,
        Self::UnknownIds,
        Self::EndlessControl,
        Self::Garbage,
        Self::EndlessData,
    ];
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            token: None,
            unauthorized: 0,
            spdy: Refusal::None,
            tunnel: Refusal::None,
            v4: Refusal::None,
            refusals: VecDeque::new(),
            linger: Duration::ZERO,
            sandbox_gone: 0,
            reset_after_error: false,
            no_reply: 0,
            swallow_pings: false,
            stall_reading: false,
            cut_after: None,
            recut: false,
            forget_idle: None,
            hostility: None,
        }
    }
}

/// Takes one of so many.
pub(super) fn spend(count: &mut u32) -> bool {
    let some = *count > 0;
    *count = count.saturating_sub(1);
    some
}

//! Computes shares and droughts over time.

use super::fault_time::FaultTime;
use super::intents::{End, Intent};
use super::shares;
use heckle_history::{ClientId, KeyId, Nanos};
use std::collections::{BTreeMap, BTreeSet};

/// Minimum mean number of successes per client in a window. With fewer, the shares are dominated by chance.
const WON_PER_CLIENT: u64 = 10;
/// Maximum number of windows.
const MAX_WINDOWS: u64 = 60;
/// Minimum length of a window. Shorter windows measure the scheduler rather than the cluster.
const SHORTEST: Nanos = Nanos::from_ms(500);

/// One window of the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Start of the window.
    pub start: Nanos,
    /// End of the window.
    pub end: Nanos,
    /// Number of clients with an intent in the window.
    pub active: u32,
    /// Number of intents won in the window.
    pub won: u64,
    /// Jain's index of successes over the active clients; `None` without a success.
    pub jain: Option<f64>,
    /// Whether a fault was active in the window.
    pub disturbed: bool,
}

/// Divides the load from `start` to `end` into windows.
pub fn of(intents: &[Intent], (start, end): (Nanos, Nanos), faults: &FaultTime) -> Vec<Window> {
    let within = |t: Nanos| start <= t && t <= end;
    let won: Vec<&Intent> = intents.iter().filter(|i| i.end == End::Won && within(i.ended)).collect();
    let clients: BTreeSet<ClientId> = intents.iter().map(|i| i.client).collect();
    let span = end.since(start).0;
    if span == 0 || clients.is_empty() {
        return vec![];
    }
    let wanted = (won.len() as u64 / (WON_PER_CLIENT * clients.len() as u64)).clamp(1, MAX_WINDOWS);
    let length = (span / wanted).max(SHORTEST.0.min(span));
    let count = (span / length) as usize;
    let place = |t: Nanos| ((t.since(start).0 / length) as usize).min(count - 1);
    let mut active: Vec<BTreeMap<ClientId, u64>> = vec![BTreeMap::new(); count];
    for intent in intents.iter().filter(|i| i.began <= end && i.ended >= start) {
        for window in &mut active[place(intent.began)..=place(intent.ended)] {
            window.entry(intent.client).or_default();
        }
    }
    for intent in won {
        *active[place(intent.ended)].entry(intent.client).or_default() += 1;
    }
    let window = |(i, shares): (usize, BTreeMap<ClientId, u64>)| {
        let from = Nanos(start.0 + i as u64 * length);
        let to = if i + 1 == count { end } else { Nanos(from.0 + length) };
        let won: Vec<f64> = shares.values().map(|n| *n as f64).collect();
        Window {
            start: from,
            end: to,
            active: won.len() as u32,
            won: shares.values().sum(),
            jain: shares::jain(&won),
            disturbed: faults.disturb(from, to),
        }
    };
    active.into_iter().enumerate().map(window).collect()
}

/// A period in which no client succeeded on a key although at least one waited for it throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drought {
    /// The key.
    pub key: KeyId,
    /// The last success, or the start of the first waiting intent.
    pub from: Nanos,
    /// The next success, or the end of the load.
    pub to: Nanos,
    /// A client that waited throughout.
    pub client: ClientId,
}

impl Drought {
    /// Returns the duration of the drought.
    pub fn length(&self) -> Nanos {
        self.to.since(self.from)
    }
}

/// Returns the longest fault-free drought of the load. A long one is a livelock.
pub fn longest_drought(intents: &[Intent], (start, end): (Nanos, Nanos), faults: &FaultTime) -> Option<Drought> {
    let mut by_key: BTreeMap<KeyId, Vec<&Intent>> = BTreeMap::new();
    for intent in intents {
        by_key.entry(intent.key).or_default().push(intent);
    }
    let mut longest: Option<Drought> = None;
    for (key, own) in by_key {
        let mut wins: Vec<Nanos> = own.iter().filter(|i| i.end == End::Won).map(|i| i.ended).collect();
        wins.sort_unstable();
        for intent in own {
            let (mut from, until) = (intent.began.max(start), intent.ended.min(end));
            let mut next = wins.partition_point(|w| *w <= from);
            while from < until {
                let to = wins.get(next).map_or(until, |w| (*w).min(until));
                let longer = to.since(from) > longest.map_or(Nanos(0), |d| d.length());
                if longer && !faults.disturb(from, to) {
                    longest = Some(Drought { key, from, to, client: intent.client });
                }
                (from, next) = (to, next + 1);
            }
        }
    }
    longest
}

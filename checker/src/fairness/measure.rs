//! Computes all fairness figures of a history.

use super::fault_time::FaultTime;
use super::intents::{self, End, Intent};
use super::survival::{self, Curve, Sample};
use super::windows::{self, Drought, Window};
use super::{bypass, shares};
use heckle_history::{ClientId, History, Measure, Nanos};
use std::collections::BTreeMap;

/// The fairness figures of a history.
#[derive(Debug, Clone, PartialEq)]
pub struct Fairness {
    /// The intents that were active in the load window, ordered by start time.
    pub intents: Vec<Intent>,
    /// For each intent, the number of later intents on its key that were won while it waited.
    pub bypasses: Vec<u32>,
    /// Waiting times. Intents that were not won are censored.
    pub waits: Curve,
    /// Numbers of attempts. Intents that were not won are censored.
    pub attempts: Curve,
    /// Jain's index of successes in the load window over the clients that had an intent; `None` without a success.
    pub jain: Option<f64>,
    /// Gini coefficient of the same successes.
    pub gini: Option<f64>,
    /// Jain's index for calm windows only, with the value expected by chance for that many successes.
    pub calm: Option<CalmShares>,
    /// The largest number of consecutive attempts lost by one client.
    pub losses: Option<(ClientId, u32)>,
    /// The load, divided into windows.
    pub windows: Vec<Window>,
    /// The longest fault-free period without a success while a client waited.
    pub drought: Option<Drought>,
    /// Intents started in the load window, per second.
    pub offered_per_s: f64,
    /// Intents won in the load window, per second.
    pub won_per_s: f64,
    /// Figures by client.
    pub clients: Vec<Group>,
    /// Figures by node.
    pub nodes: Vec<Group>,
    /// Figures by key.
    pub keys: Vec<Group>,
}

/// Shares in the calm part of the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalmShares {
    /// Jain's index of successes.
    pub jain: f64,
    /// Expected value of the index if every client has the same chance.
    pub luck: f64,
    /// Number of successes.
    pub won: u64,
    /// Number of clients that had an intent.
    pub active: usize,
}

/// The intents of one client, node or key.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Name of the group: `c3`, `n1`, `k1`.
    pub name: String,
    /// The node of a client's first intent; empty for other groups.
    pub node: String,
    /// Number of intents: won in the load window or after it, ended by an unknown outcome, or waiting.
    pub intents: u64,
    /// Intents won in the load window.
    pub won: u64,
    /// Intents won after the load window had ended.
    pub won_late: u64,
    /// Intents won while no fault was active.
    pub won_in_calm: u64,
    /// Intents ended by an unknown outcome.
    pub unknown: u64,
    /// Intents abandoned, or still waiting when the load ended.
    pub waiting: u64,
    /// Number of lost attempts.
    pub lost: u64,
    /// The longest wait, ended or not.
    pub longest_wait: Nanos,
    /// The largest number of bypasses of one intent.
    pub most_bypasses: u32,
    /// Number of rounds that its ops needed.
    pub rounds: u64,
    /// Number of times its ops were outbid.
    pub preempted: u64,
    /// Number of unfinished updates of others that its ops finished first.
    pub repairs: u64,
    /// Total time its ops spent backing off.
    pub backoff: Nanos,
}

/// Measures a history; returns `None` if it has no intents.
pub fn measure(history: &History) -> Option<Fairness> {
    let faults = FaultTime::of(history);
    let window = crate::window::window(history);
    let mut intents = intents::of(history, &faults);
    // Intents that ended before the load started are warm-up. An intent that was already waiting then counts from its own
    // start.
    intents.retain(|i| i.ended >= window.0 && i.began <= window.1);
    if intents.is_empty() {
        return None;
    }
    let bypasses = bypass::counts(&intents);
    let sample = |time: Nanos, i: &Intent| Sample { time, ended: i.end == End::Won };
    let groups = Groups { history, intents: &intents, bypasses: &bypasses, faults: &faults, window };
    let clients = groups.by(|i| i.client, |c| c.to_string());
    let nodes = groups.by(|i| i.node, |n| n.map_or("?".to_owned(), |n| history.names.node_name(n).to_owned()));
    let keys = groups.by(|i| i.key, |k| history.names.key_name(k).to_owned());
    let won: Vec<f64> = clients.iter().map(|g| g.won as f64).collect();
    let seconds = window.1.since(window.0).as_secs_f64();
    let per_s = |n: usize| if seconds > 0.0 { n as f64 / seconds } else { 0.0 };
    // The interval is closed, because a run that was stopped early ends with its last event.
    let within = |t: Nanos| window.0 <= t && t <= window.1;
    Some(Fairness {
        waits: survival::curve(intents.iter().map(|i| sample(i.wait(), i)).collect()),
        attempts: survival::curve(intents.iter().map(|i| sample(Nanos(u64::from(i.attempts)), i)).collect()),
        jain: shares::jain(&won),
        gini: shares::gini(&won),
        calm: calm_shares(&clients),
        losses: intents::most_consecutive_losses(&intents),
        windows: windows::of(&intents, window, &faults),
        drought: windows::longest_drought(&intents, window, &faults),
        offered_per_s: per_s(intents.iter().filter(|i| within(i.began)).count()),
        won_per_s: per_s(intents.iter().filter(|i| i.end == End::Won && within(i.ended)).count()),
        clients,
        nodes,
        keys,
        bypasses,
        intents,
    })
}

fn calm_shares(clients: &[Group]) -> Option<CalmShares> {
    let shares: Vec<f64> = clients.iter().map(|g| g.won_in_calm as f64).collect();
    let won = clients.iter().map(|g| g.won_in_calm).sum();
    let active = clients.len();
    shares::jain(&shares).map(|jain| CalmShares { jain, luck: shares::expected_jain(won, active), won, active })
}

impl Fairness {
    /// Returns the number of intents that ended this way.
    pub fn ended(&self, end: End) -> u64 {
        self.intents.iter().filter(|i| i.end == end).count() as u64
    }

    /// Returns the intent that waited longest, including during faults.
    pub fn longest_wait(&self) -> Option<&Intent> {
        self.intents.iter().max_by_key(|i| i.wait())
    }

    /// Returns the intent that waited longest while no fault was active.
    pub fn longest_calm_wait(&self) -> Option<&Intent> {
        self.intents.iter().max_by_key(|i| i.calm_wait)
    }

    /// Returns the intent that was bypassed most often, and the number of bypasses.
    pub fn most_bypassed(&self) -> Option<(&Intent, u32)> {
        self.intents.iter().zip(&self.bypasses).map(|(i, n)| (i, *n)).max_by_key(|(_, n)| *n)
    }
}

struct Groups<'a> {
    history: &'a History,
    intents: &'a [Intent],
    bypasses: &'a [u32],
    faults: &'a FaultTime,
    window: (Nanos, Nanos),
}

impl Groups<'_> {
    fn by<K: Ord + Copy>(&self, of: impl Fn(&Intent) -> K, name: impl Fn(K) -> String) -> Vec<Group> {
        let mut groups: BTreeMap<K, Group> = BTreeMap::new();
        let mut of_intent = BTreeMap::new();
        for (intent, bypasses) in self.intents.iter().zip(self.bypasses) {
            of_intent.insert(intent.id, of(intent));
            let node = || intent.node.map_or(String::new(), |n| self.history.names.node_name(n).to_owned());
            let group = groups.entry(of(intent)).or_insert_with(|| Group {
                name: name(of(intent)),
                node: node(),
                intents: 0,
                won: 0,
                won_late: 0,
                won_in_calm: 0,
                unknown: 0,
                waiting: 0,
                lost: 0,
                longest_wait: Nanos(0),
                most_bypasses: 0,
                rounds: 0,
                preempted: 0,
                repairs: 0,
                backoff: Nanos(0),
            });
            group.add(intent, *bypasses, self.window, self.faults);
        }
        let names = &self.history.names;
        let measures = [Measure::Attempts, Measure::Preemptions, Measure::Repairs, Measure::Backoff].map(|measure| names.reads(measure));
        for detail in &self.history.details {
            let group = detail.intent.and_then(|i| of_intent.get(&i)).and_then(|k| groups.get_mut(k));
            if let (Some(group), Some(diagnostics)) = (group, &detail.diagnostics) {
                let sums = [&mut group.rounds, &mut group.preempted, &mut group.repairs, &mut group.backoff.0];
                for (sum, read) in sums.into_iter().zip(measures) {
                    *sum = sum.saturating_add(read(diagnostics).unwrap_or(0));
                }
            }
        }
        groups.into_values().collect()
    }
}

impl Group {
    fn add(&mut self, intent: &Intent, bypasses: u32, window: (Nanos, Nanos), faults: &FaultTime) {
        self.intents += 1;
        let in_load = window.0 <= intent.ended && intent.ended <= window.1;
        match intent.end {
            End::Won => {
                self.won += u64::from(in_load);
                self.won_late += u64::from(!in_load);
                self.won_in_calm += u64::from(in_load && !faults.disturb(intent.ended, intent.ended));
            }
            End::Unknown => self.unknown += 1,
            End::Waiting => self.waiting += 1,
        }
        self.lost += u64::from(intent.lost);
        self.longest_wait = self.longest_wait.max(intent.wait());
        self.most_bypasses = self.most_bypasses.max(bypasses);
    }
}

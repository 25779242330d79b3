//! Fairness figures in `results.json`, which mirror those of the checker.

use crate::charts::axis::{count, digits, duration};
use crate::measure::round;
use crate::terminal::clean;
use heckle_checker::fairness::{self as checker, End};
use heckle_history::{History, Nanos};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Fairness between clients, counted in intents, each covering all attempts of a client.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Fairness {
    /// Number of intents, each counted once over all its retries.
    pub intents: u64,
    /// Jain's index of successes per client: 1 is equal, 1/n means that one client takes all.
    pub jain: f64,
    /// Gini coefficient of successes per client: 0 is equal.
    pub gini: f64,
    /// Median number of attempts until success, or the maximum observed if the median is not reached.
    pub attempts_p50: f64,
    /// 99th percentile of attempts until success, or the maximum observed if it is not reached.
    pub attempts_p99: f64,
    /// The longest wait for a success, including waits that never ended.
    pub longest_wait_ms: f64,
    /// Maximum number of consecutive lost attempts.
    pub max_consecutive_losses: u64,
    /// Intents that never succeeded: given up, or waiting when the load ended.
    pub still_waiting: u64,
    /// Intents that succeeded, in the load window or after it: `intents = won + unknown + still_waiting`.
    pub won: u64,
    /// Intents that succeeded after the load window had ended. Shares and goodput do not count them.
    pub won_late: u64,
    /// Intents that ended with an attempt of unknown outcome.
    pub unknown: u64,
    /// Median waiting time until success, by the Kaplan-Meier estimator: intents that never succeeded are censored. Absent if it
    /// is not reached.
    pub wait_p50_ms: Option<f64>,
    /// 90th percentile of the same.
    pub wait_p90_ms: Option<f64>,
    /// 99th percentile of the same.
    pub wait_p99_ms: Option<f64>,
    /// The client, node and key of the longest wait.
    pub longest_wait: WaitOwner,
    /// The largest number of later intents on the same key that succeeded before one intent.
    pub max_bypasses: u64,
    /// The longest time without a fault in which no client succeeded on a key while at least one was waiting.
    pub longest_drought_ms: f64,
    /// Intents begun in the load window, per second.
    pub offered_per_s: f64,
    /// Intents that succeeded in the load window, per second: the goodput.
    pub won_per_s: f64,
    /// Fairness in consecutive windows of the load.
    pub windows: Vec<Window>,
    /// Clients, the least served first; at most 64.
    pub clients: Vec<Group>,
    /// Nodes of the cluster.
    pub nodes: Vec<Group>,
    /// Keys, the busiest first; at most 64.
    pub keys: Vec<Group>,
}

/// The client, node and key of one intent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WaitOwner {
    /// Name of the client, such as `c3`.
    pub client: String,
    /// The node that the client is connected to.
    pub node: String,
    /// Name of the key, such as `k1`.
    pub key: String,
}

/// Fairness in one window of the load.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Window {
    /// Start of the window, since the start of the run.
    pub start_s: f64,
    /// End of the window, since the start of the run.
    pub end_s: f64,
    /// Number of clients with an intent in it.
    pub active: u32,
    /// Intents that succeeded in it.
    pub won: u64,
    /// Jain's index over the active clients; absent if no intent succeeded.
    pub jain: Option<f64>,
    /// Whether a fault was active in it.
    pub disturbed: bool,
}

/// The intents of one client, node or key.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Group {
    /// Its name, such as `c3`, `n1` or `k1`.
    pub name: String,
    /// The node of the first intent of a client or key.
    pub node: String,
    /// Number of intents: `won + won_late + unknown + waiting`.
    pub intents: u64,
    /// Intents that succeeded in the load window.
    pub won: u64,
    /// Intents that succeeded after the load window had ended.
    pub won_late: u64,
    /// Intents that ended with an unknown outcome.
    pub unknown: u64,
    /// Intents that never succeeded.
    pub waiting: u64,
    /// Attempts that failed.
    pub lost: u64,
    /// The longest wait, including waits that never ended.
    pub longest_wait_ms: f64,
    /// The largest number of bypasses of one intent.
    pub max_bypasses: u64,
    /// Attempts of its operations inside the system.
    pub rounds: u64,
    /// Number of times that its operations were outbid.
    pub preempted: u64,
    /// Unfinished updates of other operations that its operations completed first.
    pub repairs: u64,
    /// Time that its operations spent backing off.
    pub backoff_ms: f64,
}

/// Maximum number of clients, and likewise of keys, listed in the file.
const MAX_LISTED: usize = 64;

impl Fairness {
    /// Converts the checker's figures.
    pub fn of(from: &checker::Fairness, history: &History) -> Self {
        let wait = |q| from.waits.quantile(q).map(ms);
        let most_attempts = from.intents.iter().map(|i| i.attempts).max().unwrap_or(0);
        let attempts = |q| from.attempts.quantile(q).map_or(f64::from(most_attempts), |n| n.0 as f64);
        let longest = from.longest_wait();
        let mut clients: Vec<Group> = from.clients.iter().map(group).collect();
        clients.sort_by_key(|g| g.won);
        let mut keys: Vec<Group> = from.keys.iter().map(group).collect();
        keys.sort_by_key(|g| std::cmp::Reverse(g.intents));
        clients.truncate(MAX_LISTED);
        keys.truncate(MAX_LISTED);
        Fairness {
            intents: from.intents.len() as u64,
            jain: from.jain.map_or(0.0, |j| round(j, 4)),
            gini: from.gini.map_or(0.0, |g| round(g, 4)),
            attempts_p50: attempts(0.5),
            attempts_p99: attempts(0.99),
            longest_wait_ms: longest.map_or(0.0, |i| ms(i.wait())),
            max_consecutive_losses: from.losses.map_or(0, |(_, n)| u64::from(n)),
            still_waiting: from.ended(End::Waiting),
            won: from.ended(End::Won),
            won_late: from.clients.iter().map(|c| c.won_late).sum(),
            unknown: from.ended(End::Unknown),
            wait_p50_ms: wait(0.5),
            wait_p90_ms: wait(0.9),
            wait_p99_ms: wait(0.99),
            longest_wait: longest.map_or_else(WaitOwner::default, |i| WaitOwner {
                client: i.client.to_string(),
                node: i.node.map_or(String::new(), |n| history.names.node_name(n).to_owned()),
                key: history.names.key_name(i.key).to_owned(),
            }),
            max_bypasses: from.most_bypassed().map_or(0, |(_, n)| u64::from(n)),
            longest_drought_ms: from.drought.map_or(0.0, |d| ms(d.length())),
            offered_per_s: round(from.offered_per_s, 1),
            won_per_s: round(from.won_per_s, 1),
            windows: from.windows.iter().map(window).collect(),
            clients,
            nodes: from.nodes.iter().map(group).collect(),
            keys,
        }
    }
}

impl Fairness {
    /// Formats the figures as one line of text.
    pub fn words(&self) -> String {
        let reached = |ms: Option<f64>| ms.map_or("not reached".to_owned(), duration);
        let WaitOwner { client, node, key } = &self.longest_wait;
        [
            format!(
                "{} of {} intents won ({} /s of {} /s offered)",
                count(self.won),
                count(self.intents),
                digits(self.won_per_s),
                digits(self.offered_per_s)
            ),
            format!("{} still waiting, {} unknown", count(self.still_waiting), count(self.unknown)),
            format!("wait p50 {} p99 {}", reached(self.wait_p50_ms), reached(self.wait_p99_ms)),
            format!("longest {} ({} at {} for {})", duration(self.longest_wait_ms), clean(client), clean(node), clean(key)),
            format!("attempts p50 {} p99 {}", digits(self.attempts_p50), digits(self.attempts_p99)),
            format!("at most {} lost in a row, {} bypasses", count(self.max_consecutive_losses), count(self.max_bypasses)),
            format!("Jain {}, Gini {}", digits(self.jain), digits(self.gini)),
        ]
        .join(", ")
    }
}

fn ms(t: Nanos) -> f64 {
    round(t.as_ms_f64(), 3)
}

fn window(from: &checker::windows::Window) -> Window {
    Window {
        start_s: round(from.start.as_secs_f64(), 3),
        end_s: round(from.end.as_secs_f64(), 3),
        active: from.active,
        won: from.won,
        jain: from.jain.map(|j| round(j, 4)),
        disturbed: from.disturbed,
    }
}

fn group(from: &checker::Group) -> Group {
    Group {
        name: from.name.clone(),
        node: from.node.clone(),
        intents: from.intents,
        won: from.won,
        won_late: from.won_late,
        unknown: from.unknown,
        waiting: from.waiting,
        lost: from.lost,
        longest_wait_ms: ms(from.longest_wait),
        max_bypasses: u64::from(from.most_bypasses),
        rounds: from.rounds,
        preempted: from.preempted,
        repairs: from.repairs,
        backoff_ms: ms(from.backoff),
    }
}

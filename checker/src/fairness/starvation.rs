//! Checks for starvation, using limits that the plan sets and the history contains.
//!
//! | limit | a finding when | default |
//! |---|---|---|
//! | `max_wait` | an intent waits longer than this, excluding time during faults | 5 s |
//! | `min_jain` | Jain's index of successes per client in fault-free windows is below this share of the value expected by chance | 0.5 |
//! | `max_livelock` | no client succeeds on a key for this long, while a client waits and no fault is active | 2 s |
//!
//! A finding names the starving client and its node. It means that the system is unfair or makes no progress, not that
//! an answer was wrong.

use super::intents::{End, Intent};
use super::measure::{Fairness, Group, measure};
use super::windows::Drought;
use crate::checks::CheckResult;
use crate::verdict::Verdict;
use heckle_history::{Header, History, Measure, Nanos};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// Limits for starvation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Longest permitted wait of an intent while no fault is active, in milliseconds.
    pub max_wait_ms: f64,
    /// Minimum of Jain's index, as a share of the value expected by chance.
    pub min_jain: f64,
    /// Longest permitted time without any success on a key, in milliseconds.
    pub max_livelock_ms: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_wait_ms: 5_000.0, min_jain: 0.5, max_livelock_ms: 2_000.0 }
    }
}

/// Header field that contains the limits.
pub const IN_HEADER: &str = "fairness";

impl Limits {
    /// Returns the limits that the plan set for this history, or the defaults.
    pub fn of(header: &Header) -> Self {
        header.more.get(IN_HEADER).and_then(|l| Limits::deserialize(l).ok()).unwrap_or_default()
    }
}

/// A client is disadvantaged if it gets less than this share of the mean.
const DISADVANTAGED_SHARE: f64 = 0.25;
/// Maximum number of clients named in a finding.
const MAX_NAMED: usize = 4;

/// Checks for starvation; returns `None` for a history without intents.
pub fn check(history: &History) -> Option<CheckResult> {
    let fairness = measure(history)?;
    let limits = Limits::of(&history.header);
    let findings: Vec<Finding> = [waits(history, &fairness, limits), unequal(&fairness, limits), livelock(history, &fairness, limits)]
        .into_iter()
        .flatten()
        .collect();
    let won = fairness.ended(End::Won);
    let verdict = match (findings.is_empty(), won) {
        (false, _) => Verdict::Invalid,
        (true, 0) => Verdict::Unknown,
        (true, _) => Verdict::Valid,
    };
    let words = match verdict {
        Verdict::Invalid => findings.iter().map(|f| f.words.as_str()).collect::<Vec<_>>().join("; "),
        Verdict::Unknown => format!("no intent of {} succeeded, and none waited long enough to decide", fairness.intents.len()),
        Verdict::Valid => healthy(history, &fairness),
    };
    let starved: BTreeMap<&String, &Starved> = findings.iter().flat_map(|f| &f.starved).map(|s| (&s.client, s)).collect();
    let figure = [
        ("limits", json!(limits)),
        ("findings", json!(findings.iter().map(|f| f.kind).collect::<Vec<_>>())),
        ("starved", json!(starved.into_values().collect::<Vec<_>>())),
        ("longest_calm_wait_ms", json!(fairness.longest_calm_wait().map(|i| i.calm_wait.as_ms_f64()))),
        ("jain_in_calm", json!(fairness.calm.map(|c| c.jain))),
        ("jain_of_luck", json!(fairness.calm.map(|c| c.luck))),
        ("longest_drought_ms", json!(fairness.drought.map(|d| d.length().as_ms_f64()))),
    ];
    let figure = figure.into_iter().map(|(k, v): (&str, Json)| (k.to_owned(), v)).collect();
    Some(CheckResult { name: "starvation", verdict, figure, words })
}

/// A starving client.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Starved {
    /// Name of the client, such as `c3`.
    pub client: String,
    /// The node to which the client is connected.
    pub node: String,
    /// Number of intents that the client won.
    pub won: u64,
    /// Longest wait of the client, in milliseconds.
    pub longest_wait_ms: f64,
}

struct Finding {
    kind: &'static str,
    words: String,
    starved: Vec<Starved>,
}

fn healthy(history: &History, fairness: &Fairness) -> String {
    let longest =
        fairness.longest_wait().map_or(String::new(), |i| format!("; the longest wait was {} ({})", ms(i.wait()), client_of(history, i)));
    let shares = fairness.jain.map_or(String::new(), |j| format!(", Jain {j:.2} over {} clients", fairness.clients.len()));
    format!("{} of {} intents succeeded{shares}{longest}", fairness.ended(End::Won), fairness.intents.len())
}

fn waits(history: &History, fairness: &Fairness, limits: Limits) -> Option<Finding> {
    let worst = fairness.longest_calm_wait()?;
    if worst.calm_wait.as_ms_f64() <= limits.max_wait_ms {
        return None;
    }
    let outcome = match worst.end {
        End::Won => "before it succeeded",
        End::Unknown => "until an attempt whose outcome is unknown",
        End::Waiting => "and never succeeded",
    };
    let words = format!(
        "{} waited {} in calm over {} attempts {outcome}; {} is the limit",
        client_of(history, worst),
        ms(worst.calm_wait),
        worst.attempts,
        ms(Nanos((limits.max_wait_ms * 1e6) as u64))
    );
    Some(Finding { kind: "max_wait", words, starved: starved(fairness, &worst.client.to_string()).collect() })
}

fn unequal(fairness: &Fairness, limits: Limits) -> Option<Finding> {
    let calm = fairness.calm?;
    let floor = limits.min_jain * calm.luck;
    if calm.jain >= floor {
        return None;
    }
    let mean = calm.won as f64 / calm.active as f64;
    let mut poor: Vec<&Group> = fairness.clients.iter().filter(|g| (g.won_in_calm as f64) < DISADVANTAGED_SHARE * mean).collect();
    poor.sort_by_key(|g| (g.won_in_calm, std::cmp::Reverse(g.longest_wait)));
    let named: Vec<String> = poor.iter().take(MAX_NAMED).map(|g| format!("{} ({}, {} won)", g.name, g.node, g.won_in_calm)).collect();
    let more = poor.len().saturating_sub(MAX_NAMED);
    let who = match (named.is_empty(), more) {
        (true, _) => "no single client stands out".to_owned(),
        (false, 0) => format!("clients that starve: {}", named.join(", ")),
        (false, n) => format!("clients that starve: {} and {n} more", named.join(", ")),
    };
    let words = format!(
        "successes are unequal: Jain {:.2} over {} clients in calm, at least {floor:.2} is wanted; {who}{}",
        calm.jain,
        calm.active,
        least_served_node(fairness).map_or(String::new(), |w| format!("; {w}"))
    );
    let starved = poor.iter().flat_map(|g| starved(fairness, &g.name)).collect();
    Some(Finding { kind: "min_jain", words, starved })
}

/// Returns the node whose clients win the least, if they win much less than the others.
fn least_served_node(fairness: &Fairness) -> Option<String> {
    let clients_of = |node: &Group| fairness.clients.iter().filter(|c| c.node == node.name).count().max(1) as f64;
    let (won, clients): (u64, usize) = (fairness.nodes.iter().map(|n| n.won_in_calm).sum(), fairness.clients.len());
    let per_client = |n: &Group| n.won_in_calm as f64 / clients_of(n);
    let poorest = fairness.nodes.iter().min_by(|a, b| per_client(a).total_cmp(&per_client(b)))?;
    let mean = won as f64 / clients.max(1) as f64;
    let share = if won > 0 { 100.0 * poorest.won_in_calm as f64 / won as f64 } else { 0.0 };
    (per_client(poorest) < DISADVANTAGED_SHARE * mean).then(|| {
        format!(
            "node whose clients starve: {}, {} of {won} successes ({share:.0} %){}",
            poorest.name,
            poorest.won_in_calm,
            if poorest.preempted > 0 { format!(", outbid {} times", poorest.preempted) } else { String::new() }
        )
    })
}

fn livelock(history: &History, fairness: &Fairness, limits: Limits) -> Option<Finding> {
    let drought = fairness.drought.filter(|d| d.length().as_ms_f64() > limits.max_livelock_ms)?;
    let words = format!(
        "no client succeeded on {} for {} from {} on, {} is the limit; {} waited through it{}",
        history.names.key_name(drought.key),
        ms(drought.length()),
        drought.from,
        ms(Nanos((limits.max_livelock_ms * 1e6) as u64)),
        client_and_node(fairness, &drought.client.to_string()),
        competing_nodes(history, &drought)
    );
    Some(Finding { kind: "max_livelock", words, starved: starved(fairness, &drought.client.to_string()).collect() })
}

/// Lists how often each node's ops were outbid during a drought, in descending order.
fn competing_nodes(history: &History, drought: &Drought) -> String {
    let mut outbid: BTreeMap<&str, u64> = BTreeMap::new();
    let preemptions = history.names.reads(Measure::Preemptions);
    for (op, detail) in history.ops.iter().zip(&history.details) {
        let during = op.key == drought.key && op.completed >= drought.from && op.completed <= drought.to;
        let preempted = detail.diagnostics.as_ref().and_then(preemptions).unwrap_or(0);
        if let (true, Some(node)) = (during && preempted > 0, detail.sent_to.or(op.node)) {
            let sum = outbid.entry(history.names.node_name(node)).or_default();
            *sum = sum.saturating_add(preempted);
        }
    }
    let mut outbid: Vec<(&str, u64)> = outbid.into_iter().collect();
    outbid.sort_by_key(|(name, n)| (std::cmp::Reverse(*n), *name));
    let list: Vec<String> = outbid.iter().map(|(name, n)| format!("{name} {n} times")).collect();
    if list.is_empty() { String::new() } else { format!("; nodes outbid meanwhile: {}", list.join(", ")) }
}

fn starved<'f>(fairness: &'f Fairness, client: &str) -> impl Iterator<Item = Starved> + use<'f> {
    let group = fairness.clients.iter().find(|g| g.name == client);
    group.into_iter().map(|g| Starved {
        client: g.name.clone(),
        node: g.node.clone(),
        won: g.won,
        longest_wait_ms: g.longest_wait.as_ms_f64(),
    })
}

fn client_and_node(fairness: &Fairness, client: &str) -> String {
    let node = fairness.clients.iter().find(|g| g.name == client).map(|g| g.node.as_str());
    match node {
        Some(node) if !node.is_empty() => format!("client {client} (node {node})"),
        Some(_) | None => format!("client {client}"),
    }
}

fn client_of(history: &History, intent: &Intent) -> String {
    let at = intent.node.map_or(String::new(), |n| format!(" (node {})", history.names.node_name(n)));
    format!("client {}{at} on {}", intent.client, history.names.key_name(intent.key))
}

fn ms(t: Nanos) -> String {
    let ms = t.as_ms_f64();
    if ms < 1_000.0 { format!("{ms:.1} ms") } else { format!("{:.2} s", ms / 1e3) }
}

//! The figures of a run as Prometheus text, for dashboards: from history and results for a completed run, from `live.json` for a run
//! in progress.

mod families; // names, types and labels
mod text; // the text format

pub use families::{COMMON_LABELS, FAMILIES, Family, FamilyKind, family};

use crate::buckets::Buckets;
use crate::live_json::{JudgeState, LiveOps, LiveRun};
use crate::results_json::{OpCounts, Results, RunVerdict, Status};
use crate::utc::UnixSeconds;
use heckle_history::{History, Outcome};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use text::Samples;

/// The content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Name of the file in a run folder.
pub const FILE: &str = "metrics.prom";
/// Maximum number of figures of one node.
const MAX_FIGURES: usize = 200;

const STATES: [Status; 4] = [Status::Running, Status::Done, Status::Interrupted, Status::Killed];
const VERDICTS: [RunVerdict; 5] = [RunVerdict::Valid, RunVerdict::Invalid, RunVerdict::Unknown, RunVerdict::GateMissed, RunVerdict::Error];

/// The last sample of a node: its name and its figures.
pub type NodeSample = (String, Json);

/// Returns the last sample in the text of a `metrics.jsonl`. Skips a truncated last line.
pub fn last_sample(metrics: &str) -> Option<Json> {
    metrics.lines().rev().take(2).find_map(|line| serde_json::from_str(line).ok())
}

/// Counts the latencies of ok operations by kind, over the whole history.
pub fn buckets(history: &History) -> BTreeMap<&'static str, Buckets> {
    let mut by_kind: BTreeMap<&'static str, Buckets> = BTreeMap::new();
    for op in history.ops.iter().filter(|op| matches!(op.outcome, Outcome::Ok(_))) {
        by_kind.entry(op.name()).or_default().add(op.completed.since(op.intended));
    }
    by_kind
}

/// Returns the text for a completed run. Without a history, there are no latencies.
pub fn of_run(results: &Results, history: Option<&History>, nodes: &[NodeSample]) -> String {
    let mut samples = of_results(results);
    for (op, buckets) in history.map(buckets).unwrap_or_default() {
        samples.add_buckets("heckle_op_latency_seconds", op, &buckets);
    }
    add_nodes(&mut samples, nodes);
    samples.text()
}

/// Returns the text for a history without results.
pub fn of_history(history: &History) -> String {
    let run = history.header.run_id.as_ref().map_or("", |id| id.0.as_str());
    let mut samples = Samples::of("", run);
    for (op, counts) in crate::totals::count(history.ops.iter()).by_kind {
        add_counts(&mut samples, &op, counts);
    }
    for (op, buckets) in buckets(history) {
        samples.add_buckets("heckle_op_latency_seconds", op, &buckets);
    }
    samples.text()
}

/// Returns the text for a run in progress.
pub fn of_live(results: &Results, live: &LiveRun, nodes: &[NodeSample]) -> String {
    let mut samples = Samples::of(&results.plan.name, &results.run_id);
    add_head(&mut samples, results);
    samples.add("heckle_run_elapsed_seconds", &[], live.now_s);
    if let Some(target) = live.target_per_s {
        samples.add("heckle_load_target_per_second", &[&live.target_unit], target);
    }
    for (op, LiveOps { invoked, applied, condition_not_met, failed, unknown }) in &live.ops {
        let ended = OpCounts {
            invoked: *invoked,
            applied: *applied,
            condition_not_met: *condition_not_met,
            failed: *failed,
            unknown: *unknown,
            ..OpCounts::default()
        };
        add_counts(&mut samples, op, ended);
    }
    let all = live.all_ops();
    samples.add("heckle_ops_in_flight", &[], all.invoked.saturating_sub(all.ended()) as f64);
    for (op, buckets) in &live.latency {
        samples.add_buckets("heckle_op_latency_seconds", op, buckets);
    }
    let kind = |label: &str| label.split_whitespace().next().unwrap_or_default().to_owned();
    add_faults(&mut samples, live.faults.iter().map(|f| kind(&f.label)));
    samples.add("heckle_faults_active", &[], live.faults.iter().filter(|f| f.ended_s.is_none()).count() as f64);
    samples.add("heckle_violations", &[], f64::from(u8::from(live.judge == JudgeState::Violation)));
    add_nodes(&mut samples, nodes);
    samples.text()
}

fn of_results(results: &Results) -> Samples {
    let mut samples = Samples::of(&results.plan.name, &results.run_id);
    add_head(&mut samples, results);
    samples.add("heckle_run_exit_code", &[], f64::from(results.exit_code));
    samples.add("heckle_run_elapsed_seconds", &[], results.wall_s);
    if let Some(target) = results.load.target_per_s {
        samples.add("heckle_load_target_per_second", &[results.load.unit.word()], target);
    }
    samples.add("heckle_load_late_ratio", &[], results.load.late_ratio);
    for (op, counts) in &results.ops_by_kind {
        add_counts(&mut samples, op, *counts);
    }
    add_faults(&mut samples, results.faults.iter().map(|f| f.kind.clone()));
    samples.add("heckle_faults_active", &[], 0.0);
    for fault in &results.faults {
        if let Some(ms) = fault.recovery_ms {
            samples.add("heckle_fault_recovery_seconds", &[&fault.id.to_string(), &fault.kind], ms / 1e3);
        }
    }
    samples.add("heckle_violations", &[], (results.linearizability.violations.len() + results.crashes.len()) as f64);
    samples
}

/// Adds the figures common to all runs: labels, state and verdict.
fn add_head(samples: &mut Samples, results: &Results) {
    let system = results.plan.labels.get("system").map_or("", String::as_str);
    samples.add("heckle_run_info", &[system, &results.seed, &results.build.git], 1.0);
    let one_if = |is: bool| f64::from(u8::from(is));
    for state in STATES {
        samples.add("heckle_run_state", &[state.word()], one_if(results.status == state));
    }
    for verdict in VERDICTS {
        let is_it = results.status != Status::Running && results.verdict == verdict;
        samples.add("heckle_run_verdict", &[verdict.word()], one_if(is_it));
    }
    if let Some(UnixSeconds(at)) = UnixSeconds::from_iso(&results.started_utc) {
        samples.add("heckle_run_start_timestamp_seconds", &[], at as f64);
    }
}

fn add_counts(samples: &mut Samples, op: &str, counts: OpCounts) {
    samples.add("heckle_ops_invoked_total", &[op], counts.invoked as f64);
    for (outcome, count) in [
        ("applied", counts.applied),
        ("condition_not_met", counts.condition_not_met),
        ("failed", counts.failed),
        ("unknown", counts.unknown),
    ] {
        samples.add("heckle_ops_total", &[op, outcome], count as f64);
    }
}

fn add_faults(samples: &mut Samples, kinds: impl Iterator<Item = String>) {
    let mut by_kind: BTreeMap<String, u64> = BTreeMap::new();
    kinds.for_each(|kind| *by_kind.entry(kind).or_default() += 1);
    for (kind, count) in by_kind {
        samples.add("heckle_faults_total", &[&kind], count as f64);
    }
}

/// Adds all numbers in a node's sample, named by their paths in it.
fn add_nodes(samples: &mut Samples, nodes: &[NodeSample]) {
    for (node, sample) in nodes {
        let mut figures = vec![];
        flatten("", sample, &mut figures);
        for (figure, value) in figures.into_iter().take(MAX_FIGURES) {
            samples.add("heckle_node_figure", &[node, &figure], value);
        }
    }
}

fn flatten(path: &str, value: &Json, found: &mut Vec<(String, f64)>) {
    match value {
        Json::Number(number) => found.extend(number.as_f64().map(|x| (path.to_owned(), x))),
        Json::Bool(is) => found.push((path.to_owned(), f64::from(u8::from(*is)))),
        Json::Object(fields) => {
            for (name, value) in fields {
                flatten(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value, found);
            }
        }
        // Items of a list have no names.
        Json::Array(_) | Json::String(_) | Json::Null => {}
    }
}

#[cfg(test)]
mod tests;

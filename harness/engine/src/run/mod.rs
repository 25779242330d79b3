//! One run, from plan to recorded history: cluster up, load and faults, heal, quiet tail, final reads, cluster down.
//! The history is judged afterwards, from the file only: see [`report`].

pub mod coverage;
pub mod environment;
mod remote_client; // a client behind a network delay
pub mod live_file; // writes the live state of the run for `heckle serve`
pub mod pipeline; // a run from plan to report
pub mod progress;
pub mod recheck; // re-judges a stored run
pub mod report;
pub mod sampler;
pub mod noise; // processor time used by other processes
pub mod strain;

use crate::clock::RunClock;
use crate::cluster::{self, Cluster};
use crate::limits;
use crate::load::live::Live;
use crate::load::phase::Phase;
use crate::load::{self, LoadContext, fates, final_reads};
use crate::nemesis::Nemesis;
use crate::plan::{Net, Plan};
use crate::recorder::Recorder;
use crate::relay::Relay;
use crate::relay::raw::{OnUnknown, Owners};
use crate::stop::{Stop, StopReason};
use heckle_checker::checks::projection;
use heckle_checker::fairness::starvation;
use heckle_checker::online::OnlineJudge;
use heckle_faults::Node;
use heckle_faults::schedule_file;
use heckle_history::{Header, Names, Nanos, NodeIx, RunId};
use heckle_results::RunFolder;
use heckle_results::bottleneck::Strain;
use heckle_results::compare::intents;
use heckle_results::conclude::Ending;
use heckle_results::stages;
use heckle_results::terms::{Close, Terms};
use heckle_system_api::FinalReads;
use heckle_system_api::capability::{Links, Totals};
use heckle_system_api::identity::Target;
use sampler::Sampler;
use std::sync::Arc;
use std::time::{Duration, Instant};
use strain::StrainWatch;

/// Time limit for nodes to drain their work after the last op and the last fault: a few of their longest waits.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(3);

/// Time limit, on top of the time for a takeover, for a node to obtain the role that final reads need.
const ROLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Options of a run that do not affect its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunOptions {
    /// Continue after a violation.
    pub keep_going: bool,
    /// Style of the progress display on the terminal.
    pub progress: progress::ProgressStyle,
}

/// Runs `plan` and writes the history into `folder`. The history's header contains `terms`, and its end record states how the run ended.
pub fn run(plan: &Plan, folder: &RunFolder, options: RunOptions, terms: &Terms, live: &Arc<Live>) -> Ending {
    run_recorded(plan, folder, options, terms, live).unwrap_or_else(Ending::Failed)
}

fn run_recorded(plan: &Plan, folder: &RunFolder, options: RunOptions, terms: &Terms, live: &Arc<Live>) -> Result<Ending, String> {
    let stop = Stop::default();
    let clock = RunClock::start();
    let (mut header, names) = header(plan, folder.run_id(), clock)?;
    terms.write(&mut header);
    let names = Arc::new(names);
    // A load that mixes both paths runs to its end: a violation is expected, and the figures of both paths are needed.
    let judge = (!options.keep_going && !plan.mixes_paths()).then(OnlineJudge::new);
    live.set_judge(judge.is_some(), stop.clone());
    let history = folder.history();
    let recording = Recorder::start(&history, &header, names.clone(), clock, judge, stop.clone())
        .map_err(|e| format!("cannot write {}: {e}; name another folder with --out", history.display()))?;
    live.set_clock(clock);
    live.enter(Phase::StartingNodes);
    let ran = with_cluster(plan, folder, clock, &recording.handle(), &names, &stop, live);
    let (stopped, aborted) = (stop.reason(), stop.aborted());
    let finished = recording.finish(|detected| close(plan, &ran, stopped.as_ref(), aborted.as_ref(), detected).in_end_record());
    ran?;
    finished.map_err(|e| format!("the history could not be written to its end: {e}"))?;
    Ok(ending(stopped.as_ref(), aborted.as_ref()))
}

/// A limit of the plan that ended the load, and the time at which it did.
type Aborted = (String, Nanos);

/// Returns how a run ended. `stopped` is the reason for an early stop, and `aborted` the limit that ended the load.
fn ending(stopped: Option<&StopReason>, aborted: Option<&Aborted>) -> Ending {
    match stopped {
        None => aborted.map_or(Ending::Done, |(why, _)| Ending::Aborted(why.clone())),
        Some(StopReason::Violation) => Ending::Done,
        Some(StopReason::Interrupted) => Ending::Interrupted,
        Some(StopReason::Broken(why)) => Ending::Failed(why.clone()),
    }
}

/// Returns the facts for the end record that only the run itself can supply.
fn close(
    plan: &Plan,
    ran: &Result<ClusterResult, String>,
    stopped: Option<&StopReason>,
    aborted: Option<&Aborted>,
    detected: Option<Nanos>,
) -> Close {
    let load_ended_ns = aborted.map(|(_, at)| at.0);
    let mut close = Close { detected_ms: detected.map(Nanos::as_ms_f64), load_ended_ns, ..Close::default() };
    let ClusterResult { totals, forced, unread, unsent, strain, warnings } = match ran {
        Ok(leftovers) => leftovers,
        Err(why) => return close.with_ending(&Ending::Failed(why.clone())),
    };
    if let Some(metrics) = plan.system.metrics() {
        close.set_system_figures(metrics.summary(totals, plan.nodes));
    }
    close.warnings.extend(warnings.iter().cloned());
    close.unsent = *unsent;
    close.strain.clone_from(strain);
    if !forced.is_empty() {
        close.warnings.push(format!("{} ignored SIGTERM and had to be killed", forced.join(", ")));
    }
    if *unread > 0 && stopped.is_none() {
        close.warnings.push(format!("{unread} of the final reads were never answered"));
    }
    close.with_ending(&ending(stopped, aborted))
}

/// State of a run after its cluster has stopped.
struct ClusterResult {
    totals: Totals,
    forced: Vec<String>,
    unread: u64,
    unsent: u64,
    strain: Option<Strain>,
    /// Faults that the nemesis left out, final reads that were impossible, connections that the relay dropped: one
    /// sentence each.
    warnings: Vec<String>,
}

fn with_cluster(
    plan: &Plan,
    folder: &RunFolder,
    clock: RunClock,
    recorder: &Recorder,
    names: &Arc<Names>,
    stop: &Stop,
    live: &Arc<Live>,
) -> Result<ClusterResult, String> {
    let relay = match plan.net {
        Net::Relay => Some(Arc::new(start_relay(plan, folder, stop)?)),
        Net::Direct => None,
    };
    let cluster = Cluster::start(plan, folder.root(), relay.as_deref(), recorder.clone(), names.clone(), stop.clone())?;
    check_start_time(plan, clock)?;
    let cluster = Arc::new(cluster);
    let nodes: Arc<[Target]> = cluster.targets().into();
    let watch = cluster.watch(clock)?;
    let far = remote_client::RemoteClient::of(plan, &nodes)?;
    let far_clients = far.as_ref().map(|f| f.nodes().into());
    let outside = LoadContext {
        clock,
        recorder: recorder.clone(),
        names: names.clone(),
        stop: stop.clone(),
        live: live.clone(),
        nodes,
        watch: watch.clone(),
        far: far_clients,
    };
    let nemesis = Nemesis {
        until: plan.window().1,
        claims: Arc::default(),
        clock,
        cluster: cluster.clone(),
        relay: relay.clone(),
        recorder: recorder.clone(),
        stop: stop.clone(),
        live: live.clone(),
    };
    let sampler = Sampler::start(cluster.clone(), folder.root().to_owned()).map_err(|e| limits::no_thread(&e))?;
    live.enter(Phase::Load);
    let strain = StrainWatch::start(clock, plan.window(), stop.clone()).map_err(|e| limits::no_thread(&e))?;
    let (used, open, mut warnings) = std::thread::scope(|scope| {
        let injecting = std::thread::Builder::new().name("nemesis".into()).spawn_scoped(scope, || nemesis.run(&plan.injections));
        let injecting = injecting.map_err(|e| limits::no_thread(&e))?;
        let used = load::run(plan, &outside);
        live.enter(Phase::Healing);
        if used.is_err() {
            // The fault schedule must not outlive a load that failed.
            stop.ask(StopReason::Broken("the load could not be sent".into()));
        }
        let left_out = injecting.join().map_err(|_| "the nemesis panicked".to_owned())?;
        used.map(|(used, open)| (used, open, left_out))
    })?;
    stop.end_load();
    let strain = strain.finish();
    live.enter(Phase::QuietTail);
    stop.wait_until(clock, Nanos(clock.now().0 + plan.quiet_tail.nanos().0));
    // Final reads come last, so that they also see the effects of the queries.
    live.enter(Phase::AskingFates);
    fates::query_remaining(plan, &outside, open)?;
    live.enter(Phase::Settling);
    cluster.settle(stop, SETTLE_TIMEOUT);
    live.enter(Phase::FinalReads);
    let (through, no_leader) = final_read_nodes(plan, &cluster, stop);
    warnings.extend(no_leader);
    let unread = final_reads::run(plan, &outside, used, &through)?;
    live.enter(Phase::StoppingNodes);
    let totals = sampler.finish();
    drop(nemesis);
    let mut cluster = Arc::into_inner(cluster).ok_or("the cluster is still in use")?;
    warnings.extend(relay.as_ref().and_then(|relay| dropped_diallers(relay.stats().gone_unidentified)));
    warnings.extend(cluster.left_down());
    let forced = cluster.stop();
    if let Some(watch) = watch {
        watch.finish();
    }
    Ok(ClusterResult { totals, forced, unread, unsent: used.unsent, strain, warnings })
}

/// Returns a warning if the relay dropped connections. No data passed through them, but the system may have been affected.
fn dropped_diallers(count: u64) -> Option<String> {
    (count > 0).then(|| format!("{count} connections were dropped, since their dialler closed them before the relay had identified it"))
}

/// Checks that the nodes started in time. The load window is fixed before they start. If half of it is already over, too
/// little is left to judge.
fn check_start_time(plan: &Plan, clock: RunClock) -> Result<(), String> {
    let ((start, end), now) = (plan.window(), clock.now());
    if now.0 <= start.0 + (end.0 - start.0) / 2 {
        return Ok(());
    }
    let took = now.0.div_ceil(1_000_000_000);
    Err(format!(
        "the nodes took {took} s to start, and half of the load window was over by then: give them time with --warmup {}s",
        took + 2
    ))
}

/// Returns the nodes for the final reads, and a warning if no node may be queried.
fn final_read_nodes(plan: &Plan, cluster: &Cluster, stop: &Stop) -> (Vec<NodeIx>, Option<String>) {
    let role = match plan.system.final_reads() {
        FinalReads::EveryNode => return ((0..plan.nodes).map(NodeIx).collect(), None),
        FinalReads::None => return (vec![], None),
        FinalReads::Role(role) => role,
    };
    let deadline = Instant::now() + Duration::from_nanos(plan.system.takeover().0) + ROLE_TIMEOUT;
    loop {
        match cluster.find_role(role) {
            Ok((node, _)) => return (vec![NodeIx(node.0 - 1)], None),
            Err(_) if stop.reason().is_some() => return (vec![], None),
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(100)),
            Err(why) => return (vec![], Some(format!("there were no final reads, which only the {role} may answer: {why}"))),
        }
    }
}

fn start_relay(plan: &Plan, folder: &RunFolder, stop: &Stop) -> Result<Relay, String> {
    let seed = plan.seed.part("relay");
    let started = match plan.system.links() {
        Links::Frames(framing) => Relay::start(seed, framing),
        Links::Bytes => {
            let stop = stop.clone();
            let on_unknown = OnUnknown::new(move |who| stop.ask(StopReason::Broken(who)));
            Relay::start_raw(seed, Owners::new(&cluster::name_of(folder.root())), plan.system.greeting(), on_unknown)
        }
        Links::None => return Err(format!("the links of {} do not pass the relay", plan.system.name())),
    };
    started.map_err(|e| format!("the relay cannot start: {e}"))
}

/// Returns the header of a run's history, and the names that it declares.
///
/// # Errors
/// If the system's figures do not fit into a history.
pub fn header(plan: &Plan, run_id: &str, clock: RunClock) -> Result<(Header, Names), String> {
    let window = plan.window();
    let header = Header {
        run_id: Some(RunId(run_id.to_owned())),
        seed: Some(plan.seed.to_string()),
        keys: plan.keys.names(),
        nodes: (1..=plan.nodes).map(|n| Node(n).to_string()).collect(),
        model: plan.workload.model.into(),
        mono_origin_ns: Some(clock.origin_ns()),
        load_window: Some((window.0.0, window.1.0)),
        op_timeout_ns: Some(plan.op_timeout.nanos().0),
        figures: Some(plan.system.figures()),
        system_checks: Some(plan.system.checks().iter().map(|&name| name.to_owned()).collect()),
        // Ops delayed by this limit are not late through any fault of the harness. The schedule can be passed to
        // `--schedule`.
        more: [("max_in_flight".to_owned(), plan.max_in_flight.into()), ("schedule".to_owned(), schedule(plan))]
            .into_iter()
            .chain(workload_settings(plan))
            .chain(plan.stages.as_ref().map(|s| (stages::IN_HEADER.to_owned(), serde_json::json!(s.planned(plan.warmup.nanos())))))
            .collect(),
        ..Header::default()
    };
    let mut names = Names::default();
    for key in &header.keys {
        names.key(key);
    }
    for node in &header.nodes {
        names.node(node);
    }
    names.declare_figures(header.figures.as_deref().unwrap_or_default()).map_err(|e| format!("{}: {e}", plan.system.name()))?;
    Ok((header, names))
}

/// Returns the settings that the checks of a workload with intents or payloads need: a verdict depends only on the history.
fn workload_settings(plan: &Plan) -> impl Iterator<Item = (String, serde_json::Value)> {
    let limits = plan.workload.has_intents().then(|| (starvation::IN_HEADER.to_owned(), serde_json::json!(plan.fairness)));
    let rule = plan.workload.projection.map(|rule| (projection::IN_HEADER.to_owned(), rule.into()));
    let timeout = plan.workload.has_intents().then(|| (intents::TIMEOUT_IN_HEADER.to_owned(), plan.intent_timeout.nanos().0.into()));
    limits.into_iter().chain(rule).chain(timeout)
}

fn schedule(plan: &Plan) -> serde_json::Value {
    let lines = schedule_file::format(&plan.injections);
    lines.lines().filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::dropped_diallers;

    #[test]
    fn dropped_connections_are_reported() {
        assert_eq!(dropped_diallers(0), None);
        assert!(dropped_diallers(3).is_some_and(|words| words.starts_with("3 connections were dropped")));
    }
}

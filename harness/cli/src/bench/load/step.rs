//! One load on the null system, at one rate: what was sent, how late, and at what processor cost.

use super::null;
use crate::clock::RunClock;
use crate::load::live::Live;
use crate::load::{self, LoadContext};
use crate::plan::Plan;
use crate::plan::settings::{ClusterSettings, FaultSettings, LoadSettings, Settings};
use crate::plan::units::{Rate, Span};
use crate::recorder::Recorder;
use crate::stop::{Stop, StopReason};
use crate::{run, systems};
use heckle_checker::OnlineJudge;
use heckle_history::{History, Nanos, Operation, Outcome};
use heckle_loopback::LoopbackClaim;
use heckle_system_api::identity::{Mistaken, NodeIdentity, Target};
use serde::Serialize;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Length of the load before the window, to open connections and warm up caches.
const WARMUP: Span = Span::ms(500);
/// Time limit for the null system to listen.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of open operations: about an eighth of a second at half a million operations per second.
const MAX_IN_FLIGHT: u32 = 65_536;

/// The load of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepLoad {
    pub(super) rate: f64,
    pub(super) lasts: Duration,
    pub(super) clients: u32,
}

/// The figures of one step.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Requested rate, in operations per second.
    pub asked_per_s: f64,
    /// Rate at which operations were sent in the window, per second.
    pub issued_per_s: f64,
    /// Median time from when an operation was due until it was sent, in milliseconds.
    pub late_p50_ms: f64,
    /// 99th percentile of the same time, in milliseconds.
    pub late_p99_ms: f64,
    /// 99th percentile of the time from when an operation was due until its reply, in milliseconds.
    pub latency_p99_ms: f64,
    /// Number of operations without an ok.
    pub not_ok: u64,
    /// Number of arrivals that were never sent.
    pub unsent: u64,
    /// Processor time per operation of the thread that sends and receives, in microseconds.
    pub client_us_per_op: f64,
    /// Processor time per operation of the threads that record, judge and pace, in microseconds.
    pub record_us_per_op: f64,
    /// Processor time per operation of the null system, in microseconds.
    pub null_us_per_op: f64,
}

impl Step {
    /// Whether the generator sustained the rate: every operation was sent and answered, and 99 of 100 were sent within `late`.
    pub fn holds(&self, late: Duration) -> bool {
        let issued = self.issued_per_s >= 0.99 * self.asked_per_s;
        issued && self.late_p99_ms < late.as_secs_f64() * 1e3 && self.not_ok == 0 && self.unsent == 0
    }
}

/// The null system as a child process. Dropping it ends the process.
struct NullNode {
    child: Child,
}

impl NullNode {
    /// Starts the process and waits until it listens. If it ends before it is dropped, it ends the load through `stop`.
    fn start(listen: SocketAddr, stop: &Stop) -> Result<NullNode, String> {
        let program = std::env::current_exe().map_err(|e| format!("this program cannot find itself: {e}"))?;
        let mut command = Command::new(program);
        command.args(["null-node", &listen.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().map_err(|e| format!("cannot start the null system: {e}"))?;
        let mut node = NullNode { child };
        let stdout = node.child.stdout.take().ok_or("the null system has no standard output")?;
        let (send, ready) = std::sync::mpsc::channel();
        let stop = stop.clone();
        let watch = move || {
            let mut lines = BufReader::new(stdout).lines();
            let _ = send.send(lines.next().is_some_and(|line| line.is_ok_and(|line| line == null::READY)));
            // It prints nothing more, so the next read returns at its end.
            let _ = lines.next();
            stop.ask(StopReason::Broken("the null system ended before its load did".to_owned()));
        };
        crate::limits::thread("null-watch", watch).map_err(|e| crate::limits::no_thread(&e))?;
        match ready.recv_timeout(READY_TIMEOUT) {
            Ok(true) => Ok(node),
            Ok(false) => Err("the null system ended before it listened".to_owned()),
            Err(_) => Err(format!("the null system did not listen within {} s", READY_TIMEOUT.as_secs())),
        }
    }

    fn processor_time(&self) -> Duration {
        processor_time_of(self.child.id())
    }
}

impl Drop for NullNode {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the processor time used by a process, with the resolution of a kernel clock tick.
fn processor_time_of(pid: u32) -> Duration {
    let stat = heckle_results::input::kernel(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name of the program may contain spaces, so count fields after it.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0);
    // SAFETY: `sysconf` has no preconditions.
    let per_s = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as f64;
    Duration::from_secs_f64((ticks(11) + ticks(12)) as f64 / per_s)
}

/// Returns the processor time of this process or of this thread.
fn processor_time(clock: libc::clockid_t) -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the result, and both clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

/// Sends the load, with recorder and online judge as in a run, and measures it.
///
/// # Errors
/// If the null system does not start or ends early, or the history cannot be written.
pub(super) fn run(load: StepLoad, folder: &Path) -> Result<Step, String> {
    let plan = plan(load)?;
    let (stop, claim) = (Stop::default(), LoopbackClaim::new().map_err(|e| e.to_string())?);
    let listen = claim.address().map_err(|e| e.to_string())?;
    let null = NullNode::start(listen, &stop)?;
    let clock = RunClock::start();
    let (header, names) = run::header(&plan, "bench-load", clock)?;
    let (names, path) = (Arc::new(names), folder.join("history.jsonl.zst"));
    let before = (processor_time(libc::CLOCK_PROCESS_CPUTIME_ID), processor_time(libc::CLOCK_THREAD_CPUTIME_ID), null.processor_time());
    let recording = Recorder::start(&path, &header, names.clone(), clock, Some(OnlineJudge::new()), stop.clone())
        .map_err(|e| format!("cannot write {}: {e}; name another folder with --out", path.display()))?;
    let mistaken = {
        let stop = stop.clone();
        Mistaken::new(move |why| stop.ask(StopReason::Broken(why)))
    };
    let node = NodeIdentity::new(null::CLUSTER, null::NODE, mistaken);
    let nodes = Arc::new([Target { addr: listen, listens: listen, node }]);
    let live = Arc::new(Live::default());
    let context = LoadContext { clock, recorder: recording.handle(), names, stop: stop.clone(), live, nodes, watch: None, far: None };
    let sent = load::run(&plan, &context);
    drop(context);
    let client = processor_time(libc::CLOCK_THREAD_CPUTIME_ID) - before.1;
    let finished = recording.finish(|_| [].into());
    let process = processor_time(libc::CLOCK_PROCESS_CPUTIME_ID) - before.0;
    let of_null = null.processor_time().saturating_sub(before.2);
    match stop.reason() {
        None => {}
        Some(StopReason::Broken(why)) => return Err(why),
        Some(StopReason::Interrupted) => return Err("interrupted".to_owned()),
        Some(StopReason::Violation) => return Err("the null system was found not to be linearizable: this is a bug of heckle".to_owned()),
    }
    let (totals, _) = sent?;
    finished.map_err(|e| format!("the history could not be written to its end: {}", crate::limits::named(&e)))?;
    let history = run::report::read_history(&path)?;
    let per_op = |time: Duration| time.as_secs_f64() * 1e6 / totals.ops.max(1) as f64;
    Ok(Step {
        asked_per_s: load.rate,
        unsent: totals.unsent,
        client_us_per_op: per_op(client),
        record_us_per_op: per_op(process.saturating_sub(client)),
        null_us_per_op: per_op(of_null),
        ..of_history(&history, plan.window())
    })
}

fn plan(load: StepLoad) -> Result<Plan, String> {
    let settings = Settings {
        name: Some("bench-load".to_owned()),
        seed: Some("1".to_owned()),
        cluster: ClusterSettings { nodes: Some(1), net: Some("direct".to_owned()), ..ClusterSettings::default() },
        load: LoadSettings {
            rate: Some(Rate::PerSecond(load.rate)),
            duration: Some(Span(load.lasts)),
            warmup: Some(WARMUP),
            clients: Some(load.clients),
            max_in_flight: Some(MAX_IN_FLIGHT),
            ..LoadSettings::default()
        },
        faults: FaultSettings { kinds: Some(vec!["none".to_owned()]), ..FaultSettings::default() },
        ..Settings::default()
    };
    Plan::resolve(&settings, systems::all())
}

/// Computes the figures from the history.
fn of_history(history: &History, window: (Nanos, Nanos)) -> Step {
    let sent: Vec<&Operation> = history.ops.iter().filter(|op| window.0 <= op.intended && op.intended < window.1).collect();
    let ms = |spans: Vec<u64>, q: f64| quantile(spans, q) / 1e6;
    let late = || sent.iter().map(|op| op.invoked.since(op.intended).0).collect();
    let latency = sent.iter().filter(|op| matches!(op.outcome, Outcome::Ok(_))).map(|op| op.completed.since(op.intended).0).collect();
    // The window is on the clock: count ops sent within it, whenever they were due.
    let issued = history.ops.iter().filter(|op| window.0 <= op.invoked && op.invoked < window.1).count();
    Step {
        asked_per_s: 0.0,
        issued_per_s: issued as f64 / window.1.since(window.0).as_secs_f64(),
        late_p50_ms: ms(late(), 0.5),
        late_p99_ms: ms(late(), 0.99),
        latency_p99_ms: ms(latency, 0.99),
        not_ok: history.ops.iter().filter(|op| !matches!(op.outcome, Outcome::Ok(_))).count() as u64,
        unsent: 0,
        client_us_per_op: 0.0,
        record_us_per_op: 0.0,
        null_us_per_op: 0.0,
    }
}

/// Returns a quantile, or zero if there are no values.
fn quantile(mut values: Vec<u64>, q: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let place = ((values.len() - 1) as f64 * q).round() as usize;
    *values.select_nth_unstable(place).1 as f64
}

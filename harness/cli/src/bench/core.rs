//! Measures the cost of one operation in the core alone: three replicas in this process, with messages passed directly and
//! every batch durable immediately. A comparison of two builds shows the cost of planted bugs that are compiled in but switched off.

use heckle_history::prng::Seed;
use heckle_paxos::{
    Action, Actions, Call, ClientRequest, ClientToken, Config, ConfigError, Event, Key, MonoTime, NodeId, OpId, Outcome, Provenance,
    Replica, Value, WallTime,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Operations per measurement.
const OPS: u64 = 60_000;
const KEYS: u64 = 64;
const NODES: u16 = 3;
/// Time between operations on the core's clock.
const TICK_NS: u64 = 1_000_000;
/// Timeout of an operation, which is never reached.
const TIMEOUT_NS: u64 = 60_000_000_000;
/// Number of measurements per build in a comparison.
pub const PAIRS: usize = 15;
/// Maximum median ratio that still counts as noise. Above it, the compiled-in bugs have a cost.
const MAX_RATIO: f64 = 1.03;

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CoreCost {
    /// Whether planted bugs are compiled in.
    pub mutants_compiled_in: bool,
    /// Time per write in nanoseconds, summed over the three replicas.
    pub ns_per_op: f64,
    /// Steps of the core per operation.
    pub steps_per_op: f64,
}

/// Measures this build.
///
/// # Errors
/// If the core refuses its settings, or an operation is not applied.
pub fn measure() -> Result<CoreCost, String> {
    let mut cluster = Cluster::new().map_err(|e| e.to_string())?;
    // Warm up, so that rows and tables reach their usual size.
    run(&mut cluster, OPS / 10)?;
    let (began, steps) = (Instant::now(), cluster.steps);
    run(&mut cluster, OPS)?;
    let ns = began.elapsed().as_nanos() as f64;
    let steps_per_op = (cluster.steps - steps) as f64 / OPS as f64;
    Ok(CoreCost { mutants_compiled_in: cfg!(feature = "mutants"), ns_per_op: ns / OPS as f64, steps_per_op })
}

fn run(cluster: &mut Cluster, ops: u64) -> Result<(), String> {
    for _ in 0..ops {
        match cluster.write() {
            Some(Outcome::Applied) => {}
            other => return Err(format!("an undisturbed write ended with {other:?}")),
        }
    }
    Ok(())
}

struct Cluster {
    replicas: Vec<Replica>,
    waiting: VecDeque<(usize, Event)>,
    actions: Actions,
    rng: heckle_history::prng::Pcg64,
    now_ns: u64,
    written: u64,
    steps: u64,
    outcome: Option<Outcome>,
}

impl Cluster {
    fn new() -> Result<Cluster, ConfigError> {
        let members: Vec<NodeId> = (1..=NODES).map(NodeId).collect();
        let replicas = members.iter().map(|node| Replica::new(Config::new(*node, members.clone()))).collect::<Result<Vec<_>, _>>()?;
        let mut cluster = Cluster {
            replicas,
            waiting: VecDeque::new(),
            actions: Actions::new(),
            rng: Seed(7).stream("core"),
            now_ns: 0,
            written: 0,
            steps: 0,
            outcome: None,
        };
        for at in 0..cluster.replicas.len() {
            cluster.replicas[at].start(&mut cluster.actions);
            cluster.apply_actions(at);
        }
        cluster.process_all();
        Ok(cluster)
    }

    /// Runs one write through one of the nodes until it completes.
    fn write(&mut self) -> Option<Outcome> {
        self.written += 1;
        self.now_ns += TICK_NS;
        let request = ClientRequest {
            op: OpId { client: self.written % 16 + 1, seq: self.written },
            key: Key::from(format!("k{}", self.written % KEYS).as_str()),
            call: Call::Write { new: Value::from(&self.written.to_be_bytes()[..]) },
            timeout_ns: TIMEOUT_NS,
            provenance: Provenance::First,
        };
        let node = (self.written % KEYS % u64::from(NODES)) as usize;
        self.outcome = None;
        self.waiting.push_back((node, Event::Client { token: ClientToken(self.written), request }));
        self.process_all();
        self.outcome.take()
    }

    fn process_all(&mut self) {
        while let Some((at, event)) = self.waiting.pop_front() {
            self.steps += 1;
            let (now, wall) = (MonoTime(self.now_ns), WallTime(self.now_ns / 1_000));
            self.replicas[at].step(now, wall, event, &mut self.rng, &mut self.actions);
            self.apply_actions(at);
        }
    }

    fn apply_actions(&mut self, at: usize) {
        let from = NodeId(at as u16 + 1);
        for action in self.actions.drain() {
            match action {
                Action::Persist { io_id, .. } => self.waiting.push_back((at, Event::Persisted { io_id })),
                Action::Send { to, message, .. } => self.waiting.push_back((usize::from(to.0) - 1, Event::Peer { from, message })),
                Action::Reply { outcome, .. } => self.outcome = Some(outcome),
                // No timer fires here, because nothing is late and leases are switched off.
                Action::Timer { .. } | Action::Point { .. } | Action::SendLease { .. } | Action::Lease(_) => {}
            }
        }
    }
}

/// Measurements of two builds.
#[derive(Debug, Clone, Serialize)]
pub struct BuildComparison {
    /// Measurements of this build.
    pub this: Vec<CoreCost>,
    /// Measurements of the other build.
    pub other: Vec<CoreCost>,
    /// Median of the ratios of all pairs, this build over the other.
    pub ratio: f64,
    /// The interquartile range of the ratios.
    pub middle_half: (f64, f64),
}

impl BuildComparison {
    /// Whether the cost difference of the builds is within noise.
    pub fn is_within_noise(&self) -> bool {
        self.ratio <= MAX_RATIO
    }
}

/// Measures this program and another alternately, each in a separate process.
///
/// # Errors
/// If either program cannot be run, or prints anything but its measurement.
pub fn compare(other: &Path) -> Result<BuildComparison, String> {
    let this = std::env::current_exe().map_err(|e| format!("cannot find this program's own file: {e}"))?;
    let (mut ours, mut theirs) = (vec![], vec![]);
    for pair in 0..PAIRS {
        // The builds take turns going first.
        if pair % 2 == 0 {
            ours.push(measure_program(&this)?);
            theirs.push(measure_program(other)?);
        } else {
            theirs.push(measure_program(other)?);
            ours.push(measure_program(&this)?);
        }
    }
    Ok(summarize(ours, theirs))
}

fn summarize(this: Vec<CoreCost>, other: Vec<CoreCost>) -> BuildComparison {
    let mut ratios: Vec<f64> = this.iter().zip(&other).map(|(a, b)| a.ns_per_op / b.ns_per_op).collect();
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[((ratios.len() - 1) as f64 * share).round() as usize];
    let (ratio, middle_half) = (at(0.5), (at(0.25), at(0.75)));
    BuildComparison { this, other, ratio, middle_half }
}

fn measure_program(program: &Path) -> Result<CoreCost, String> {
    let shown = program.display();
    let out = Command::new(program).args(["bench", "core", "--json"]).output().map_err(|e| format!("cannot run {shown}: {e}"))?;
    if !out.status.success() {
        return Err(format!("{shown} bench core: {}", String::from_utf8_lossy(&out.stderr).trim()));
    }
    serde_json::from_slice(&out.stdout).map_err(|e| format!("{shown} bench core --json says something else: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_succeed_with_the_expected_number_of_steps() {
        let mut cluster = Cluster::new().expect("sound settings");
        run(&mut cluster, 200).expect("applied");
        // Each of the three nodes handles at least two messages and two syncs.
        assert!(cluster.steps >= 200 * 9, "{} steps", cluster.steps);
    }

    #[test]
    fn detects_a_more_expensive_build() {
        let cost = |ns_per_op| CoreCost { mutants_compiled_in: true, ns_per_op, steps_per_op: 20.0 };
        let same = summarize(vec![cost(100.0), cost(101.0), cost(150.0)], vec![cost(101.0), cost(100.0), cost(149.0)]);
        assert!(same.is_within_noise(), "{same:?}");
        let dear = summarize(vec![cost(110.0), cost(108.0), cost(90.0)], vec![cost(100.0), cost(100.0), cost(100.0)]);
        assert!(!dear.is_within_noise() && dear.ratio == 1.08, "{dear:?}");
    }
}

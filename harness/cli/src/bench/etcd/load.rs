//! Closed loops of compare-and-set with little overhead: one thread and the adapters of a real run, but no recorder and no histories.

use super::WARM_UP;
use super::bench_cluster::BenchCluster;
use hdrhistogram::Histogram;
use heckle_history::prng::Pcg64;
use heckle_history::{Call, Current, OpId, Path, ProcessId, Seen, Value};
use heckle_system_api::connection::{Connection, Op, Outcome};
use rand::RngExt;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Maximum latency to record, in microseconds. Longer ones are counted as this.
const MAX_US: u64 = 600_000_000;

/// The load of the clients.
pub(super) struct Load {
    clients: u32,
    /// Names of the keys. Each load on a cluster uses different keys.
    keys: Vec<Arc<str>>,
    intents: Intents,
    lasts: Duration,
}

#[derive(Clone, Copy, PartialEq)]
enum Intents {
    /// Each CAS is a separate intent.
    Single,
    /// A client retries with the value returned by the refusal until its CAS is applied.
    UntilApplied,
}

impl Load {
    /// Creates a load of CAS on uniformly chosen keys. The clients share the last known value of each key, so most conditions are met.
    pub(super) fn wide(clients: u32, keys: u32, lasts: Duration) -> Load {
        let keys = (0..keys).map(|k| format!("wide-{clients}-{k}").into()).collect();
        Load { clients, keys, intents: Intents::Single, lasts }
    }

    /// Creates a load in which all clients read one key and then retry a CAS on it until it is applied.
    pub(super) fn hot(clients: u32, lasts: Duration) -> Load {
        Load { clients, keys: vec!["hot".into()], intents: Intents::UntilApplied, lasts }
    }
}

/// The results of a load, excluding the warm-up except in `all_ops`.
pub(super) struct LoadResult {
    latencies_us: Histogram<u64>,
    /// Number of CAS operations that took effect.
    pub(super) applied: u64,
    refused: u64,
    /// Number of operations that ended with an error or without an answer.
    pub(super) unanswered: u64,
    /// Number of operations sent, including reads and the warm-up.
    pub(super) all_ops: u64,
    measured_for: Duration,
}

impl LoadResult {
    /// Returns the number of CAS operations that were answered.
    pub(super) fn answered(&self) -> u64 {
        self.applied + self.refused
    }

    /// Converts a count to a rate per second.
    pub(super) fn per_s(&self, count: u64) -> f64 {
        count as f64 / self.measured_for.as_secs_f64()
    }

    /// Returns the median CAS latency, in microseconds.
    pub(super) fn p50_us(&self) -> f64 {
        self.latencies_us.value_at_quantile(0.5) as f64
    }
}

struct Shared {
    load: Load,
    /// The last known value of each key.
    known: RefCell<Vec<Option<Value>>>,
    next: RefCell<(u64, i64)>,
    done: RefCell<LoadResult>,
    begin: Instant,
    end: Instant,
    timeout: Duration,
}

/// Runs a load against a cluster.
///
/// # Errors
/// If the machine lacks the resources, or no operation was answered.
pub(super) fn run(cluster: &BenchCluster, load: &Load) -> Result<LoadResult, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("cannot start the client runtime: {e}"))?;
    let begin = Instant::now() + WARM_UP;
    let latencies_us = Histogram::new_with_bounds(1, MAX_US, 3).expect("the bounds are in order and the precision is valid");
    let done = LoadResult { latencies_us, applied: 0, refused: 0, unanswered: 0, all_ops: 0, measured_for: load.lasts };
    let load = Load { clients: load.clients, keys: load.keys.clone(), ..*load };
    let shared = Rc::new(Shared {
        known: RefCell::new(vec![None; load.keys.len()]),
        // Ids and values must differ from those of earlier loads on this cluster.
        next: RefCell::new((u64::from(rand::random::<u32>()) << 24, i64::from(rand::random::<u32>()) << 24)),
        done: RefCell::new(done),
        begin,
        end: begin + load.lasts,
        timeout: cluster.plan.op_timeout.0,
        load,
    });
    let leader = cluster.leader()?;
    let first_process: u32 = rand::random::<u32>() >> 2;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let clients = (0..shared.load.clients).map(|client| {
            let connection = cluster.connect(leader, format!("bench-{client}"));
            let rng = cluster.plan.seed.stream(&format!("bench/{client}"));
            tokio::task::spawn_local(client_loop(shared.clone(), connection, ProcessId(first_process + client), rng))
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.map_err(|_| "a client panicked".to_owned())?;
        }
        Ok::<_, String>(())
    })?;
    drop(runtime);
    cluster.check_nodes()?;
    let done = Rc::into_inner(shared).ok_or("a client is still running")?.done.into_inner();
    if done.answered() == 0 {
        return Err(format!(
            "{} answered nothing for {:?} ({} unanswered)",
            cluster.plan.system.name(),
            done.measured_for,
            done.unanswered
        ));
    }
    Ok(done)
}

async fn client_loop(shared: Rc<Shared>, connection: Rc<dyn Connection>, process: ProcessId, mut rng: Pcg64) {
    while Instant::now() < shared.end {
        let key = rng.random_range(0..shared.load.keys.len());
        if shared.load.intents == Intents::UntilApplied {
            let (_, answer) = shared.call(&*connection, process, key, Call::Read).await;
            let Outcome::Ok(Seen::Value(mut seen)) = answer else { continue };
            while let Some(met) = shared.cas(&*connection, process, key, seen).await {
                seen = met;
            }
        } else {
            let expected = shared.known.borrow()[key];
            if let Some(met) = shared.cas(&*connection, process, key, expected).await {
                shared.known.borrow_mut()[key] = met;
            }
        }
    }
}

impl Shared {
    async fn call(&self, connection: &dyn Connection, process: ProcessId, key: usize, call: Call) -> (Instant, Outcome) {
        let op = {
            let mut next = self.next.borrow_mut();
            next.0 += 1;
            OpId(next.0)
        };
        self.done.borrow_mut().all_ops += 1;
        let began = Instant::now();
        let op = Op {
            id: op,
            process,
            key: self.load.keys[key].clone(),
            call,
            path: Path::Consensus,
            payload: None,
            expected_payload: None,
            timeout: self.timeout,
        };
        (began, connection.call(op).await.outcome)
    }

    /// Runs one CAS. Returns the value found if the CAS was refused and there is time for another attempt.
    async fn cas(&self, connection: &dyn Connection, process: ProcessId, key: usize, expected: Option<Value>) -> Option<Option<Value>> {
        let new = {
            let mut next = self.next.borrow_mut();
            next.1 += 1;
            Value(next.1)
        };
        let (began, known) = self.call(connection, process, key, Call::Cas { expected, new }).await;
        let now = Instant::now();
        let mut done = self.done.borrow_mut();
        if now >= self.begin && now < self.end {
            match known {
                Outcome::Ok(Seen::Applied) => done.applied += 1,
                Outcome::Ok(_) => done.refused += 1,
                Outcome::NotApplied | Outcome::Unknown => done.unanswered += 1,
            }
            if matches!(known, Outcome::Ok(_)) {
                done.latencies_us.saturating_record(u64::try_from((now - began).as_micros()).unwrap_or(MAX_US));
            }
        }
        match known {
            Outcome::Ok(Seen::Applied) => {
                self.known.borrow_mut()[key] = Some(new);
                None
            }
            Outcome::Ok(Seen::ConditionNotMet(Current::Known(met))) if now < self.end => Some(met),
            Outcome::Ok(_) | Outcome::NotApplied | Outcome::Unknown => None,
        }
    }
}

//! Generates the records of one replica of three: the core itself produces them while clients take turns writing
//! random keys. The three replicas live in this process, messages are passed directly, and every batch is durable
//! immediately.

use std::collections::VecDeque;

use heckle_paxos::{
    Action, Actions, Call, ClientRequest, ClientToken, Config, Event, Key, MonoTime, NodeId, OpId, Outcome, Provenance, Record, Replica,
    Value, WallTime,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::{StoreBenchError, Workload};
use crate::wire::record::encode_record;

const NODES: u16 = 3;
/// Index of the replica whose records are kept.
const RECORDED_REPLICA: usize = 1;
/// Time between operations as the core sees it, in nanoseconds.
const TICK_NS: u64 = 1_000_000;
/// Time limit of an operation in nanoseconds. It never runs out.
const TIMEOUT_NS: u64 = 60_000_000_000;

/// Called with each record. An error counts as damage.
pub(super) type Visit<'a> = dyn FnMut(&[u8]) -> Result<(), String> + 'a;

/// The records of a workload, in order.
pub(super) struct Records {
    /// The first write of each key.
    pub(super) fill: Vec<Record>,
    /// The measured records.
    pub(super) measured: Vec<Record>,
}

/// Generates the records. The same workload gives the same records.
pub(super) fn make(workload: &Workload) -> Result<Records, StoreBenchError> {
    let mut cluster = Cluster::new(workload)?;
    for key in 0..workload.keys {
        cluster.write(key)?;
    }
    let fill = std::mem::take(&mut cluster.records);
    let len = workload.per_batch * workload.batches;
    while cluster.records.len() < len {
        let key = cluster.rng.random_range(0..workload.keys);
        cluster.write(key)?;
    }
    cluster.records.truncate(len);
    Ok(Records { fill, measured: cluster.records })
}

/// Creates an empty replica that has not been started, so that it can take records.
pub(super) fn replica() -> Result<Replica, StoreBenchError> {
    Ok(Replica::new(config(RECORDED_REPLICA))?)
}

/// The key of a record, if it has one.
pub(super) fn key_of(record: &Record) -> Option<&Key> {
    match record {
        Record::Incarnation { .. } | Record::LeaseLimits(_) | Record::Floor { .. } => None,
        Record::Promised { key, .. }
        | Record::Accepted { key, .. }
        | Record::Chosen { key, .. }
        | Record::Learned { key, .. }
        | Record::Pruned { key, .. }
        | Record::Put { key, .. }
        | Record::State { key, .. } => Some(key),
    }
}

/// Size of these records in bytes.
pub(super) fn bytes(records: &[Record]) -> u64 {
    let (mut bytes, mut sum) = (Vec::new(), 0);
    for record in records {
        bytes.clear();
        encode_record(record, &mut bytes);
        sum += bytes.len() as u64;
    }
    sum
}

fn config(at: usize) -> Config {
    Config::new(NodeId(at as u16 + 1), (1..=NODES).map(NodeId).collect())
}

struct Cluster<'a> {
    workload: &'a Workload,
    replicas: Vec<Replica>,
    waiting: VecDeque<(usize, Event)>,
    actions: Actions,
    rng: Pcg64,
    written: u64,
    outcome: Option<Outcome>,
    records: Vec<Record>,
}

impl<'a> Cluster<'a> {
    fn new(workload: &'a Workload) -> Result<Cluster<'a>, StoreBenchError> {
        let replicas = (0..usize::from(NODES)).map(|at| Replica::new(config(at))).collect::<Result<Vec<_>, _>>()?;
        let mut cluster = Cluster {
            workload,
            replicas,
            waiting: VecDeque::new(),
            actions: Actions::new(),
            rng: Pcg64::seed_from_u64(workload.seed),
            written: 0,
            outcome: None,
            records: Vec::new(),
        };
        for at in 0..cluster.replicas.len() {
            cluster.replicas[at].start(&mut cluster.actions);
            cluster.carry_out(at);
        }
        cluster.deliver_all();
        // The records written by a process at its start have no key and are not measured.
        cluster.records.clear();
        Ok(cluster)
    }

    /// Performs one write through the node that coordinates this key.
    fn write(&mut self, key: u32) -> Result<(), StoreBenchError> {
        self.written += 1;
        let mut value = vec![0; self.workload.value_bytes];
        self.rng.fill_bytes(&mut value);
        let op = OpId { client: self.written % self.workload.clients + 1, seq: self.written };
        let request = ClientRequest {
            op,
            key: Key::from(format!("key-{key:012}").as_str()),
            call: Call::Write { new: Value::from(&value[..]) },
            timeout_ns: TIMEOUT_NS,
            provenance: Provenance::First,
        };
        self.outcome = None;
        self.waiting.push_back((key as usize % usize::from(NODES), Event::Client { token: ClientToken(self.written), request }));
        self.deliver_all();
        match self.outcome.take() {
            Some(Outcome::Applied) => Ok(()),
            other => Err(StoreBenchError::Workload { op: self.written, outcome: format!("{other:?}") }),
        }
    }

    fn deliver_all(&mut self) {
        let now_ns = self.written * TICK_NS;
        while let Some((at, event)) = self.waiting.pop_front() {
            self.replicas[at].step(MonoTime(now_ns), WallTime(now_ns / 1_000), event, &mut self.rng, &mut self.actions);
            self.carry_out(at);
        }
    }

    fn carry_out(&mut self, at: usize) {
        let from = NodeId(at as u16 + 1);
        for action in self.actions.drain() {
            match action {
                Action::Persist { io_id, records, .. } => {
                    if at == RECORDED_REPLICA {
                        self.records.extend(records);
                    }
                    self.waiting.push_back((at, Event::Persisted { io_id }));
                }
                Action::Send { to, message, .. } => self.waiting.push_back((usize::from(to.0) - 1, Event::Peer { from, message })),
                Action::Reply { outcome, .. } => self.outcome = Some(outcome),
                // No message is late here, no key is idle long enough to be pruned, and leases are off.
                Action::Timer { .. } | Action::Point { .. } | Action::SendLease { .. } | Action::Lease(_) => {}
            }
        }
    }
}

//! The figures a node gives about itself, as the control channel's `status` answers them.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::client_protocol::{FolderId, Outcome};

/// Everything a node knows about itself. Counters count from the start of the process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Status {
    /// Name, such as `n1`.
    pub node: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Its data folder.
    #[serde(default)]
    pub folder: FolderId,
    /// How many times this node was started on its data folder.
    pub incarnation: u64,
    /// Process id.
    pub pid: u32,
    /// Recovered, listening, and not stopping.
    pub ready: bool,
    /// Nanoseconds since the node was ready.
    pub uptime_ns: u64,
    /// Client operations by outcome.
    pub ops: OpCounts,
    /// Attempts begun, each with a ballot of its own.
    pub attempts: u64,
    /// Round trips to a quorum, of all operations coordinated here.
    pub round_trips: u64,
    /// Attempts that were outbid.
    pub preempted: u64,
    /// Earlier updates finished on the way.
    pub repairs: u64,
    /// Lagging replicas brought up to date.
    pub refreshes: u64,
    /// Rounds sent again for want of answers.
    pub resends: u64,
    /// Operations begun while another on the same key was running here; always 0 in a sound node.
    pub overlaps: u64,
    /// Ranges of keys that the node holds a lease on.
    #[serde(default)]
    pub leases_held: Vec<u16>,
    /// Leases acquired.
    #[serde(default)]
    pub leases_acquired: u64,
    /// Leases extended.
    #[serde(default)]
    pub leases_extended: u64,
    /// Leases that ended.
    #[serde(default)]
    pub leases_ended: u64,
    /// Requests of other nodes turned away because of a lease, or after a restart.
    #[serde(default)]
    pub busy_given: u64,
    /// Times an operation here was held off by a lease of another node.
    #[serde(default)]
    pub held_off: u64,
    /// Operations handed to a holder.
    #[serde(default)]
    pub forwards_sent: u64,
    /// Operations taken from other nodes, as the holder.
    #[serde(default)]
    pub forwards_taken: u64,
    /// Operations of other nodes not taken, since the range was not held.
    #[serde(default)]
    pub forwards_refused: u64,
    /// Reads answered from the own row under a read lease.
    #[serde(default)]
    pub local_reads: u64,
    /// Time that coordinators spent waiting after preemptions, in nanoseconds.
    pub backoff_ns: u64,
    /// Messages for other nodes.
    pub messages_sent: u64,
    /// Messages from other nodes.
    pub messages_received: u64,
    /// Syncs of the log, one for each batch.
    pub syncs: u64,
    /// How long the syncs took.
    pub sync_latency: SyncLatency,
    /// Records made durable.
    pub records: u64,
    /// Bytes written to the log.
    pub log_bytes: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Segments of the log on disk.
    pub segments: u64,
    /// Bytes of a torn tail that recovery cut.
    pub recovered_torn_bytes: u64,
    /// Records replayed by recovery.
    pub recovered_records: u64,
    /// Bytes of replica state by kind.
    pub state_bytes: StateBytes,
    /// Keys that have any state.
    pub keys: u64,
    /// Keys that have a row.
    pub rows: u64,
    /// Decisions that wait to be pruned.
    #[serde(default)]
    pub prune_queue: u64,
    /// Accepted copies dropped because every replica had learned the row.
    #[serde(default)]
    pub pruned: u64,
    /// Decisions that were not pruned because the queue was full.
    #[serde(default)]
    pub prune_dropped: u64,
    /// Messages of the prune queue sent again.
    #[serde(default)]
    pub prune_resends: u64,
    /// Keys of which something has expired, once for each time.
    #[serde(default)]
    pub expired: u64,
    /// Ballots rejected because they were at or below the floor.
    #[serde(default)]
    pub below_floor: u64,
    /// The floor: microseconds of a ballot, 0 if nothing has expired yet.
    #[serde(default)]
    pub floor_us: u64,
    /// Events waiting for the event loop.
    pub inbox_len: u64,
    /// Timers that have not gone off, stale ones included.
    pub timers_len: u64,
    /// Turns of the event loop.
    pub turns: u64,
    /// Operations open in this node.
    pub open_ops: u64,
    /// Open client connections.
    pub client_connections: u64,
    /// Connections to and from the other nodes.
    pub peers: Vec<PeerStatus>,
    /// Connections refused or closed because of what they sent.
    pub bad_connections: u64,
    /// Client connections closed because they did not read their answers.
    pub slow_readers: u64,
    /// Protocol points that a subscriber was too slow for.
    pub points_lost: u64,
    /// What the clock seam adds to the wall clock, in microseconds, drift so far included.
    pub clock_offset_us: i64,
    /// Drift of the clock seam in parts per million.
    pub clock_drift_ppm: i64,
    /// Wall clock as the node sees it, microseconds since 1970.
    pub wall_us: u64,
    /// Raw monotonic clock in nanoseconds, shared with the harness.
    pub mono_ns: u64,
    /// Planted bugs that are on.
    pub mutants: Vec<String>,
    /// Failpoints that are armed.
    pub failpoints: Vec<String>,
    /// How often each failpoint fired.
    pub failpoints_fired: Vec<(String, u64)>,
    /// Points that are armed, those of failpoints included.
    #[serde(default)]
    pub points_armed: Vec<String>,
    /// How often something happened at a point.
    #[serde(default)]
    pub points_hit: Vec<(String, u64)>,
}

/// Client operations by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OpCounts {
    /// Requests that were handed to the core.
    pub started: u64,
    /// Writes and CAS that took effect.
    pub applied: u64,
    /// CAS whose condition was not met.
    pub condition_not_met: u64,
    /// Reads answered.
    pub reads: u64,
    /// Questions for a fate answered.
    pub fates: u64,
    /// Proved without effect.
    pub not_applied: u64,
    /// May have happened.
    pub unknown: u64,
    /// Malformed requests.
    pub invalid: u64,
}

impl OpCounts {
    /// The count that an answer belongs to.
    pub(crate) fn of(&mut self, outcome: &Outcome) -> &mut u64 {
        match outcome {
            Outcome::Applied => &mut self.applied,
            Outcome::ConditionNotMet { .. } => &mut self.condition_not_met,
            Outcome::Value { .. } => &mut self.reads,
            Outcome::Fate { .. } => &mut self.fates,
            Outcome::NotApplied { .. } => &mut self.not_applied,
            Outcome::Unknown { .. } => &mut self.unknown,
            Outcome::Invalid { .. } => &mut self.invalid,
        }
    }

    /// All answers given.
    pub fn answered(&self) -> u64 {
        self.applied + self.condition_not_met + self.reads + self.fates + self.not_applied + self.unknown + self.invalid
    }
}

/// How long syncs took, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SyncLatency {
    /// Median.
    pub p50_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// Longest.
    pub max_us: u64,
}

/// Bytes of replica state by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StateBytes {
    /// Keys and values.
    pub data: u64,
    /// Learned ballots, and promised ones that nothing else implies.
    pub promise: u64,
    /// Accepted updates: pending ones, and copies that are neither pruned nor expired.
    pub accepted: u64,
    /// Tables of operation ids.
    pub dedupe: u64,
    /// Decisions that wait to be pruned.
    #[serde(default)]
    pub queue: u64,
}

impl StateBytes {
    /// All kinds together.
    pub fn total(&self) -> u64 {
        self.data + self.promise + self.accepted + self.dedupe + self.queue
    }
}

/// The two directed links between this node and another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The other node.
    pub node: String,
    /// The connection this node opened stands.
    pub outbound: bool,
    /// The connection the other node opened stands.
    pub inbound: bool,
    /// Bytes waiting to be sent.
    pub queued_bytes: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Messages dropped because the queue was full or there was no connection.
    pub dropped: u64,
    /// Connections this node opened.
    pub connects: u64,
    /// The other node's incarnation, where known.
    pub incarnation: u64,
}

impl Status {
    /// The figures in the text format of Prometheus.
    pub fn to_prometheus(&self) -> String {
        let mut text = Exposition { node: &self.node, text: String::new() };
        let ops = &self.ops;
        for (outcome, count) in [
            ("applied", ops.applied),
            ("condition_not_met", ops.condition_not_met),
            ("read", ops.reads),
            ("fate", ops.fates),
            ("not_applied", ops.not_applied),
            ("unknown", ops.unknown),
            ("invalid", ops.invalid),
        ] {
            text.add("heckle_ops_total", "counter", &[("outcome", outcome)], count);
        }
        for (kind, bytes) in [
            ("data", self.state_bytes.data),
            ("promise", self.state_bytes.promise),
            ("accepted", self.state_bytes.accepted),
            ("dedupe", self.state_bytes.dedupe),
            ("queue", self.state_bytes.queue),
        ] {
            text.add("heckle_state_bytes", "gauge", &[("kind", kind)], bytes);
        }
        for (quantile, us) in [("0.5", self.sync_latency.p50_us), ("0.99", self.sync_latency.p99_us), ("1", self.sync_latency.max_us)] {
            text.add("heckle_sync_latency_us", "gauge", &[("quantile", quantile)], us);
        }
        for (name, count) in [
            ("heckle_attempts_total", self.attempts),
            ("heckle_round_trips_total", self.round_trips),
            ("heckle_preempted_total", self.preempted),
            ("heckle_repairs_total", self.repairs),
            ("heckle_refreshes_total", self.refreshes),
            ("heckle_resends_total", self.resends),
            ("heckle_overlaps_total", self.overlaps),
            ("heckle_leases_acquired_total", self.leases_acquired),
            ("heckle_leases_extended_total", self.leases_extended),
            ("heckle_leases_ended_total", self.leases_ended),
            ("heckle_busy_given_total", self.busy_given),
            ("heckle_held_off_total", self.held_off),
            ("heckle_forwards_sent_total", self.forwards_sent),
            ("heckle_forwards_taken_total", self.forwards_taken),
            ("heckle_forwards_refused_total", self.forwards_refused),
            ("heckle_local_reads_total", self.local_reads),
            ("heckle_syncs_total", self.syncs),
            ("heckle_records_total", self.records),
            ("heckle_log_bytes_total", self.log_bytes),
            ("heckle_snapshots_total", self.snapshots),
            ("heckle_pruned_total", self.pruned),
            ("heckle_prune_dropped_total", self.prune_dropped),
            ("heckle_prune_resends_total", self.prune_resends),
            ("heckle_expired_total", self.expired),
            ("heckle_below_floor_total", self.below_floor),
            ("heckle_bad_connections_total", self.bad_connections),
            ("heckle_slow_readers_total", self.slow_readers),
        ] {
            text.add(name, "counter", &[], count);
        }
        for (name, value) in [
            ("heckle_incarnation", self.incarnation),
            ("heckle_log_segments", self.segments),
            ("heckle_keys", self.keys),
            ("heckle_rows", self.rows),
            ("heckle_prune_queue_length", self.prune_queue),
            ("heckle_inbox_length", self.inbox_len),
            ("heckle_open_ops", self.open_ops),
            ("heckle_leases_held", self.leases_held.len() as u64),
            ("heckle_client_connections", self.client_connections),
        ] {
            text.add(name, "gauge", &[], value);
        }
        for peer in &self.peers {
            let label = [("peer", peer.node.as_str())];
            text.add("heckle_peer_connected", "gauge", &label, u64::from(peer.outbound));
        }
        for peer in &self.peers {
            let label = [("peer", peer.node.as_str())];
            text.add("heckle_peer_dropped_total", "counter", &label, peer.dropped);
        }
        text.text
    }
}

/// Writes samples; those of one metric must come together, under one type line.
struct Exposition<'a> {
    node: &'a str,
    text: String,
}

impl Exposition<'_> {
    fn add(&mut self, name: &str, kind: &str, labels: &[(&str, &str)], value: u64) {
        let header = format!("# TYPE {name} {kind}\n");
        if !self.text.contains(&header) {
            self.text += &header;
        }
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{name}{{node={:?}", self.node);
        for (key, label) in labels {
            let _ = write!(self.text, ",{key}={label:?}");
        }
        let _ = writeln!(self.text, "}} {value}");
    }
}

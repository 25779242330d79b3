//! The status figures of a node, as reported on the control channel.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::client_protocol::{FolderId, Outcome};
use crate::points::InjectedDelays;

/// All status figures of a node. Counters start at zero with the process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Status {
    /// Name of the node, such as `n1`.
    pub node: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Id of the data folder.
    #[serde(default)]
    pub folder: FolderId,
    /// Number of times the node has been started on its data folder.
    pub incarnation: u64,
    /// Process id.
    pub pid: u32,
    /// Whether the node has recovered, is listening, and is not stopping.
    pub ready: bool,
    /// Whether the node takes part: enough other nodes have confirmed that its log is complete. A node of an earlier
    /// release needs no confirmation.
    #[serde(default = "always")]
    pub voting: bool,
    /// Nanoseconds since the node became ready.
    pub uptime_ns: u64,
    /// Client operations by outcome.
    pub ops: OpCounts,
    /// Attempts begun. Each has its own ballot.
    pub attempts: u64,
    /// Round trips to a quorum, over all operations coordinated by this node.
    pub round_trips: u64,
    /// Attempts that were outbid.
    pub preempted: u64,
    /// Unfinished earlier updates that this node has finished.
    pub repairs: u64,
    /// Lagging replicas brought up to date.
    pub refreshes: u64,
    /// Rounds resent because replies were missing.
    pub resends: u64,
    /// Operations begun while another on the same key was running in this node. Always 0 in a correct node.
    pub overlaps: u64,
    /// Key ranges for which the node holds a lease.
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
    /// Other nodes' requests refused because of a lease, or during the wait after a restart.
    #[serde(default)]
    pub busy_given: u64,
    /// Times another node's lease delayed an operation of this node.
    #[serde(default)]
    pub held_off: u64,
    /// Operations forwarded to a lease holder.
    #[serde(default)]
    pub forwards_sent: u64,
    /// Operations accepted from other nodes as the lease holder.
    #[serde(default)]
    pub forwards_taken: u64,
    /// Operations from other nodes refused because this node did not hold the range.
    #[serde(default)]
    pub forwards_refused: u64,
    /// Reads answered from the node's own row under a read lease.
    #[serde(default)]
    pub local_reads: u64,
    /// Time spent by coordinators waiting after being outbid, in nanoseconds.
    pub backoff_ns: u64,
    /// Messages sent to other nodes.
    pub messages_sent: u64,
    /// Messages received from other nodes.
    pub messages_received: u64,
    /// Messages from other nodes that no correct node could have sent. Each closes its connection.
    #[serde(default)]
    pub messages_refused: u64,
    /// Attempts given up because the replies of different nodes contradicted each other. Always 0 among correct nodes.
    #[serde(default)]
    pub contradictions: u64,
    /// Syncs of the log, one per batch.
    pub syncs: u64,
    /// Latency of the syncs.
    pub sync_latency: SyncLatency,
    /// Records made durable.
    pub records: u64,
    /// Bytes written to the log.
    pub log_bytes: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Log segments on disk.
    pub segments: u64,
    /// Bytes of a torn tail cut off by recovery.
    pub recovered_torn_bytes: u64,
    /// Records replayed by recovery.
    pub recovered_records: u64,
    /// Bytes of replica state by kind.
    pub state_bytes: StateBytes,
    /// Number of keys that have any state.
    pub keys: u64,
    /// Number of keys that have a row.
    pub rows: u64,
    /// Number of decisions waiting to be pruned.
    #[serde(default)]
    pub prune_queue: u64,
    /// Accepted copies dropped because every replica had learned the row.
    #[serde(default)]
    pub pruned: u64,
    /// Decisions not pruned because the queue was full.
    #[serde(default)]
    pub prune_dropped: u64,
    /// Messages resent by the prune queue.
    #[serde(default)]
    pub prune_resends: u64,
    /// Times that a key's state expired.
    #[serde(default)]
    pub expired: u64,
    /// Ballots rejected because they were at or below the floor.
    #[serde(default)]
    pub below_floor: u64,
    /// The floor: the time of a ballot in microseconds, or 0 if nothing has expired yet.
    #[serde(default)]
    pub floor_us: u64,
    /// Number of events waiting for the event loop.
    pub inbox_len: u64,
    /// Number of timers that have not expired, including stale ones.
    pub timers_len: u64,
    /// Turns of the event loop.
    pub turns: u64,
    /// Number of operations open in this node.
    pub open_ops: u64,
    /// Number of open client connections.
    pub client_connections: u64,
    /// State of the connections to and from the other nodes.
    pub peers: Vec<PeerStatus>,
    /// Connections refused or closed because of invalid data they sent.
    pub bad_connections: u64,
    /// Client connections closed because the client did not read its replies.
    pub slow_readers: u64,
    /// Maximum number of client connections that this node admits.
    #[serde(default)]
    pub client_limit: u64,
    /// Bytes held for clients, by kind.
    #[serde(default)]
    pub held_bytes: HeldBytes,
    /// Connections closed because the unfinished frames of all clients reached their limit.
    #[serde(default)]
    pub partial_frames_closed: u64,
    /// Log lines dropped because standard error was not read.
    #[serde(default)]
    pub log_lines_dropped: u64,
    /// Reports of protocol points dropped because a subscriber was too slow.
    pub points_lost: u64,
    /// Number of lease changes that were not reported because a watcher was too slow.
    #[serde(default)]
    pub lease_changes_lost: u64,
    /// Offset added to the wall clock by the clock seam, in microseconds, including the drift so far.
    pub clock_offset_us: i64,
    /// Drift of the clock seam in parts per million.
    pub clock_drift_ppm: i64,
    /// The wall clock as seen by the node, in microseconds since 1970.
    pub wall_us: u64,
    /// Raw monotonic clock in nanoseconds, shared with the harness.
    pub mono_ns: u64,
    /// Names of the active planted bugs.
    pub mutants: Vec<String>,
    /// Names of the armed failpoints.
    pub failpoints: Vec<String>,
    /// How often each failpoint fired.
    pub failpoints_fired: Vec<(String, u64)>,
    /// Names of the armed points, including those of failpoints.
    #[serde(default)]
    pub points_armed: Vec<String>,
    /// Number of injections carried out at each point.
    #[serde(default)]
    pub points_hit: Vec<(String, u64)>,
    /// Waits injected at storage points since a delay was last armed.
    #[serde(default)]
    pub injected_delays: InjectedDelays,
}

/// Client operations by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OpCounts {
    /// Requests handed to the core.
    pub started: u64,
    /// Writes and CAS that took effect.
    pub applied: u64,
    /// CAS whose condition was not met.
    pub condition_not_met: u64,
    /// Reads answered.
    pub reads: u64,
    /// Fate queries answered.
    pub fates: u64,
    /// Operations proved to have had no effect.
    pub not_applied: u64,
    /// Operations whose outcome is unknown.
    pub unknown: u64,
    /// Malformed requests.
    pub invalid: u64,
}

impl OpCounts {
    /// The counter for a reply with this outcome.
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

    /// Total number of replies.
    pub fn answered(&self) -> u64 {
        self.applied + self.condition_not_met + self.reads + self.fates + self.not_applied + self.unknown + self.invalid
    }
}

/// Latency of syncs, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SyncLatency {
    /// Median.
    pub p50_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// Longest sync.
    pub max_us: u64,
}

/// Bytes of replica state by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StateBytes {
    /// Keys and values.
    pub data: u64,
    /// Learned ballots, and promised ballots not implied by anything else.
    pub promise: u64,
    /// Accepted updates: pending ones, and copies not yet pruned or expired.
    pub accepted: u64,
    /// Tables of operation ids.
    pub dedupe: u64,
    /// Decisions waiting to be pruned.
    #[serde(default)]
    pub queue: u64,
}

impl StateBytes {
    /// Sum over all kinds.
    pub fn total(&self) -> u64 {
        self.data + self.promise + self.accepted + self.dedupe + self.queue
    }
}

/// Bytes that a node holds for its clients. Each kind has a limit per node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HeldBytes {
    /// Open operations.
    pub requests: u64,
    /// Frames that have been begun but not finished.
    pub partial_frames: u64,
    /// Replies not read yet.
    pub replies: u64,
}

/// The two directed links between this node and another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The other node.
    pub node: String,
    /// Whether the connection that this node opened is up.
    pub outbound: bool,
    /// Whether the connection that the other node opened is up.
    pub inbound: bool,
    /// Bytes waiting to be sent.
    pub queued_bytes: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Messages dropped because the queue was full or there was no connection.
    pub dropped: u64,
    /// Number of connections that this node has opened.
    pub connects: u64,
    /// The other node's incarnation, if known.
    pub incarnation: u64,
}

fn always() -> bool {
    true
}

impl Status {
    /// Formats the figures as Prometheus text.
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
        for (kind, bytes) in [
            ("requests", self.held_bytes.requests),
            ("partial_frames", self.held_bytes.partial_frames),
            ("replies", self.held_bytes.replies),
        ] {
            text.add("heckle_held_bytes", "gauge", &[("kind", kind)], bytes);
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
            ("heckle_messages_refused_total", self.messages_refused),
            ("heckle_contradictions_total", self.contradictions),
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
            ("heckle_partial_frames_closed_total", self.partial_frames_closed),
            ("heckle_log_lines_dropped_total", self.log_lines_dropped),
        ] {
            text.add(name, "counter", &[], count);
        }
        for (name, value) in [
            ("heckle_incarnation", self.incarnation),
            ("heckle_voting", u64::from(self.voting)),
            ("heckle_log_segments", self.segments),
            ("heckle_keys", self.keys),
            ("heckle_rows", self.rows),
            ("heckle_prune_queue_length", self.prune_queue),
            ("heckle_inbox_length", self.inbox_len),
            ("heckle_open_ops", self.open_ops),
            ("heckle_leases_held", self.leases_held.len() as u64),
            ("heckle_client_connections", self.client_connections),
            ("heckle_client_limit", self.client_limit),
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

/// Writes samples. All samples of a metric must be consecutive, under one type line.
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

//! Gathers the status figures of a node.

use std::sync::atomic::Ordering;

use heckle_paxos::Point as ProtocolPoint;

use super::Shell;
use crate::clock;
use crate::points::storage_point::StoragePoint;
use crate::status::{HeldBytes, StateBytes, Status, SyncLatency};

impl Shell {
    /// The current status figures.
    pub(crate) fn status(&self) -> Status {
        let replica = self.replica.borrow();
        let (counters, state) = (replica.counters(), replica.state_bytes());
        let clock = self.clock.borrow();
        let disk = &self.disk_metrics;
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Status {
            node: self.name.clone(),
            cluster: self.options.cluster_id.clone(),
            folder: self.identity().folder,
            incarnation: u64::from(self.incarnation),
            pid: std::process::id(),
            ready: !self.stopper.is_stopping(),
            voting: self.voting.get(),
            uptime_ns: u64::try_from(self.ready_since.elapsed().as_nanos()).unwrap_or(u64::MAX),
            ops: self.counts.ops.get(),
            attempts: counters.attempts,
            round_trips: counters.round_trips,
            preempted: counters.preempted,
            repairs: counters.repairs,
            refreshes: counters.refreshes,
            resends: counters.resends,
            overlaps: counters.overlaps,
            leases_held: replica.leases_held(clock.mono()),
            leases_acquired: counters.leases_acquired,
            leases_extended: counters.leases_extended,
            leases_ended: counters.leases_ended,
            busy_given: counters.busy_given,
            held_off: counters.held_off,
            forwards_sent: counters.forwards_sent,
            forwards_taken: counters.forwards_taken,
            forwards_refused: counters.forwards_refused,
            local_reads: counters.local_reads,
            backoff_ns: counters.backoff_ns,
            messages_sent: counters.messages_sent,
            messages_received: counters.messages_received,
            messages_refused: counters.messages_refused,
            contradictions: counters.contradictions,
            syncs: read(&disk.syncs),
            sync_latency: SyncLatency {
                p50_us: disk.sync_latency.quantile_us(0.5),
                p99_us: disk.sync_latency.quantile_us(0.99),
                max_us: disk.sync_latency.max_us(),
            },
            records: read(&disk.records),
            log_bytes: read(&disk.bytes),
            snapshots: read(&disk.snapshots),
            segments: read(&disk.segments),
            recovered_torn_bytes: self.recovered_torn_bytes,
            recovered_records: self.recovered_records,
            state_bytes: StateBytes {
                data: state.data,
                promise: state.promise,
                accepted: state.accepted,
                dedupe: state.dedupe,
                queue: state.queue,
            },
            keys: state.keys,
            rows: state.rows,
            prune_queue: replica.prune_queue_len() as u64,
            pruned: counters.pruned,
            prune_dropped: counters.prune_dropped,
            prune_resends: counters.prune_resends,
            expired: counters.expired,
            below_floor: counters.below_floor,
            floor_us: replica.floor_us(),
            inbox_len: self.inbox.len() as u64,
            timers_len: self.timers.borrow().len() as u64,
            open_ops: self.open_ops.borrow().len() as u64,
            turns: self.counts.turns.get(),
            client_connections: self.client_lobby.count() as u64,
            peers: self.peers.status(),
            bad_connections: self.counts.bad_connections.get(),
            slow_readers: self.counts.slow_readers.get(),
            client_limit: self.descriptors.clients as u64,
            held_bytes: HeldBytes {
                requests: self.request_bytes.get() as u64,
                partial_frames: self.partial_frames.used() as u64,
                replies: self.replies.used() as u64,
            },
            partial_frames_closed: self.partial_frames.closed.get(),
            log_lines_dropped: self.log.dropped(),
            points_lost: self.points.lost.get(),
            lease_changes_lost: self.leases.lost.get(),
            clock_offset_us: clock.offset_us(),
            clock_drift_ppm: clock.drift_ppm(),
            wall_us: clock.wall().0,
            mono_ns: clock::raw_mono_ns(),
            mutants: heckle_paxos::Mutant::ALL
                .iter()
                .filter(|mutant| self.mutants.has(**mutant))
                .map(|mutant| mutant.info().name.to_owned())
                .collect(),
            failpoints: self.storage_points.armed_failpoints().into_iter().map(|point| point.as_str().to_owned()).collect(),
            failpoints_fired: self
                .storage_points
                .fired_failpoints()
                .into_iter()
                .map(|(point, count)| (point.as_str().to_owned(), count))
                .collect(),
            points_armed: self.points_armed(),
            points_hit: self.points_hit(),
            injected_delays: self.storage_points.delays(),
        }
    }
}

impl Shell {
    fn points_armed(&self) -> Vec<String> {
        let storage = self.storage_points.armed().into_iter().map(StoragePoint::name);
        storage.chain(self.points.armed().into_iter().map(ProtocolPoint::name)).map(str::to_owned).collect()
    }

    fn points_hit(&self) -> Vec<(String, u64)> {
        let storage = self.storage_points.hits().into_iter().map(|(point, hits)| (point.name(), hits));
        let protocol = self.points.hits().map(|(point, hits)| (point.name(), hits));
        storage.chain(protocol).map(|(name, hits)| (name.to_owned(), hits)).collect()
    }
}

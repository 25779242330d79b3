//! The nodes of the world. Carries out the actions of each step, as a server would.

use super::{World, WorldEvent};
use crate::config::MS;
use crate::disk::Crash;
use crate::fault::FaultKind;
use crate::node::Held;
use heckle_paxos::lease::{LeaseChange, LeaseEvent, LeaseMessage};
use heckle_paxos::{Action, Event, IoId, Message, NodeId, Record, TimerId};

impl World {
    pub(super) fn start_node(&mut self, node: usize) {
        if self.nodes[node].replica.is_none() {
            self.nodes[node].start(&mut self.out);
            self.carry_out(node);
        }
    }

    pub(super) fn on_peer(&mut self, from: usize, to: usize, message: Message) {
        let from = NodeId(u16::try_from(from + 1).expect("few nodes"));
        self.step(to, Event::Peer { from, message });
    }

    pub(super) fn on_peer_lease(&mut self, from: usize, to: usize, message: LeaseMessage) {
        let from = NodeId(u16::try_from(from + 1).expect("few nodes"));
        self.step(to, Event::PeerLease { from, message });
    }

    pub(super) fn on_timer(&mut self, node: usize, epoch: u32, id: TimerId) {
        if self.nodes[node].epoch == epoch {
            self.step(node, Event::Timer { id });
        }
    }

    /// Ends a disk sync. A stopped process is notified once it runs again.
    pub(super) fn on_disk_synced(&mut self, node: usize, epoch: u32) {
        let now_ns = self.now_ns;
        let this = &mut self.nodes[node];
        if this.epoch != epoch {
            return;
        }
        let Some((io_id, records, next)) = this.disk.synced(now_ns, &mut self.rngs.disks) else {
            return;
        };
        for record in &records {
            self.checker.durable(node, record);
        }
        if let (true, Some(replica)) = (this.disk.wants_snapshot(), &this.replica) {
            let snapshot: Vec<Record> = replica.snapshot().collect();
            for record in &snapshot {
                self.checker.durable(node, record);
            }
            this.disk.replace(snapshot);
        }
        if let Some(at_ns) = next {
            self.push(at_ns, WorldEvent::DiskSynced { node, epoch });
        }
        self.push(now_ns, WorldEvent::Persisted { node, epoch, io_id });
    }

    pub(super) fn on_persisted(&mut self, node: usize, epoch: u32, io_id: IoId) {
        let this = &mut self.nodes[node];
        if this.epoch != epoch || io_id <= this.durable {
            return;
        }
        this.durable = io_id;
        let held = std::mem::take(&mut this.held);
        for (after, what) in held {
            if after > io_id {
                self.nodes[node].held.push((after, what));
            } else {
                self.release(node, what);
            }
        }
        self.step(node, Event::Persisted { io_id });
    }

    pub(super) fn step(&mut self, node: usize, event: Event) {
        let this = &mut self.nodes[node];
        let Some(replica) = &mut this.replica else {
            return;
        };
        let (now, wall) = (this.clock.mono(self.now_ns), this.clock.wall(self.now_ns));
        replica.step(now, wall, event, &mut this.rng, &mut self.out);
        self.carry_out(node);
    }

    fn carry_out(&mut self, node: usize) {
        let mut out = std::mem::take(&mut self.out);
        let epoch = self.nodes[node].epoch;
        for action in out.drain() {
            match action {
                Action::Persist { io_id, records, sync } => {
                    for record in &records {
                        match record {
                            Record::Learned { key, row } => self.checker.learned(key, row),
                            Record::Chosen { key, ballot } => {
                                let replica = self.nodes[node].replica.as_ref();
                                let row = replica.and_then(|replica| replica.row(key)).filter(|row| row.learned == *ballot);
                                self.checker.learned(key, row.expect("it was learned in the step before"));
                            }
                            Record::Incarnation { .. }
                            | Record::LeaseLimits(_)
                            | Record::Promised { .. }
                            | Record::Accepted { .. }
                            | Record::Pruned { .. }
                            | Record::Floor { .. }
                            | Record::Put { .. }
                            | Record::State { .. } => {}
                        }
                    }
                    let this = &mut self.nodes[node];
                    let done = this.disk.append(io_id, records, sync, self.now_ns, &mut self.rngs.disks);
                    let early = this.answers_before_write();
                    if let Some(at_ns) = done {
                        self.push(at_ns, WorldEvent::DiskSynced { node, epoch });
                    }
                    if early {
                        self.push(self.now_ns, WorldEvent::Persisted { node, epoch, io_id });
                    }
                }
                Action::Send { to, message, after } => {
                    let to = usize::from(to.0) - 1;
                    self.hold_or_release(node, after, Held::Send(to, message));
                }
                Action::SendLease { to, message, after } => {
                    let to = usize::from(to.0) - 1;
                    self.hold_or_release(node, after, Held::SendLease(to, message));
                }
                Action::Lease(event) => self.on_lease(node, event),
                Action::Timer { id, at } => {
                    let at_ns = self.nodes[node].clock.when(at).max(self.now_ns);
                    self.push(at_ns, WorldEvent::Timer { node, epoch, id });
                }
                Action::Reply { token, outcome, diagnostics, after } => {
                    self.hold_or_release(node, after, Held::Reply(token.0, outcome, diagnostics));
                }
                Action::Point { .. } => {}
            }
        }
        self.out = out;
    }

    fn hold_or_release(&mut self, node: usize, after: Option<IoId>, what: Held) {
        match after {
            Some(after) if after > self.nodes[node].durable => self.nodes[node].held.push((after, what)),
            Some(_) | None => self.release(node, what),
        }
    }

    fn release(&mut self, node: usize, what: Held) {
        match what {
            Held::Send(to, message) => {
                let arrivals = self.net.send(node, to, &message.body, self.now_ns, &mut self.rngs.net);
                if let [_, Some(at_ns)] = arrivals {
                    self.push(at_ns, WorldEvent::Peer { from: node, to, message: message.clone() });
                }
                if let [Some(at_ns), _] = arrivals {
                    self.push(at_ns, WorldEvent::Peer { from: node, to, message });
                }
            }
            Held::SendLease(to, message) => {
                let arrivals = self.net.send_lease(node, to, self.now_ns, &mut self.rngs.net);
                for at_ns in arrivals.into_iter().flatten() {
                    self.push(at_ns, WorldEvent::PeerLease { from: node, to, message });
                }
            }
            Held::Reply(token, outcome, diagnostics) => {
                let at_ns = self.now_ns + self.client_delay();
                self.push(at_ns, WorldEvent::ClientAnswer { token, outcome, diagnostics });
            }
        }
    }

    /// Records a node's belief about its leases, in true time.
    fn on_lease(&mut self, node: usize, event: LeaseEvent) {
        match event.what {
            LeaseChange::Acquired | LeaseChange::Extended => {
                let until_ns = self.nodes[node].clock.when(event.until);
                self.checker.holds(node, event.range.0, until_ns);
            }
            LeaseChange::Ended(_) => self.checker.holds(node, event.range.0, self.now_ns),
        }
    }

    pub(super) fn on_fault_begins(&mut self, fault: usize) {
        let aimed = matches!(self.faults[fault].kind, FaultKind::IsolateHolder | FaultKind::KillOthers | FaultKind::LateHolder);
        if let Some(holder) = self.checker.holder_of(0).filter(|_| aimed) {
            self.faults[fault].node = holder;
        }
        let fault = self.faults[fault].clone();
        match fault.kind {
            FaultKind::Kill => self.crash_node(fault.node, Crash::ProcessKilled),
            FaultKind::PowerLoss => self.crash_node(fault.node, Crash::PowerLost),
            FaultKind::KillAll => (0..self.nodes.len()).for_each(|node| self.crash_node(node, Crash::ProcessKilled)),
            FaultKind::PowerLossAll => (0..self.nodes.len()).for_each(|node| self.crash_node(node, Crash::PowerLost)),
            FaultKind::Pause => {
                let until = &mut self.nodes[fault.node].paused_until_ns;
                *until = (*until).max(fault.end_ns);
            }
            FaultKind::KillOthers => {
                (0..self.nodes.len()).filter(|node| *node != fault.node).for_each(|node| self.crash_node(node, Crash::ProcessKilled))
            }
            FaultKind::Isolate | FaultKind::IsolateHolder | FaultKind::Split | FaultKind::OneWay => {
                for (from, to) in fault.cuts(self.nodes.len()) {
                    self.net.cut(from, to);
                }
            }
            FaultKind::LateHolder => {
                for (from, to, late_ns) in fault.late(self.nodes.len()) {
                    self.net.slow(from, to, late_ns);
                }
            }
            FaultKind::ClockJump => {
                let hour_us = 3_600_000_000;
                let jump_us = i64::try_from(fault.detail % (2 * hour_us + 1)).unwrap_or(0) - 3_600_000_000;
                self.nodes[fault.node].clock.offset_us += jump_us;
            }
        }
    }

    pub(super) fn on_fault_ends(&mut self, fault: usize) {
        let fault = self.faults[fault].clone();
        match fault.kind {
            FaultKind::Kill | FaultKind::PowerLoss => self.start_node(fault.node),
            FaultKind::KillAll | FaultKind::KillOthers | FaultKind::PowerLossAll => {
                (0..self.nodes.len()).for_each(|node| self.start_node(node))
            }
            FaultKind::LateHolder => {
                for (from, to, _) in fault.late(self.nodes.len()) {
                    self.net.slow(from, to, 0);
                }
            }
            // A paused process continues on its own, and the clock stays wrong.
            FaultKind::Pause | FaultKind::ClockJump => {}
            FaultKind::Isolate | FaultKind::IsolateHolder | FaultKind::Split | FaultKind::OneWay => {
                for (from, to) in fault.cuts(self.nodes.len()) {
                    self.net.restore(from, to);
                }
            }
        }
    }

    fn crash_node(&mut self, node: usize, crash: Crash) {
        if self.nodes[node].replica.is_none() {
            return;
        }
        self.checker.on_process_end(node);
        for record in self.nodes[node].crash(crash) {
            self.checker.durable(node, &record);
        }
        // The connections break, and clients notice soon afterwards.
        for client in 0..self.clients.len() {
            if let Some((_, token)) = self.clients[client].open
                && self.requests[token as usize].node == node
            {
                self.push(self.now_ns + MS, WorldEvent::ClientLost { token });
            }
        }
    }
}

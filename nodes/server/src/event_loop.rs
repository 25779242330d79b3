//! The thread that owns the core.
//!
//! In each turn, the loop takes all events that have accumulated (messages, requests, due timers, finished syncs),
//! steps the core with each, hands all their records to the disk as one batch, and sends everything that may leave,
//! with one write per connection. Everything (core, sockets, control channel) runs on one single-threaded tokio
//! runtime, and only the disk has its own thread. The reasons: a step takes a few microseconds, about as long as
//! handing it to another thread; several nodes usually share the cores of one machine; and without locks, the order
//! of events is easy to follow. To use many cores, a node would run several of these loops, each with its share of
//! the keys.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use heckle_paxos::{Action, Actions, Event, IoId, MonoTime, NodeId};

use crate::client_protocol::{Outcome as WireOutcome, Reason, Response};
use crate::gate::{Gate, Outgoing};
use crate::node::NodeError;
use crate::points::protocol::Stop;
use crate::shell::Shell;
use crate::storage::StorageError;
use crate::storage::snapshot::SnapshotBuilder;
use crate::timers::Alarm;
use crate::wire;

/// Maximum number of events taken in one turn before their results are sent.
const EVENTS_PER_TURN: usize = 512;

/// The state of the event loop.
pub(crate) struct EventLoop {
    shell: Rc<Shell>,
    actions: Actions,
    /// Actions of completed steps, to be carried out in order.
    queue: VecDeque<Action>,
    gate: Gate<Outgoing>,
    /// Receives the messages and replies that have passed the gate.
    exit: Box<dyn FnMut(Outgoing)>,
    alarm: Alarm,
    alarm_at: Option<MonoTime>,
}

impl EventLoop {
    /// Creates an event loop. `started` contains the actions emitted by the core's start.
    pub(crate) fn new(shell: Rc<Shell>, started: Actions) -> std::io::Result<EventLoop> {
        let sender = Rc::clone(&shell);
        EventLoop::with_exit(shell, started, Box::new(move |outgoing| sender.send_outgoing(outgoing)))
    }

    /// Creates an event loop whose messages and replies go to `exit` instead of the network.
    fn with_exit(shell: Rc<Shell>, started: Actions, exit: Box<dyn FnMut(Outgoing)>) -> std::io::Result<EventLoop> {
        Ok(EventLoop { shell, actions: started, queue: VecDeque::new(), gate: Gate::new(), exit, alarm: Alarm::new()?, alarm_at: None })
    }

    /// Runs until the node is asked to stop.
    pub(crate) async fn run(&mut self) -> Result<(), NodeError> {
        loop {
            self.turn().await?;
            if self.shell.stopper.is_stopping() {
                return Ok(());
            }
            // While the disk is behind, the end of its next sync wakes the loop.
            if self.shell.inbox.len() > 0 && !self.shell.disk.is_behind() {
                // Give connections a chance to be read before the next turn.
                tokio::task::yield_now().await;
                continue;
            }
            let shell = Rc::clone(&self.shell);
            tokio::select! {
                woken = self.wait() => woken?,
                () = shell.stopper.stop_requested() => {}
            }
        }
    }

    /// Waits for input, or until the core's next timer is due.
    async fn wait(&mut self) -> Result<(), NodeError> {
        self.set_alarm()?;
        let shell = Rc::clone(&self.shell);
        tokio::select! {
            () = shell.inbox.bell.notified() => {}
            rung = self.alarm.wait() => {
                rung.map_err(|cause| NodeError::Io { what: "timer", cause })?;
                self.alarm_at = None;
            }
        }
        Ok(())
    }

    /// Makes the core's first records durable before the node is ready. They are synced even if a planted bug reports
    /// them as durable earlier: other nodes must not see a process that is missing from its own log.
    pub(crate) async fn make_durable(&mut self) -> Result<(), NodeError> {
        loop {
            self.turn().await?;
            let are_durable = self.gate.durable() >= self.last_submitted() && self.shell.disk.synced() > 0;
            if self.actions.is_empty() && self.queue.is_empty() && are_durable {
                return Ok(());
            }
            self.shell.inbox.bell.notified().await;
        }
    }

    fn last_submitted(&self) -> IoId {
        IoId(self.shell.replica.borrow().counters().batches)
    }

    /// Keeps running for a while so that open operations can finish, and then gives up on the rest.
    pub(crate) async fn wind_down(&mut self, grace: Duration) -> Result<(), NodeError> {
        let deadline = tokio::time::Instant::now() + grace;
        // Other nodes should not have to wait for the leases of a stopping node.
        self.step(Event::Stopping);
        self.turn().await?;
        // Lease watchers get the last changes before the node ends.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        while !self.shell.open_ops.borrow().is_empty() && tokio::time::Instant::now() < deadline {
            self.turn().await?;
            if let Ok(woken) = tokio::time::timeout_at(deadline, self.wait()).await {
                woken?;
            }
        }
        // Operations that are still open may have been proposed already.
        let left: Vec<u64> = self.shell.open_ops.borrow().keys().copied().collect();
        for open in left.into_iter().filter_map(|token| self.shell.take_op(token)) {
            let outcome = WireOutcome::Unknown { why: Reason::Stopping };
            let response = Response { op: open.op, outcome, diagnostics: crate::client_protocol::Diagnostics::default() };
            self.shell.answer(&open, response);
        }
        self.shell.flush_all();
        Ok(())
    }

    async fn turn(&mut self) -> Result<(), NodeError> {
        self.shell.counts.turns.set(self.shell.counts.turns.get() + 1);
        self.take_finished_syncs()?;
        self.shell.check_standing().await?;
        self.step_due_timers();
        let mut taken = 0;
        while taken < EVENTS_PER_TURN && !self.shell.disk.is_behind() {
            let Some(event) = self.shell.inbox.pop() else { break };
            match event {
                Event::Peer { from, .. } | Event::PeerLease { from, .. } => self.step_peer(from, event),
                event => self.step(event),
            }
            taken += 1;
        }
        self.carry_out_actions().await?;
        self.shell.flush_all();
        self.maybe_snapshot();
        Ok(())
    }

    fn step(&mut self, event: Event) {
        let shell = &self.shell;
        let (now, wall) = {
            let clock = shell.clock.borrow();
            (clock.mono(), clock.wall())
        };
        shell.replica.borrow_mut().step(now, wall, event, &mut *shell.rng.borrow_mut(), &mut self.actions);
    }

    /// Steps the core with a message from another node. If no correct node could have sent it, the connection is
    /// closed.
    fn step_peer(&mut self, from: NodeId, event: Event) {
        let refused = |shell: &Shell| shell.replica.borrow().counters().messages_refused;
        let before = refused(&self.shell);
        self.step(event);
        if refused(&self.shell) > before
            && let Some(link) = self.shell.peers.link(from.0)
        {
            link.drop_inbound();
        }
    }

    fn take_finished_syncs(&mut self) -> Result<(), NodeError> {
        if self.shell.disk.has_failed() {
            let failure = self.shell.disk.take_failure().expect("it is taken once, here");
            return Err(NodeError::Storage(failure));
        }
        let durable = self.shell.disk.durable();
        if durable > self.gate.durable() {
            self.step(Event::Persisted { io_id: durable });
            for outgoing in self.gate.synced(durable) {
                (self.exit)(outgoing);
            }
        }
        Ok(())
    }

    fn step_due_timers(&mut self) {
        let now = self.shell.clock.borrow().mono();
        loop {
            let due = self.shell.timers.borrow_mut().pop_due(now);
            match due {
                Some(id) => self.step(Event::Timer { id }),
                None => return,
            }
        }
    }

    /// Carries out the core's actions, in order. Pauses at an armed point, after sending everything that precedes it.
    async fn carry_out_actions(&mut self) -> Result<(), NodeError> {
        self.queue.extend(self.actions.drain());
        while let Some(action) = self.queue.pop_front() {
            match action {
                Action::Persist { io_id, records, sync } => {
                    let seen = self.shell.witness.borrow_mut().take_unsaved();
                    self.shell.disk.submit(io_id, sync, |batch| {
                        for record in &records {
                            batch.add(|out| wire::record::encode_record(record, out));
                        }
                        for (node, seen) in seen {
                            batch.add(|out| wire::record::encode_seen(node, seen, out));
                        }
                    });
                }
                Action::Send { to, message, after } => self.send_when_durable(after, Outgoing::Send { to, message }),
                Action::Reply { token, outcome, diagnostics, after } => {
                    self.send_when_durable(after, Outgoing::Reply { token, outcome, diagnostics });
                }
                Action::SendLease { to, message, after } => self.send_when_durable(after, Outgoing::SendLease { to, message }),
                Action::Lease(event) => self.shell.lease_changed(&event),
                Action::Timer { id, at } => {
                    let now = self.shell.clock.borrow().mono();
                    self.shell.timers.borrow_mut().add(now, at, id);
                }
                Action::Point { point, key, op, ballot } => {
                    let shell = Rc::clone(&self.shell);
                    if let Some(stop) = shell.points.on_reached(&shell.name, point, &key, op, ballot) {
                        shell.flush_all();
                        match stop {
                            Stop::Hold(longest) => shell.points.hold(longest).await,
                            Stop::Crash => return Err(StorageError::Crash { name: point.name() }.into()),
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends `outgoing` now, or once the batch `after` is durable.
    fn send_when_durable(&mut self, after: Option<IoId>, outgoing: Outgoing) {
        if let Some(outgoing) = self.gate.pass(after, outgoing) {
            (self.exit)(outgoing);
        }
    }

    fn set_alarm(&mut self) -> Result<(), NodeError> {
        let next = self.shell.timers.borrow().next_at();
        let Some(at) = next else { return Ok(()) };
        let changed = self.shell.clock_changed.replace(false);
        // An alarm that fires too early costs only one empty turn, so the alarm is only ever moved to an earlier
        // time.
        if changed || self.alarm_at.is_none_or(|set| at < set) {
            let wait = self.shell.clock.borrow().real_ns_until(at);
            if let Some(wait_ns) = wait {
                self.alarm.set(wait_ns).map_err(|cause| NodeError::Io { what: "timer", cause })?;
                self.alarm_at = Some(at);
            }
        }
        Ok(())
    }

    /// Every record handed out so far has been submitted by now, so the core's state is exactly what the log will
    /// hold at this position.
    fn maybe_snapshot(&self) {
        let shell = &self.shell;
        if shell.disk.wants_snapshot(shell.options.storage.segments_before_snapshot) {
            let mut builder = SnapshotBuilder::new();
            for record in shell.replica.borrow().snapshot() {
                builder.add(|out| wire::record::encode_record(&record, out));
            }
            for (node, seen) in shell.witness.borrow().records() {
                builder.add(|out| wire::record::encode_seen(node, seen, out));
            }
            shell.log.info("snapshot_begins", &[("bytes", &builder.bytes())]);
            shell.disk.begin_snapshot(builder);
        }
    }
}

#[cfg(test)]
mod gate_tests;

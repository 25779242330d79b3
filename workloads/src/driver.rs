//! The client driver: decides which client sends which op, as which process, to which node, and when.
//!
//! The driver is pure: the time and all events are inputs, and its decisions are returned as actions. The load on real
//! processes and the simulator therefore share one driver, and the same inputs at the same times give the same actions.
//!
//! A client is a connection. It has as many processes as it has concurrent operations. An operation of unknown outcome
//! retires its process, since it may still take effect while the client continues. In the open loop, clients take
//! arrivals in turn, and arrivals beyond the limit on open operations wait in a queue. In the closed loop, each client
//! starts its next intent when the previous one has ended.

use crate::pacing::{ClosedLoop, Pace};
use crate::workload::{Next, OpRequest, OpResult, Workload};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{ClientId, Nanos, OpId, ProcessId};
use rand::RngExt;
use std::collections::{BTreeMap, VecDeque};

/// Settings of a driver.
#[derive(Debug, Clone, Copy)]
pub struct DriverSettings {
    /// Number of clients.
    pub clients: u32,
    /// Number of nodes.
    pub nodes: u16,
    /// How the node of an operation is chosen.
    pub routing: Routing,
    /// Maximum number of open operations. An intent that waits for its next attempt also counts.
    pub max_in_flight: u32,
    /// How arrivals are distributed in time.
    pub pace: Pace,
    /// End of the load; no attempt starts at or after this time.
    pub until: Nanos,
}

/// How the node of an operation is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// Client i uses node i mod n.
    Pinned,
    /// A random node for each operation.
    Random,
    /// The node that holds the key, if the caller knows it.
    Holder,
}

/// An input to the driver.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Closed loop: every client starts an intent, and another one whenever it has finished one.
    Loop(ClosedLoop),
    /// Open loop: an arrival was due at the given time.
    Arrival(Nanos),
    /// A timer requested by [`Action::Wake`] has expired.
    Timer(Timer),
    /// An operation has completed from the client's point of view.
    Completed(OpId, OpResult),
    /// No further attempts start. Open operations still complete.
    Stop,
}

/// The purpose of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The client of the closed loop starts a new intent.
    Client(u32),
    /// The next attempt after this operation starts.
    Attempt(OpId),
}

/// An action for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send an operation. Report its completion as [`Input::Completed`] with its id.
    Send(Send),
    /// Pass [`Input::Timer`] to the driver at the given time.
    Wake(Nanos, Timer),
}

/// An operation to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Send {
    /// Id of the operation, unique in a run.
    pub op: OpId,
    /// The process that sends it.
    pub process: ProcessId,
    /// The connection to use.
    pub client: ClientId,
    /// The call.
    pub ask: OpRequest,
    /// When the operation was due, in the open loop. Latency is measured from this time.
    pub due: Option<Nanos>,
    /// Index of the destination node.
    pub node: u16,
    /// Whether to prefer the node that holds the key over `node`.
    pub to_holder: bool,
}

/// The state of an intent, over one or several operations.
#[derive(Debug, Clone, Copy)]
struct IntentState {
    client: u32,
    /// `None` after an unknown outcome.
    process: Option<ProcessId>,
    ask: OpRequest,
    due: Option<Nanos>,
}

/// The client driver; see the module documentation.
pub struct Driver {
    workload: Box<dyn Workload>,
    settings: DriverSettings,
    rng: Pcg64,
    /// Per client, the processes without an open operation.
    idle: Vec<Vec<ProcessId>>,
    /// Arrivals that wait because the limit on open operations is reached.
    backlog: VecDeque<Nanos>,
    open: BTreeMap<OpId, IntentState>,
    /// Intents that wait for the start time of their next attempt, by the previous operation.
    waiting: BTreeMap<OpId, IntentState>,
    next_op: u64,
    next_process: u32,
    next_client: u32,
    /// Present in the closed loop, where each client starts its next intent itself.
    closed_loop: Option<ClosedLoop>,
    stopped: bool,
}

impl Driver {
    /// Creates a driver, which draws from its own stream of `seed`.
    pub fn new(workload: Box<dyn Workload>, settings: DriverSettings, seed: Seed) -> Self {
        Driver {
            workload,
            settings,
            rng: seed.stream("route"),
            idle: vec![vec![]; settings.clients as usize],
            backlog: VecDeque::new(),
            open: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next_op: 0,
            next_process: 0,
            next_client: 0,
            closed_loop: None,
            stopped: false,
        }
    }

    /// Processes an input at time `now` and appends the resulting actions to `actions`. Time must not go backwards.
    pub fn step(&mut self, now: Nanos, input: Input, actions: &mut Vec<Action>) {
        match input {
            Input::Loop(closed_loop) => {
                self.closed_loop = Some(closed_loop);
                (0..self.settings.clients).for_each(|client| self.start_from(now, now, client, actions));
            }
            Input::Arrival(due) => {
                self.backlog.push_back(due);
                self.fill(now, actions);
            }
            Input::Timer(Timer::Client(client)) => {
                // The period is not applied again: the timer may fire slightly late and would then miss one period after
                // another.
                match self.closed_loop.as_ref().and_then(|l| l.next(client, now)) {
                    _ if self.is_over(now) => {}
                    Some(at) if at > now => actions.push(Action::Wake(at, Timer::Client(client))),
                    Some(_) => self.start(now, client, None, actions),
                    None => {}
                }
            }
            Input::Timer(Timer::Attempt(before)) => {
                if let Some(turn) = self.waiting.remove(&before) {
                    self.retry_or_end(now, turn, actions);
                }
            }
            Input::Completed(op, result) => self.completed(now, op, result, actions),
            Input::Stop => self.stopped = true,
        }
    }

    /// Returns the number of open operations and of intents that wait for their next attempt.
    pub fn in_flight(&self) -> usize {
        self.open.len() + self.waiting.len()
    }

    /// Drops all queued arrivals and returns their number.
    pub fn drop_backlog(&mut self) -> u64 {
        std::mem::take(&mut self.backlog).len() as u64
    }

    /// Returns the number of operation ids and process ids used so far.
    pub fn used(&self) -> (u64, u32) {
        (self.next_op, self.next_process)
    }

    /// Returns whether no more attempts may start.
    fn is_over(&self, now: Nanos) -> bool {
        self.stopped || now >= self.settings.until
    }

    /// Starts queued arrivals up to the limit of open operations.
    fn fill(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        while self.in_flight() < self.settings.max_in_flight as usize {
            let Some(due) = self.backlog.pop_front() else { return };
            let client = self.next_client;
            self.next_client = (client + 1) % self.settings.clients;
            self.start(now, client, Some(due), actions);
        }
    }

    /// Closed loop: starts the client at `from`, at the next period if the workload has periods, or when the client is next
    /// active.
    fn start_from(&mut self, now: Nanos, from: Nanos, client: u32, actions: &mut Vec<Action>) {
        let at = self.settings.pace.next(from);
        match self.closed_loop.as_ref().and_then(|l| l.next(client, at)) {
            Some(at) if at > now => actions.push(Action::Wake(at, Timer::Client(client))),
            Some(_) => self.start(now, client, None, actions),
            None => {}
        }
    }

    fn start(&mut self, now: Nanos, client: u32, due: Option<Nanos>, actions: &mut Vec<Action>) {
        let ask = self.workload.begin(client, now);
        let process = self.idle[client as usize].pop().unwrap_or_else(|| {
            self.next_process += 1;
            ProcessId(self.next_process - 1)
        });
        self.send(IntentState { client, process: Some(process), ask, due }, process, actions);
    }

    fn send(&mut self, turn: IntentState, process: ProcessId, actions: &mut Vec<Action>) {
        let op = OpId(self.next_op);
        self.next_op += 1;
        let DriverSettings { nodes, routing, .. } = self.settings;
        let node = match routing {
            Routing::Pinned | Routing::Holder => (turn.client % u32::from(nodes)) as u16,
            Routing::Random => self.rng.random_range(0..nodes),
        };
        let (client, to_holder) = (ClientId(turn.client), routing == Routing::Holder);
        actions.push(Action::Send(Send { op, process, client, ask: turn.ask, due: turn.due, node, to_holder }));
        self.open.insert(op, turn);
    }

    fn completed(&mut self, now: Nanos, op: OpId, result: OpResult, actions: &mut Vec<Action>) {
        // An operation completes once; any further answer is ignored.
        let Some(mut turn) = self.open.remove(&op) else { return };
        if result == OpResult::Unknown {
            turn.process = None;
        }
        match self.workload.on_result(turn.client, &turn.ask, result, now) {
            Next::Again { pause, ask } => {
                turn.ask = ask;
                if pause > Nanos(0) {
                    self.waiting.insert(op, turn);
                    actions.push(Action::Wake(Nanos(now.0.saturating_add(pause.0)), Timer::Attempt(op)));
                } else {
                    self.retry_or_end(now, turn, actions);
                }
            }
            Next::Over => self.end(now, turn, actions),
        }
    }

    /// Starts another attempt of an intent with the same process, or ends the intent if no attempt may follow.
    fn retry_or_end(&mut self, now: Nanos, turn: IntentState, actions: &mut Vec<Action>) {
        match turn.process {
            Some(process) if !self.is_over(now) => self.send(IntentState { due: turn.due.map(|_| now), ..turn }, process, actions),
            // After an unknown outcome, another attempt could apply the change twice.
            Some(_) | None => self.end(now, turn, actions),
        }
    }

    fn end(&mut self, now: Nanos, turn: IntentState, actions: &mut Vec<Action>) {
        self.idle[turn.client as usize].extend(turn.process);
        match self.closed_loop.as_ref().map(|l| l.think) {
            None => self.fill(now, actions),
            Some(_) if self.is_over(now) => {}
            Some(think) => self.start_from(now, Nanos(now.0.saturating_add(think.0)), turn.client, actions),
        }
    }
}

#[cfg(test)]
mod tests;

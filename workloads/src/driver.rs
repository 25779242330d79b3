//! The client driver: which client sends what, as which process, to which node, and when.
//!
//! It is pure: the time and all events are inputs, and its decisions are returned as actions. The load on real
//! processes and the simulator therefore share one driver, and the same inputs at the same times give the same actions.
//!
//! A client is a connection; it has as many processes as it has concurrent operations. An operation of unknown
//! outcome retires its process, since it may still take effect while the client goes on. In the open loop clients take
//! arrivals in turn, and arrivals beyond the bound on open operations wait in a queue. In the closed loop each client
//! starts its next intent when the previous one has ended.

use crate::pacing::Pace;
use crate::workload::{Next, OpRequest, OpResult, Workload};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{ClientId, Nanos, OpId, ProcessId};
use rand::RngExt;
use std::collections::{BTreeMap, VecDeque};

/// The settings of a driver.
#[derive(Debug, Clone, Copy)]
pub struct DriverSettings {
    /// Clients.
    pub clients: u32,
    /// Nodes.
    pub nodes: u16,
    /// How the node for a client is chosen.
    pub routing: Routing,
    /// Maximum number of open operations. An intent also counts while it waits for its next attempt.
    pub max_in_flight: u32,
    /// How arrivals are distributed in time.
    pub pace: Pace,
    /// When the load ends; no attempt starts after it.
    pub until: Nanos,
}

/// How the node for a client is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// Client i to node i mod n.
    Pinned,
    /// A node drawn for each operation.
    Random,
    /// The node that holds the key, if the caller knows it.
    Holder,
}

/// An input of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The closed loop starts: every client starts an intent, and another one whenever it has finished.
    Loop,
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
    /// A client of the closed loop starts a new intent.
    Client(u32),
    /// The next attempt after this operation starts.
    Attempt(OpId),
}

/// An action for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send an operation. Report its completion as [`Input::Completed`] with its id.
    Send(Send),
    /// Pass [`Input::Timer`] at the given time.
    Wake(Nanos, Timer),
}

/// An operation to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Send {
    /// Its id, unique in a run.
    pub op: OpId,
    /// The process that sends it.
    pub process: ProcessId,
    /// The connection to use.
    pub client: ClientId,
    /// The call.
    pub ask: OpRequest,
    /// When it was due, in the open loop; latency counts from then.
    pub due: Option<Nanos>,
    /// Index of the node to send it to.
    pub node: u16,
    /// Whether to prefer the node that holds the key over `node`.
    pub to_holder: bool,
}

/// What a client wants, over one or several operations.
#[derive(Debug, Clone, Copy)]
struct Turn {
    client: u32,
    /// `None` after an unknown outcome.
    process: Option<ProcessId>,
    ask: OpRequest,
    due: Option<Nanos>,
}

/// See the module.
pub struct Driver {
    workload: Box<dyn Workload>,
    settings: DriverSettings,
    rng: Pcg64,
    /// Per client: processes without an open operation.
    idle: Vec<Vec<ProcessId>>,
    /// Arrivals that wait because the limit of open operations is reached.
    backlog: VecDeque<Nanos>,
    open: BTreeMap<OpId, Turn>,
    /// Attempts that wait for their start time, by the previous operation.
    waiting: BTreeMap<OpId, Turn>,
    next_op: u64,
    next_process: u32,
    next_client: u32,
    closed_loop: bool,
    stopped: bool,
}

impl Driver {
    /// Creates a driver. It draws from its own stream of `seed`.
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
            closed_loop: false,
            stopped: false,
        }
    }

    /// Processes an input at time `now` and appends the resulting actions to `actions`. Time must not go backwards.
    pub fn step(&mut self, now: Nanos, input: Input, actions: &mut Vec<Action>) {
        match input {
            Input::Loop => {
                self.closed_loop = true;
                (0..self.settings.clients).for_each(|client| self.start_at_period(now, client, actions));
            }
            Input::Arrival(due) => {
                self.backlog.push_back(due);
                self.fill(now, actions);
            }
            Input::Timer(Timer::Client(client)) => {
                if !self.is_over(now) {
                    self.start(now, client, None, actions);
                }
            }
            Input::Timer(Timer::Attempt(before)) => {
                if let Some(turn) = self.waiting.remove(&before) {
                    self.attempt(now, turn, actions);
                }
            }
            Input::Completed(op, told) => self.completed(now, op, told, actions),
            Input::Stop => self.stopped = true,
        }
    }

    /// Number of open operations and intents.
    pub fn in_flight(&self) -> usize {
        self.open.len() + self.waiting.len()
    }

    /// Drops all queued arrivals and returns their number.
    pub fn drop_backlog(&mut self) -> u64 {
        std::mem::take(&mut self.backlog).len() as u64
    }

    /// Number of operation ids and process ids in use so far.
    pub fn used(&self) -> (u64, u32) {
        (self.next_op, self.next_process)
    }

    /// Stops starting attempts.
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

    /// In the closed loop the client starts immediately, or at the next period if the workload has one.
    fn start_at_period(&mut self, now: Nanos, client: u32, actions: &mut Vec<Action>) {
        match self.settings.pace.next(now) {
            at if at > now => actions.push(Action::Wake(at, Timer::Client(client))),
            _ => self.start(now, client, None, actions),
        }
    }

    fn start(&mut self, now: Nanos, client: u32, due: Option<Nanos>, actions: &mut Vec<Action>) {
        let ask = self.workload.begin(client, now);
        let process = self.idle[client as usize].pop().unwrap_or_else(|| {
            self.next_process += 1;
            ProcessId(self.next_process - 1)
        });
        self.send(Turn { client, process: Some(process), ask, due }, process, actions);
    }

    fn send(&mut self, turn: Turn, process: ProcessId, actions: &mut Vec<Action>) {
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

    fn completed(&mut self, now: Nanos, op: OpId, told: OpResult, actions: &mut Vec<Action>) {
        // An operation completes once; a second answer is ignored.
        let Some(mut turn) = self.open.remove(&op) else { return };
        if told == OpResult::Unknown {
            turn.process = None;
        }
        match self.workload.on_result(turn.client, &turn.ask, told, now) {
            Next::Again { pause, ask } => {
                turn.ask = ask;
                if pause > Nanos(0) {
                    self.waiting.insert(op, turn);
                    actions.push(Action::Wake(Nanos(now.0.saturating_add(pause.0)), Timer::Attempt(op)));
                } else {
                    self.attempt(now, turn, actions);
                }
            }
            Next::Over => self.end(now, turn, actions),
        }
    }

    /// Starts a later attempt of an intent, with the process of the first attempt.
    fn attempt(&mut self, now: Nanos, turn: Turn, actions: &mut Vec<Action>) {
        match turn.process {
            Some(process) if !self.is_over(now) => self.send(Turn { due: turn.due.map(|_| now), ..turn }, process, actions),
            // After an unknown outcome another attempt could apply the change twice.
            Some(_) | None => self.end(now, turn, actions),
        }
    }

    fn end(&mut self, now: Nanos, turn: Turn, actions: &mut Vec<Action>) {
        self.idle[turn.client as usize].extend(turn.process);
        if self.closed_loop {
            if !self.is_over(now) {
                self.start_at_period(now, turn.client, actions);
            }
        } else {
            self.fill(now, actions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::{Call, Path, Value};

    /// A workload that always writes, and retries a refused write after a pause.
    struct Writes {
        value: i64,
        pause: Nanos,
    }

    impl Writes {
        fn ask(&mut self) -> OpRequest {
            self.value += 1;
            let call = Call::Write { new: Value(self.value) };
            OpRequest { intent: None, attempt: None, key: 0, call, path: Path::Consensus, payload: None, expected_payload: None }
        }
    }

    impl Workload for Writes {
        fn begin(&mut self, _: u32, _: Nanos) -> OpRequest {
            self.ask()
        }

        fn on_result(&mut self, _: u32, _: &OpRequest, told: OpResult, _: Nanos) -> Next {
            if told == OpResult::Refused { Next::Again { pause: self.pause, ask: self.ask() } } else { Next::Over }
        }
    }

    struct Rig {
        driver: Driver,
        actions: Vec<Action>,
    }

    impl Rig {
        fn new(settings: DriverSettings) -> Rig {
            Rig { driver: Driver::new(Box::new(Writes { value: 0, pause: Nanos(5) }), settings, Seed(1)), actions: vec![] }
        }

        fn step(&mut self, now: u64, input: Input) -> Vec<Action> {
            self.driver.step(Nanos(now), input, &mut self.actions);
            std::mem::take(&mut self.actions)
        }

        /// Returns the operations that the driver sends for this input.
        fn sends(&mut self, now: u64, input: Input) -> Vec<Send> {
            let sends = |action| if let Action::Send(send) = action { Some(send) } else { None };
            self.step(now, input).into_iter().filter_map(sends).collect()
        }
    }

    fn settings() -> DriverSettings {
        DriverSettings { clients: 2, nodes: 3, routing: Routing::Pinned, max_in_flight: 8, pace: Pace::Even, until: Nanos(1_000) }
    }

    #[test]
    fn arrivals_beyond_the_bound_wait_and_keep_the_time_they_were_due() {
        let mut rig = Rig::new(DriverSettings { max_in_flight: 1, ..settings() });
        let first = rig.sends(10, Input::Arrival(Nanos(9)));
        assert_eq!((first.len(), first[0].client, first[0].due, first[0].node), (1, ClientId(0), Some(Nanos(9)), 0));
        assert!(rig.sends(20, Input::Arrival(Nanos(19))).is_empty() && rig.sends(30, Input::Arrival(Nanos(29))).is_empty());
        let next = rig.sends(40, Input::Completed(first[0].op, OpResult::Done));
        assert_eq!((next.len(), next[0].client, next[0].due), (1, ClientId(1), Some(Nanos(19))));
        assert_eq!((rig.driver.in_flight(), rig.driver.drop_backlog(), rig.driver.drop_backlog()), (1, 1, 0));
        assert!(rig.sends(50, Input::Completed(first[0].op, OpResult::Done)).is_empty(), "a second answer says nothing new");
        assert_eq!(rig.driver.in_flight(), 1);
    }

    #[test]
    fn an_unknown_outcome_retires_the_process_and_ends_the_intent() {
        let mut rig = Rig::new(settings());
        let process = |rig: &mut Rig, now, told| {
            let send = rig.sends(now, Input::Arrival(Nanos(now)))[0];
            rig.step(now, Input::Completed(send.op, told));
            // This arrival goes to the other client, so that the next one goes to this client again.
            let other = rig.sends(now, Input::Arrival(Nanos(now)))[0];
            rig.step(now, Input::Completed(other.op, OpResult::Done));
            send.process
        };
        let first = process(&mut rig, 1, OpResult::Failed);
        assert_eq!(process(&mut rig, 2, OpResult::Unknown), first, "a failed operation leaves its process");
        assert_ne!(process(&mut rig, 3, OpResult::Done), first, "an unknown one does not");
        assert_eq!(rig.driver.used(), (6, 3));
    }

    #[test]
    fn a_later_attempt_waits_and_is_due_when_it_begins() {
        let mut rig = Rig::new(settings());
        let send = rig.sends(10, Input::Arrival(Nanos(4)))[0];
        let timer = Timer::Attempt(send.op);
        assert_eq!(rig.step(20, Input::Completed(send.op, OpResult::Refused)), [Action::Wake(Nanos(25), timer)]);
        assert_eq!(rig.driver.in_flight(), 1, "an intent that waits is open");
        let again = rig.sends(26, Input::Timer(timer))[0];
        assert_eq!((again.process, again.due), (send.process, Some(Nanos(26))));
        assert!(rig.step(27, Input::Timer(timer)).is_empty(), "a timer counts once");
        rig.step(30, Input::Completed(again.op, OpResult::Refused));
        assert!(rig.step(1_000, Input::Timer(Timer::Attempt(again.op))).is_empty(), "nothing begins after the end");
        assert_eq!(rig.driver.in_flight(), 0);
    }

    #[test]
    fn the_closed_loop_goes_on_until_the_end_or_a_stop() {
        for stop in [false, true] {
            let mut rig = Rig::new(settings());
            let begun = rig.sends(0, Input::Loop);
            assert_eq!(begun.len(), 2);
            let next = rig.sends(10, Input::Completed(begun[1].op, OpResult::Done));
            assert_eq!((next.len(), next[0].client, next[0].due, next[0].node), (1, ClientId(1), None, 1));
            let end = if stop {
                rig.step(20, Input::Stop);
                21
            } else {
                1_000
            };
            assert!(rig.step(end, Input::Completed(next[0].op, OpResult::Done)).is_empty());
            assert_eq!(rig.driver.in_flight(), 1, "what is open still completes");
        }
    }

    #[test]
    fn bells_ring_for_the_closed_loop_too() {
        let mut rig = Rig::new(DriverSettings { pace: Pace::Bursts { every: Nanos(100) }, ..settings() });
        let wake = |client| Action::Wake(Nanos(100), Timer::Client(client));
        assert_eq!(rig.step(1, Input::Loop), [wake(0), wake(1)]);
        assert_eq!(rig.sends(100, Input::Timer(Timer::Client(1)))[0].client, ClientId(1));
    }

    #[test]
    fn random_routing_is_drawn_from_the_seed() {
        let nodes = |seed| {
            let settings = DriverSettings { routing: Routing::Random, max_in_flight: 100, ..settings() };
            let mut driver = Driver::new(Box::new(Writes { value: 0, pause: Nanos(0) }), settings, Seed(seed));
            let mut actions = vec![];
            (0..50).for_each(|i| driver.step(Nanos(i), Input::Arrival(Nanos(i)), &mut actions));
            actions.iter().map(|a| if let Action::Send(send) = a { send.node } else { 9 }).collect::<Vec<_>>()
        };
        assert_eq!(nodes(1), nodes(1));
        assert_ne!(nodes(1), nodes(2));
        assert!((0..3).all(|node| nodes(1).contains(&node)));
    }
}

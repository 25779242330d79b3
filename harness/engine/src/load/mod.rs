//! Sends the load: each op at its time, each answer as it comes, everything recorded.
//!
//! Open loop: a thread that sleeps precisely announces arrivals; ops that find no free place wait in one arrival
//! queue and count their latency from when they were due. Closed loop: every client sends its next op when the
//! last is answered. What arrives is an intent where the workload has intents; its later attempts follow its first, by
//! the same process, until the workload says it is over or the load window ends.

pub mod fates;
pub mod final_reads;
pub mod live;
pub mod phase;

use crate::clock::RunClock;
use crate::plan::units::Rate;
use crate::plan::{Plan, Route};
use crate::recorder::Recorder;
use crate::stop::Stop;
use fates::{Fates, Open};
use heckle_history::prng::Pcg64;
use heckle_history::{ClientId, Completion, Event, Invoke, Names, Nanos, NodeIx, OpId, ProcessId};
use heckle_system_api::capability::Watch;
use heckle_system_api::connection::{Connection, Op, Outcome, Reply};
use heckle_system_api::identity::Target;
use heckle_workloads::pacing::{Arrivals, Pace};
use heckle_workloads::retry::Settings;
use heckle_workloads::workload::{self, Next, Told, Workload};
use live::Live;
use rand::RngExt;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Announced arrivals that the dispatcher has not looked at yet.
const ARRIVAL_QUEUE: usize = 65_536;
/// How long after the op timeout the last op may take to be recorded.
const DRAIN_GRACE: Duration = Duration::from_secs(2);
/// The longest piece in which the pacing thread sleeps without looking for a stop.
const NAP: Nanos = Nanos::from_ms(50);

/// What all who send ops need.
#[derive(Clone)]
pub struct LoadContext {
    /// The run's clock.
    pub clock: RunClock,
    /// Where events go.
    pub recorder: Recorder,
    /// Keys and nodes.
    pub names: Arc<Names>,
    /// Whether to stop.
    pub stop: Stop,
    /// Figures for the terminal.
    pub live: Arc<Live>,
    /// Where clients reach each node, and who must answer there.
    pub nodes: Arc<[Target]>,
    /// Which node serves which keys, if the system reports it.
    pub watch: Option<Arc<dyn Watch>>,
    /// Where the first client does, if it is far away.
    pub far: Option<Arc<[Target]>>,
}

/// Ids that no later op or process may use again.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Ops sent.
    pub ops: u64,
    /// Processes opened.
    pub processes: u32,
    /// Arrivals that were due before the load ended and were never sent, since there was no room.
    pub unsent: u64,
}

/// Sends the plan's load from now to the end of its window. Gives what was used, and the ops of unknown outcome whose
/// fate is still to be asked for.
///
/// # Errors
/// If the machine cannot give what that takes.
pub fn run(plan: &Plan, outside: &LoadContext) -> Result<(Used, Vec<Open>), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("cannot start the client runtime: {e}"))?;
    let local = tokio::task::LocalSet::new();
    let dispatch = Rc::new(RefCell::new(Dispatch::new(plan, outside.clone())));
    let used = local.block_on(&runtime, async {
        match plan.rate {
            Rate::PerSecond(rate) => open_loop(plan, rate, &dispatch, outside).await?,
            Rate::Max => closed_loop(plan, &dispatch, outside).await,
        }
        let unsent = drain(plan, &dispatch).await;
        let d = dispatch.borrow();
        Ok::<_, String>((Used { ops: d.next_op, processes: d.next_process, unsent }, d.fates.rest()))
    });
    // Connection tasks hold the sockets: dropping the set closes them before the final reads begin.
    drop(local);
    used
}

async fn open_loop(plan: &Plan, rate: f64, dispatch: &Rc<RefCell<Dispatch>>, outside: &LoadContext) -> Result<(), String> {
    let (send, mut due) = tokio::sync::mpsc::channel::<Nanos>(ARRIVAL_QUEUE);
    let (clock, stop, end) = (outside.clock, outside.stop.clone(), plan.window().1);
    let base = clock.now();
    let pace = plan.workload.pace;
    let arrivals = Arrivals::new(rate, end, plan.seed.stream("arrivals")).map(move |at| pace.due(at));
    let pacer = std::thread::Builder::new().name("pacer".into()).spawn(move || {
        // The cluster took its time to start; what was due before now is not sent in a burst.
        for at in arrivals.skip_while(|at| *at < base) {
            while clock.now() < at && !stop.asked() {
                clock.sleep_until(Nanos(at.0.min(clock.now().0 + NAP.0)));
            }
            if stop.asked() || send.blocking_send(at).is_err() {
                break;
            }
        }
    });
    let pacer = pacer.map_err(|e| format!("cannot start the pacing thread: {e}"))?;
    while let Some(intended) = due.recv().await {
        dispatch.borrow_mut().backlog.push_back(intended);
        Dispatch::fill(dispatch);
    }
    pacer.join().map_err(|_| "the pacing thread panicked".to_owned())
}

async fn closed_loop(plan: &Plan, dispatch: &Rc<RefCell<Dispatch>>, outside: &LoadContext) {
    dispatch.borrow_mut().looping = Looping::Closed;
    for client in 0..plan.clients {
        Dispatch::start_when_free(dispatch, client);
    }
    while outside.clock.now() < plan.window().1 && !outside.stop.asked() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    dispatch.borrow_mut().looping = Looping::Open;
}

/// Waits for what is under way. Gives the number of arrivals that were still waiting for room, which are dropped.
async fn drain(plan: &Plan, dispatch: &Rc<RefCell<Dispatch>>) -> u64 {
    let unsent = std::mem::take(&mut dispatch.borrow_mut().backlog).len() as u64;
    let deadline = tokio::time::Instant::now() + plan.op_timeout.0 + DRAIN_GRACE;
    while dispatch.borrow().in_flight > 0 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    unsent
}

struct Dispatch {
    outside: LoadContext,
    workload: Box<dyn Workload>,
    pace: Pace,
    routing: Pcg64,
    route: Route,
    keys: Vec<Arc<str>>,
    /// By key: the group that it is served in.
    groups: Vec<u16>,
    connections: Vec<Vec<Rc<dyn Connection>>>,
    idle: Vec<Vec<ProcessId>>,
    backlog: VecDeque<Nanos>,
    /// Ops that are open; an intent counts while it waits for its next attempt, too.
    in_flight: u32,
    max_in_flight: u32,
    next_op: u64,
    next_process: u32,
    next_client: u32,
    fates: Rc<Fates>,
    timeout: Duration,
    until: Nanos,
    looping: Looping,
}

/// Whether a client that is done begins anew.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looping {
    /// When an arrival comes.
    Open,
    /// At once.
    Closed,
}

/// What one process is after: an op, or an intent over several.
struct Turn {
    client: u32,
    process: ProcessId,
    ask: workload::Ask,
    due: Option<Nanos>,
}

/// One op on its way.
struct Sent {
    op: Op,
    node: NodeIx,
    from: Nanos,
}

impl Dispatch {
    fn new(plan: &Plan, outside: LoadContext) -> Self {
        let n = outside.nodes.len();
        let connect = |client: u32| -> Vec<Rc<dyn Connection>> {
            // Client i talks to node i mod n; only the other routes need a connection to each.
            let nodes = match plan.route {
                Route::Pinned => vec![client as usize % n],
                Route::Random | Route::Holder => (0..n).collect(),
            };
            let reached = outside.far.as_ref().filter(|_| client == 0).unwrap_or(&outside.nodes);
            nodes.into_iter().map(|i| plan.system.connect(&reached[i], format!("c{client}"), plan.codec())).collect()
        };
        let settings =
            Settings { keys: plan.keys, clients: plan.clients, patience: plan.intent_timeout.nanos(), consistency: plan.consistency };
        Dispatch {
            workload: plan.workload.generator(plan.mix, settings, plan.seed),
            pace: plan.workload.pace,
            routing: plan.seed.stream("route"),
            route: plan.route,
            keys: plan.keys.names().iter().map(|k| Arc::from(k.as_str())).collect(),
            groups: plan.keys.names().iter().map(|key| outside.watch.as_ref().map_or(0, |watch| watch.group_of(key))).collect(),
            connections: (0..plan.clients).map(connect).collect(),
            idle: vec![vec![]; plan.clients as usize],
            backlog: VecDeque::new(),
            in_flight: 0,
            max_in_flight: plan.max_in_flight,
            next_op: 0,
            next_process: 0,
            next_client: 0,
            fates: Fates::new(plan, &outside),
            timeout: plan.op_timeout.0,
            until: plan.window().1,
            looping: Looping::Open,
            outside,
        }
    }

    /// Sends what waits in the arrival queue, as far as there is room.
    fn fill(this: &Rc<RefCell<Self>>) {
        loop {
            let next = {
                let mut d = this.borrow_mut();
                if d.in_flight >= d.max_in_flight {
                    return;
                }
                let Some(intended) = d.backlog.pop_front() else { return };
                let client = d.next_client;
                d.next_client = (client + 1) % d.connections.len() as u32;
                (client, intended)
            };
            Self::start(this, next.0, Some(next.1));
        }
    }

    /// In the closed loop: begins the client's next intent, at the next bell where the workload has one.
    fn start_when_free(this: &Rc<RefCell<Self>>, client: u32) {
        let wait = {
            let d = this.borrow();
            let now = d.outside.clock.now();
            d.pace.next(now).since(now)
        };
        if wait == Nanos(0) {
            return Self::start(this, client, None);
        }
        let this = this.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(Duration::from_nanos(wait.0)).await;
            if !this.borrow().over() {
                Self::start(&this, client, None);
            }
        });
    }

    fn start(this: &Rc<RefCell<Self>>, client: u32, intended: Option<Nanos>) {
        let (mut turn, first) = {
            let mut d = this.borrow_mut();
            let turn = d.begin(client, intended);
            let first = d.invoke(&turn);
            (turn, first)
        };
        let this = this.clone();
        tokio::task::spawn_local(async move {
            let (mut sent, mut connection) = first;
            let again = loop {
                let reply = connection.call(sent.op.clone()).await;
                let (next, process) = this.borrow_mut().complete(&turn, &sent, reply);
                let Next::Again { pause, ask } = next else { break this.borrow_mut().end(&turn, process) };
                if pause > Nanos(0) {
                    tokio::time::sleep(Duration::from_nanos(pause.0)).await;
                }
                let mut d = this.borrow_mut();
                if d.over() {
                    break d.end(&turn, process);
                }
                turn.ask = ask;
                turn.due = intended.map(|_| d.outside.clock.now());
                (sent, connection) = d.invoke(&turn);
            };
            match again {
                Again::Closed => Self::start_when_free(&this, turn.client),
                Again::Open => Self::fill(&this),
            }
        });
    }

    /// No new attempt begins any more.
    fn over(&self) -> bool {
        self.outside.clock.now() >= self.until || self.outside.stop.asked()
    }

    fn begin(&mut self, client: u32, due: Option<Nanos>) -> Turn {
        let ask = self.workload.begin(client, self.outside.clock.now());
        let process = self.idle[client as usize].pop().unwrap_or_else(|| {
            self.next_process += 1;
            ProcessId(self.next_process - 1)
        });
        self.in_flight += 1;
        Turn { client, process, ask, due }
    }

    fn invoke(&mut self, turn: &Turn) -> (Sent, Rc<dyn Connection>) {
        let (asked, process, client) = (turn.ask, turn.process, turn.client);
        let op = OpId(self.next_op);
        self.next_op += 1;
        let n = self.outside.nodes.len();
        let (slot, node) = match self.route {
            Route::Pinned => (0, client as usize % n),
            Route::Random => {
                let i = self.routing.random_range(0..n);
                (i, i)
            }
            Route::Holder => {
                let (group, now) = (self.groups[asked.key as usize], self.outside.clock.now());
                let holder = self.outside.watch.as_ref().and_then(|watch| watch.holder_of(group, now));
                let i = holder.map_or(client as usize % n, |node| usize::from(node.0));
                (i, i)
            }
        };
        let node = NodeIx(node as u16);
        let name = self.keys[asked.key as usize].clone();
        let key = self.outside.names.find_key(&name).expect("all keys are in the header");
        let (intended, call) = (turn.due, asked.call);
        // Recorded before the bytes leave: the op cannot take effect before its invoke.
        let t = self.outside.recorder.record(|t| {
            Event::Invoke(Invoke {
                op,
                process,
                client: Some(ClientId(client)),
                t,
                intended,
                key,
                call,
                node: Some(node),
                intent: asked.intent,
                attempt: asked.attempt,
                payload: asked.payload,
                path: asked.path,
            })
        });
        self.outside.live.invoked();
        let (payload, expected_payload) = (asked.payload, asked.expected_payload);
        let path = asked.path;
        let op = Op { id: op, process, key: name, call, path, payload, expected_payload, timeout: self.timeout };
        (Sent { op, node, from: intended.unwrap_or(t) }, self.connections[client as usize][slot].clone())
    }

    /// Records what became of an op, and asks the workload what its client does next. Gives the process back, unless it
    /// retires: what it asked may still happen while its successor goes on.
    fn complete(&mut self, turn: &Turn, sent: &Sent, reply: Reply) -> (Next, Option<ProcessId>) {
        let (outcome, payload) = (reply.outcome, reply.payload);
        let id = reply.diagnostics.as_ref().and_then(|d| d.op_id.clone());
        let t = record_completion(&self.outside.recorder, sent.op.id, sent.node, reply);
        // A read has no effect that could be asked about.
        if let (Outcome::Unknown, Some(_), Some(id)) = (outcome, sent.op.call.writes(), id) {
            self.fates.take(Open { op: sent.op.id, id, key: sent.op.key.clone() });
        }
        self.outside.live.completed(outcome, t.since(sent.from));
        let (told, process) = match outcome {
            Outcome::Ok(seen) => (Told::of(seen, payload), Some(turn.process)),
            Outcome::NotApplied => (Told::Failed, Some(turn.process)),
            Outcome::Unknown => (Told::Unknown, None),
        };
        (self.workload.told(turn.client, &turn.ask, told, t), process)
    }

    fn end(&mut self, turn: &Turn, process: Option<ProcessId>) -> Again {
        self.in_flight -= 1;
        self.idle[turn.client as usize].extend(process);
        match self.looping {
            Looping::Closed if !self.over() => Again::Closed,
            Looping::Closed | Looping::Open => Again::Open,
        }
    }
}

enum Again {
    Closed,
    Open,
}

fn record_completion(recorder: &Recorder, op: OpId, node: NodeIx, reply: Reply) -> Nanos {
    let Reply { outcome, payload: _, reason, diagnostics } = reply;
    let node = Some(node);
    recorder.record(|t| match outcome {
        Outcome::Ok(seen) => Event::Ok(Completion { op, t, seen, node, reason, diagnostics }),
        Outcome::NotApplied => Event::Fail(Completion { op, t, seen: (), node, reason, diagnostics }),
        Outcome::Unknown => Event::Unknown(Completion { op, t, seen: (), node, reason, diagnostics }),
    })
}

//! Sends the load: each op at its scheduled time, with every invoke and every reply recorded.
//!
//! The driver of `heckle-workloads`, which has no clock and no socket, decides which client sends what and when. This
//! module does the rest: a thread that sleeps precisely announces the arrivals of the open loop, connections carry
//! operations, timers wake the driver, and everything is recorded.

pub mod abort;
pub mod fates;
pub mod final_reads;
pub mod live;
pub mod phase;

use crate::clock::RunClock;
use crate::plan::units::Rate;
use crate::plan::{Plan, Route};
use crate::recorder::Recorder;
use crate::stop::Stop;
use abort::AbortWatch;
use fates::{Fates, PendingFate};
use heckle_history::figures::OP_ID;
use heckle_history::prng::Pcg64;
use heckle_history::{Completion, Event, FigureId, Invoke, KeyId, Names, Nanos, NodeIx, OpId};
use heckle_system_api::capability::Watch;
use heckle_system_api::connection::{Connection, Op, Outcome, Reply};
use heckle_system_api::identity::Target;
use heckle_workloads::driver::{Action, Driver, DriverSettings, Input, Routing, Send};
use heckle_workloads::pacing::{Arrivals, ClosedLoop};
use heckle_workloads::retry::Settings;
use heckle_workloads::workload::OpResult;
use live::Live;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Capacity, in batches, of the queue of arrivals not yet read by the dispatcher.
const ARRIVAL_BATCHES: usize = 1_024;
/// Maximum number of arrivals announced together.
const MAX_BATCH: usize = 64;
/// Extra time after the op timeout for the last op to be recorded.
const DRAIN_GRACE: Duration = Duration::from_secs(2);
/// Longest sleep of the pacing thread between two checks for a stop.
const MAX_SLEEP: Nanos = Nanos::from_ms(50);

/// Context shared by everything that sends ops.
#[derive(Clone)]
pub struct LoadContext {
    /// The run's clock.
    pub clock: RunClock,
    /// The recorder of events.
    pub recorder: Recorder,
    /// Keys and nodes.
    pub names: Arc<Names>,
    /// The stop flag.
    pub stop: Stop,
    /// Figures for the terminal.
    pub live: Arc<Live>,
    /// Address at which clients reach each node, and the identity expected there.
    pub nodes: Arc<[Target]>,
    /// Reports which node serves which keys, if the system supports it.
    pub watch: Option<Arc<dyn Watch>>,
    /// Address at which the first client reaches each node, if that client is remote.
    pub far: Option<Arc<[Target]>>,
}

/// Number of ops sent and processes opened by the load. Later ids continue from these counts.
#[derive(Debug, Clone, Copy)]
pub struct LoadTotals {
    /// Ops sent.
    pub ops: u64,
    /// Processes opened.
    pub processes: u32,
    /// Arrivals that were due before the load ended but were never sent, because the limit of open ops was reached.
    pub unsent: u64,
}

/// Sends the plan's load from now to the end of its window. Returns the totals, and the ops of unknown outcome
/// whose fate is still to be queried.
///
/// # Errors
/// If a thread, port or runtime cannot be created.
pub fn run(plan: &Plan, outside: &LoadContext) -> Result<(LoadTotals, Vec<PendingFate>), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("cannot start the client runtime: {e}"))?;
    let local = tokio::task::LocalSet::new();
    let load = Rc::new(Load::new(plan, outside.clone()));
    let used = local.block_on(&runtime, async {
        if load.abort.is_some() {
            tokio::task::spawn_local(watch_limits(plan.window(), load.clone()));
        }
        match plan.rate {
            Rate::PerSecond(rate) => open_loop(plan, arrivals(plan, rate), &load).await?,
            Rate::Max => closed_loop(plan, &load).await,
        }
        let unsent = drain(plan, &load).await;
        let (ops, processes) = load.driver.borrow().used();
        Ok::<_, String>((LoadTotals { ops, processes, unsent }, load.fates.remaining()))
    });
    // Connection tasks hold the sockets: dropping the set closes them before the final reads begin.
    drop(local);
    used
}

/// Returns the arrivals of an open loop at this rate, or at the rates of the plan's stages.
fn arrivals(plan: &Plan, rate: f64) -> Arrivals<Pcg64> {
    let rng = plan.seed.stream("arrivals");
    match &plan.stages {
        Some(stages) => Arrivals::shaped(stages.shape(plan.warmup.nanos()), rng),
        None => Arrivals::new(rate, plan.window().1, rng),
    }
}

/// Ends the load when a limit of the plan is exceeded. Checks every second of the window.
async fn watch_limits((start, end): (Nanos, Nanos), load: Rc<Load>) {
    let (clock, stop) = (load.outside.clock, &load.outside.stop);
    let Some(watch) = &load.abort else { return };
    let mut at = start;
    while at < end && !stop.asked() {
        tokio::time::sleep(Duration::from_nanos(at.since(clock.now()).0)).await;
        let now = clock.now();
        if at == start {
            watch.borrow_mut().begin();
        } else if let Some(why) = watch.borrow_mut().tick(now) {
            stop.abort_load(why, now);
            return;
        }
        at.0 += abort::INTERVAL.0;
    }
}

async fn open_loop(plan: &Plan, arrivals: Arrivals<Pcg64>, load: &Rc<Load>) -> Result<(), String> {
    let (send, mut due) = tokio::sync::mpsc::channel::<Vec<Nanos>>(ARRIVAL_BATCHES);
    let (clock, stop) = (load.outside.clock, load.outside.stop.clone());
    let base = clock.now();
    let pace = plan.workload.pace;
    let arrivals = arrivals.map(move |at| pace.due(at));
    let pacer = std::thread::Builder::new().name("pacer".into()).spawn(move || {
        // Starting the cluster took time. Skip arrivals that were due before now, so that they are not sent in a burst.
        let mut arrivals = arrivals.skip_while(|at| *at < base).peekable();
        while let Some(&at) = arrivals.peek() {
            while clock.now() < at && !stop.asked() {
                clock.sleep_until(Nanos(at.0.min(clock.now().0 + MAX_SLEEP.0)));
            }
            // At a high rate, several arrivals are due when the sleep ends.
            let now = clock.now();
            let batch: Vec<Nanos> = std::iter::from_fn(|| arrivals.next_if(|at| *at <= now)).take(MAX_BATCH).collect();
            if stop.asked() || (!batch.is_empty() && send.blocking_send(batch).is_err()) {
                break;
            }
        }
    });
    let pacer = pacer.map_err(|e| format!("cannot start the pacing thread: {e}"))?;
    while let Some(batch) = due.recv().await {
        for intended in batch {
            load.step(Input::Arrival(intended));
        }
        // The pacer may be far ahead, so let replies, timers and writes proceed after each batch.
        tokio::task::yield_now().await;
    }
    pacer.join().map_err(|_| "the pacing thread panicked".to_owned())
}

async fn closed_loop(plan: &Plan, load: &Rc<Load>) {
    let clients = plan.stages.as_ref().map(|stages| stages.shape(plan.warmup.nanos()));
    load.step(Input::Loop(ClosedLoop { think: plan.think.nanos(), clients }));
    while load.outside.clock.now() < plan.window().1 && !load.outside.stop.asked() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    load.step(Input::Stop);
}

/// Waits for open ops. Returns the number of arrivals that were still waiting to be sent, which are dropped.
async fn drain(plan: &Plan, load: &Load) -> u64 {
    let unsent = load.driver.borrow_mut().drop_backlog();
    let deadline = tokio::time::Instant::now() + plan.op_timeout.0 + DRAIN_GRACE;
    while load.driver.borrow().in_flight() > 0 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    unsent
}

/// Carries out the driver's commands.
struct Load {
    outside: LoadContext,
    driver: RefCell<Driver>,
    route: Route,
    keys: Vec<Arc<str>>,
    /// Id of each key in the history.
    key_ids: Vec<KeyId>,
    /// The figure that carries the system's own id of an operation, if the system reports one.
    op_id: Option<FigureId>,
    /// Group of each key, by index of the key. Nodes serve keys by group.
    groups: Vec<u16>,
    connections: Vec<Vec<Rc<dyn Connection>>>,
    fates: Rc<Fates>,
    timeout: Duration,
    /// Watches the limits that end the load, if the plan has any.
    abort: Option<RefCell<AbortWatch>>,
}

/// An open operation.
struct PendingOp {
    op: Op,
    node: NodeIx,
    /// When it was due; in the closed loop, the time at which it was sent.
    from: Nanos,
}

impl Load {
    fn new(plan: &Plan, outside: LoadContext) -> Self {
        let n = outside.nodes.len();
        let connect = |client: u32| -> Vec<Rc<dyn Connection>> {
            // Client i talks to node i mod n; only the other routes need a connection to each node.
            let nodes = match plan.route {
                Route::Pinned => vec![client as usize % n],
                Route::Random | Route::Holder => (0..n).collect(),
            };
            let reached = outside.far.as_ref().filter(|_| client == 0).unwrap_or(&outside.nodes);
            nodes.into_iter().map(|i| plan.system.connect(&reached[i], format!("c{client}"), plan.codec())).collect()
        };
        let settings =
            Settings { keys: plan.keys, clients: plan.clients, intent_timeout: plan.intent_timeout.nanos(), consistency: plan.consistency };
        let routing = match plan.route {
            Route::Pinned => Routing::Pinned,
            Route::Random => Routing::Random,
            Route::Holder => Routing::Holder,
        };
        let driver = DriverSettings {
            clients: plan.clients,
            nodes: plan.nodes,
            routing,
            max_in_flight: plan.max_in_flight,
            pace: plan.workload.pace,
            until: plan.window().1,
        };
        Load {
            driver: RefCell::new(Driver::new(plan.workload.generator(plan.mix, settings, plan.seed), driver, plan.seed)),
            route: plan.route,
            keys: plan.keys.names().iter().map(|k| Arc::from(k.as_str())).collect(),
            key_ids: plan.keys.names().iter().map(|key| outside.names.find_key(key).expect("all keys are in the header")).collect(),
            op_id: outside.names.find_figure(OP_ID),
            groups: plan.keys.names().iter().map(|key| outside.watch.as_ref().map_or(0, |watch| watch.group_of(key))).collect(),
            connections: (0..plan.clients).map(connect).collect(),
            fates: Fates::new(plan, &outside),
            timeout: plan.op_timeout.0,
            abort: AbortWatch::new(&plan.abort_on).map(RefCell::new),
            outside,
        }
    }

    /// Passes an input to the driver, with the current time.
    fn step(self: &Rc<Self>, input: Input) {
        self.step_at(self.outside.clock.now(), input);
    }

    fn step_at(self: &Rc<Self>, now: Nanos, input: Input) {
        let mut actions = vec![];
        {
            let mut driver = self.driver.borrow_mut();
            if self.outside.stop.asked() {
                driver.step(now, Input::Stop, &mut actions);
            }
            driver.step(now, input, &mut actions);
        }
        for action in actions {
            match action {
                Action::Send(send) => self.send(&send),
                Action::Wake(at, timer) => {
                    let this = self.clone();
                    tokio::task::spawn_local(async move {
                        tokio::time::sleep(Duration::from_nanos(at.since(this.outside.clock.now()).0)).await;
                        this.step(Input::Timer(timer));
                    });
                }
            }
        }
    }

    fn send(self: &Rc<Self>, send: &Send) {
        let (sent, connection) = self.invoke(send);
        let this = self.clone();
        tokio::task::spawn_local(async move {
            let reply = connection.call(sent.op.clone()).await;
            let (result, t) = this.complete(&sent, reply);
            this.step_at(t, Input::Completed(sent.op.id, result));
        });
    }

    fn invoke(&self, send: &Send) -> (PendingOp, Rc<dyn Connection>) {
        let (op, process, client, intended, asked) = (send.op, send.process, send.client, send.due, send.ask);
        let holder = || {
            let group = self.groups[asked.key as usize];
            self.outside.watch.as_ref().and_then(|watch| watch.holder_of(group, self.outside.clock.now()))
        };
        let node = if send.to_holder { holder().unwrap_or(NodeIx(send.node)) } else { NodeIx(send.node) };
        let slot = if self.route == Route::Pinned { 0 } else { usize::from(node.0) };
        let (name, key) = (self.keys[asked.key as usize].clone(), self.key_ids[asked.key as usize]);
        // Recorded before the bytes leave: the op cannot take effect before its invoke.
        let t = self.outside.recorder.record(|t| {
            Event::Invoke(Invoke {
                op,
                process,
                client: Some(client),
                t,
                intended,
                key,
                call: asked.call,
                node: Some(node),
                intent: asked.intent,
                attempt: asked.attempt,
                payload: asked.payload,
                path: asked.path,
            })
        });
        self.outside.live.invoked(asked.call.name_on(asked.path));
        if let Some(watch) = &self.abort {
            watch.borrow_mut().invoked(op, intended.unwrap_or(t));
        }
        let (call, path) = (asked.call, asked.path);
        let (payload, expected_payload) = (asked.payload, asked.expected_payload);
        let op = Op { id: op, process, key: name, call, path, payload, expected_payload, timeout: self.timeout };
        (PendingOp { op, node, from: intended.unwrap_or(t) }, self.connections[client.0 as usize][slot].clone())
    }

    /// Records the outcome of an op, and translates it for the driver.
    fn complete(&self, sent: &PendingOp, reply: Reply) -> (OpResult, Nanos) {
        let (outcome, payload) = (reply.outcome, reply.payload);
        let id = match outcome {
            Outcome::Unknown => self.op_id.and_then(|figure| Some(reply.diagnostics.as_ref()?.text(figure)?.into())),
            Outcome::Ok(_) | Outcome::NotApplied => None,
        };
        let t = record_completion(&self.outside.recorder, sent.op.id, sent.node, reply);
        // A read has no effect that could be queried.
        if let (Outcome::Unknown, Some(_), Some(id)) = (outcome, sent.op.call.writes(), id) {
            self.fates.add(PendingFate { op: sent.op.id, id, key: sent.op.key.clone() });
        }
        self.outside.live.completed(sent.op.call.name_on(sent.op.path), outcome, t.since(sent.from));
        if let Some(watch) = &self.abort {
            watch.borrow_mut().completed(sent.op.id, outcome, t);
        }
        let result = match outcome {
            Outcome::Ok(seen) => OpResult::of(seen, payload),
            Outcome::NotApplied => OpResult::Failed,
            Outcome::Unknown => OpResult::Unknown,
        };
        (result, t)
    }
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

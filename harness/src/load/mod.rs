//! Sends the load: each op at its time, each answer as it comes, everything recorded.
//!
//! Open loop: a thread that sleeps precisely announces arrivals; ops that find no free place wait in one arrival
//! queue and count their latency from when they were due. Closed loop: every client sends its next op when the
//! last is answered.

pub mod final_reads;
pub mod live;

use crate::clock::RunClock;
use crate::plan::units::Rate;
use crate::plan::{Plan, Route};
use crate::recorder::Recorder;
use crate::stop::Stop;
use crate::system::bundled::BundledConnection;
use crate::system::{Answer, Ask, Connection, Known};
use heckle_history::prng::Pcg64;
use heckle_history::{Call, ClientId, Completion, Current, Event, Invoke, Names, Nanos, NodeIx, OpId, ProcessId, Seen, Value};
use heckle_workloads::cas_register::{CasRegister, Settings};
use heckle_workloads::pacing::Arrivals;
use live::Live;
use rand::RngExt;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
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
pub struct Outside {
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
    /// Where clients reach each node.
    pub nodes: Arc<[SocketAddr]>,
}

/// Ids that no later op or process may use again.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Ops sent.
    pub ops: u64,
    /// Processes opened.
    pub processes: u32,
}

/// Sends the plan's load from now to the end of its window.
///
/// # Errors
/// If the machine cannot give what that takes.
pub fn run(plan: &Plan, outside: &Outside) -> Result<Used, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("cannot start the client runtime: {e}"))?;
    let local = tokio::task::LocalSet::new();
    let dispatch = Rc::new(RefCell::new(Dispatch::new(plan, outside.clone())));
    let used = local.block_on(&runtime, async {
        match plan.rate {
            Rate::PerSecond(rate) => open_loop(plan, rate, &dispatch, outside).await?,
            Rate::Max => closed_loop(plan, &dispatch, outside).await,
        }
        drain(plan, &dispatch).await;
        let d = dispatch.borrow();
        Ok::<_, String>(Used { ops: d.next_op, processes: d.next_process })
    });
    // Connection tasks hold the sockets: dropping the set closes them before the final reads begin.
    drop(local);
    used
}

async fn open_loop(plan: &Plan, rate: f64, dispatch: &Rc<RefCell<Dispatch>>, outside: &Outside) -> Result<(), String> {
    let (send, mut due) = tokio::sync::mpsc::channel::<Nanos>(ARRIVAL_QUEUE);
    let (clock, stop, end) = (outside.clock, outside.stop.clone(), plan.window().1);
    let base = clock.now();
    let arrivals = Arrivals::new(rate, end, plan.seed.stream("arrivals"));
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

async fn closed_loop(plan: &Plan, dispatch: &Rc<RefCell<Dispatch>>, outside: &Outside) {
    dispatch.borrow_mut().closed_until = Some(plan.window().1);
    for client in 0..plan.clients {
        Dispatch::start(dispatch, client, None);
    }
    while outside.clock.now() < plan.window().1 && !outside.stop.asked() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    dispatch.borrow_mut().closed_until = None;
}

async fn drain(plan: &Plan, dispatch: &Rc<RefCell<Dispatch>>) {
    dispatch.borrow_mut().backlog.clear();
    let deadline = tokio::time::Instant::now() + plan.op_timeout.0 + DRAIN_GRACE;
    while dispatch.borrow().in_flight > 0 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

struct Dispatch {
    outside: Outside,
    generator: CasRegister<Pcg64>,
    routing: Pcg64,
    route: Route,
    keys: Vec<Arc<str>>,
    connections: Vec<Vec<Rc<BundledConnection>>>,
    idle: Vec<Vec<ProcessId>>,
    backlog: VecDeque<Nanos>,
    in_flight: u32,
    max_in_flight: u32,
    next_op: u64,
    next_process: u32,
    next_client: u32,
    timeout: Duration,
    closed_until: Option<Nanos>,
}

/// One op on its way.
struct Sent {
    ask: Ask,
    client: u32,
    key: u32,
    node: NodeIx,
    from: Nanos,
}

impl Dispatch {
    fn new(plan: &Plan, outside: Outside) -> Self {
        let n = outside.nodes.len();
        let connect = |client: u32| -> Vec<Rc<BundledConnection>> {
            // Client i talks to node i mod n; only a random route needs a connection to each.
            let nodes = match plan.route {
                Route::Pinned => vec![client as usize % n],
                Route::Random => (0..n).collect(),
            };
            nodes.into_iter().map(|i| Rc::new(BundledConnection::new(outside.nodes[i], format!("c{client}"), plan.value_bytes))).collect()
        };
        Dispatch {
            generator: CasRegister::new(Settings { mix: plan.mix, keys: plan.keys }, plan.clients, plan.seed.stream("load")),
            routing: plan.seed.stream("route"),
            route: plan.route,
            keys: plan.keys.names().iter().map(|k| Arc::from(k.as_str())).collect(),
            connections: (0..plan.clients).map(connect).collect(),
            idle: vec![vec![]; plan.clients as usize],
            backlog: VecDeque::new(),
            in_flight: 0,
            max_in_flight: plan.max_in_flight,
            next_op: 0,
            next_process: 0,
            next_client: 0,
            timeout: plan.op_timeout.0,
            closed_until: None,
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

    fn start(this: &Rc<RefCell<Self>>, client: u32, intended: Option<Nanos>) {
        let (sent, connection) = this.borrow_mut().invoke(client, intended);
        let this = this.clone();
        tokio::task::spawn_local(async move {
            let answer = connection.call(sent.ask.clone()).await;
            let again = this.borrow_mut().complete(&sent, answer);
            match again {
                Again::Closed => Self::start(&this, sent.client, None),
                Again::Open => Self::fill(&this),
            }
        });
    }

    fn invoke(&mut self, client: u32, intended: Option<Nanos>) -> (Sent, Rc<BundledConnection>) {
        let choice = self.generator.next(client);
        let process = self.idle[client as usize].pop().unwrap_or_else(|| {
            self.next_process += 1;
            ProcessId(self.next_process - 1)
        });
        let op = OpId(self.next_op);
        self.next_op += 1;
        self.in_flight += 1;
        let n = self.outside.nodes.len();
        let (slot, node) = match self.route {
            Route::Pinned => (0, client as usize % n),
            Route::Random => {
                let i = self.routing.random_range(0..n);
                (i, i)
            }
        };
        let node = NodeIx(node as u16);
        let key = self.outside.names.find_key(&self.keys[choice.key as usize]).expect("all keys are in the header");
        // Recorded before the bytes leave: the op cannot take effect before its invoke.
        let t = self.outside.recorder.record(|t| {
            Event::Invoke(Invoke {
                op,
                process,
                client: Some(ClientId(client)),
                t,
                intended,
                key,
                call: choice.call,
                node: Some(node),
                intent: None,
                attempt: None,
                payload: None,
            })
        });
        self.outside.live.invoked();
        let ask = Ask { op, process, key: self.keys[choice.key as usize].clone(), call: choice.call, timeout: self.timeout };
        let connection = self.connections[client as usize][slot].clone();
        (Sent { ask, client, key: choice.key, node, from: intended.unwrap_or(t) }, connection)
    }

    fn complete(&mut self, sent: &Sent, answer: Answer) -> Again {
        let known = answer.known;
        let t = record_completion(&self.outside.recorder, sent.ask.op, sent.node, answer);
        self.outside.live.completed(known, t.since(sent.from));
        self.in_flight -= 1;
        match known {
            Known::Ok(seen) => {
                if let Some(value) = learned(sent.ask.call, seen) {
                    self.generator.saw(sent.client, sent.key, value);
                }
                self.idle[sent.client as usize].push(sent.ask.process);
            }
            Known::NotApplied => self.idle[sent.client as usize].push(sent.ask.process),
            // The process retires: what it asked may still happen while its successor goes on.
            Known::Unknown => {}
        }
        match self.closed_until {
            Some(end) if t < end && !self.outside.stop.asked() => Again::Closed,
            Some(_) | None => Again::Open,
        }
    }
}

enum Again {
    Closed,
    Open,
}

/// What a client now knows of the key.
fn learned(call: Call, seen: Seen) -> Option<Option<Value>> {
    match seen {
        Seen::Value(v) | Seen::ConditionNotMet(Current::Known(v)) => Some(v),
        Seen::Written | Seen::Applied => Some(call.writes()),
        Seen::ConditionNotMet(Current::NotReported) => None,
    }
}

fn record_completion(recorder: &Recorder, op: OpId, node: NodeIx, answer: Answer) -> Nanos {
    let Answer { known, reason, diagnostics } = answer;
    let node = Some(node);
    recorder.record(|t| match known {
        Known::Ok(seen) => Event::Ok(Completion { op, t, seen, node, reason, diagnostics }),
        Known::NotApplied => Event::Fail(Completion { op, t, seen: (), node, reason, diagnostics }),
        Known::Unknown => Event::Unknown(Completion { op, t, seen: (), node, reason, diagnostics }),
    })
}

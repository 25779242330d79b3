//! A virtual world of clients and registers: each op takes effect at one instant between its invoke and its completion.

use heckle_history::event::{Completion, Event, Header, Invoke};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{Call, Consistency, Current, History, Names, Nanos, NodeIx, Seen};
use heckle_workloads::driver::{Action, Driver, DriverSettings, Input, Routing, Send, Timer};
use heckle_workloads::keys::KeyChoice;
use heckle_workloads::pacing::{ClosedLoop, Pace};
use heckle_workloads::registry::WorkloadInfo;
use heckle_workloads::retry::Settings;
use heckle_workloads::workload::{OpResult, Tagged};
use rand::RngExt;
use std::collections::BTreeMap;

/// Properties of a world.
#[derive(Clone, Copy)]
pub(crate) struct World {
    pub(crate) clients: u32,
    pub(crate) keys: u32,
    /// Share of ops that fail without an effect.
    pub(crate) fail: f64,
    /// Share of ops with an unknown outcome; half of these ops take effect, some of them late.
    pub(crate) unknown: f64,
    pub(crate) patience_ms: u64,
    pub(crate) load_ms: u64,
}

impl Default for World {
    fn default() -> Self {
        World { clients: 8, keys: 1, fail: 0.05, unknown: 0.02, patience_ms: 2_000, load_ms: 600 }
    }
}

/// What happens at an instant.
enum What {
    Due { timer: Timer },
    Effect { op: usize },
    Complete { op: usize },
}

struct Op {
    send: Send,
    fate: Ends,
    result: Option<(OpResult, Option<Seen>)>,
}

#[derive(PartialEq)]
enum Ends {
    Ok,
    Failed,
    Unknown,
}

struct Running {
    driver: Driver,
    world: World,
    rng: Pcg64,
    agenda: BTreeMap<(u64, u64), What>,
    seq: u64,
    registers: Vec<Option<Tagged>>,
    ops: Vec<Op>,
    events: Vec<Event>,
}

const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// Runs a workload in a world and returns its history.
pub(crate) fn run(info: &WorkloadInfo, seed: u64, world: World) -> History {
    let keys = KeyChoice::new(world.keys, 0.0);
    let settings =
        Settings { keys, clients: world.clients, intent_timeout: Nanos::from_ms(world.patience_ms), consistency: Consistency::Quorum };
    let driver = DriverSettings {
        clients: world.clients,
        nodes: NODES.len() as u16,
        routing: Routing::Pinned,
        max_in_flight: world.clients,
        pace: Pace::Even,
        until: Nanos::from_ms(world.load_ms),
    };
    let mut running = Running {
        driver: Driver::new(info.generator(info.mix(), settings, Seed(seed)), driver, Seed(seed)),
        world,
        rng: Seed(seed).stream("world"),
        agenda: BTreeMap::new(),
        seq: 0,
        registers: vec![None; world.keys as usize],
        ops: vec![],
        events: vec![],
    };
    running.drive(0, Input::Loop(ClosedLoop::default()));
    while let Some(((now, _), what)) = running.agenda.pop_first() {
        running.step(now, what);
    }
    let mut names = Names::default();
    for key in keys.names() {
        names.key(&key);
    }
    for node in NODES {
        names.node(node);
    }
    let mut header = Header { keys: keys.names(), load_window: Some((0, world.load_ms * 1_000_000)), ..Header::default() };
    header.more.extend(info.projection.map(|p| ("projection".to_owned(), p.into())));
    History::from_events(header, names, running.events).unwrap_or_else(|(i, what)| panic!("event {i}: {what}"))
}

impl Running {
    fn at(&mut self, t: u64, what: What) {
        self.seq += 1;
        self.agenda.insert((t, self.seq), what);
    }

    /// Passes an input to the driver and carries out its actions.
    fn drive(&mut self, now: u64, input: Input) {
        let mut actions = vec![];
        self.driver.step(Nanos(now), input, &mut actions);
        for action in actions {
            match action {
                Action::Send(send) => self.invoke(now, send),
                Action::Wake(at, timer) => self.at(at.0, What::Due { timer }),
            }
        }
    }

    fn step(&mut self, now: u64, what: What) {
        match what {
            What::Due { timer } => self.drive(now, Input::Timer(timer)),
            What::Effect { op } => {
                let result = self.effect(op);
                self.ops[op].result = Some(result);
            }
            What::Complete { op } => self.complete(now, op),
        }
    }

    fn invoke(&mut self, now: u64, send: Send) {
        let op = self.ops.len();
        assert_eq!(send.op.0, op as u64, "ids count up");
        let ask = send.ask;
        self.events.push(Event::Invoke(Invoke {
            op: send.op,
            process: send.process,
            client: Some(send.client),
            t: Nanos(now),
            intended: send.due,
            key: heckle_history::KeyId(ask.key),
            call: ask.call,
            node: Some(NodeIx(send.node)),
            intent: ask.intent,
            attempt: ask.attempt,
            payload: ask.payload,
            path: ask.path,
        }));
        let dice = self.rng.random::<f64>();
        let fate = match dice {
            d if d < self.world.unknown => Ends::Unknown,
            d if d < self.world.unknown + self.world.fail => Ends::Failed,
            _ => Ends::Ok,
        };
        let effect = now + self.rng.random_range(100_000..2_000_000);
        let complete = match fate {
            Ends::Ok => effect + self.rng.random_range(100_000..2_000_000),
            Ends::Failed | Ends::Unknown => now + 3_000_000,
        };
        match fate {
            Ends::Ok => self.at(effect, What::Effect { op }),
            Ends::Unknown if self.rng.random() => {
                let late = self.rng.random_range(0..30_000_000);
                self.at(effect + late, What::Effect { op });
            }
            Ends::Unknown | Ends::Failed => {}
        }
        self.at(complete, What::Complete { op });
        self.ops.push(Op { send, fate, result: None });
    }

    fn effect(&mut self, op: usize) -> (OpResult, Option<Seen>) {
        let ask = self.ops[op].send.ask;
        let register = &mut self.registers[ask.key as usize];
        let current = register.map(|r| r.value);
        match ask.call {
            Call::Read => (OpResult::Saw(*register), Some(Seen::Value(current))),
            Call::Write { new } => {
                *register = Some(Tagged { value: new, payload: ask.payload });
                (OpResult::Done, Some(Seen::Written))
            }
            Call::Cas { expected, new } if expected == current => {
                assert_eq!(ask.expected_payload, register.and_then(|r| r.payload), "a client knows what rides beside what it expects");
                *register = Some(Tagged { value: new, payload: ask.payload });
                (OpResult::Done, Some(Seen::Applied))
            }
            Call::Cas { .. } => (OpResult::Saw(*register), Some(Seen::ConditionNotMet(Current::Known(current)))),
        }
    }

    fn complete(&mut self, now: u64, op: usize) {
        let Op { send, ref fate, result } = self.ops[op];
        let done = Completion { op: send.op, t: Nanos(now), seen: (), node: Some(NodeIx(send.node)), reason: None, diagnostics: None };
        let result = match fate {
            Ends::Ok => {
                let (result, seen) = result.expect("it took effect before");
                let Completion { op, t, node, .. } = done;
                let seen = seen.expect("an ok sees something");
                self.events.push(Event::Ok(Completion { op, t, seen, node, reason: None, diagnostics: None }));
                result
            }
            Ends::Failed => {
                self.events.push(Event::Fail(done));
                OpResult::Failed
            }
            Ends::Unknown => {
                self.events.push(Event::Unknown(done));
                OpResult::Unknown
            }
        };
        self.drive(now, Input::Completed(send.op, result));
    }
}

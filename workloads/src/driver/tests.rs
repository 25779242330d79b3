use super::*;
use crate::shape::{Shape, Stage};
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
        // This arrival goes to the other client, so the next one goes to this client again.
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
        let begun = rig.sends(0, Input::Loop(ClosedLoop::default()));
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
    assert_eq!(rig.step(1, Input::Loop(ClosedLoop::default())), [wake(0), wake(1)]);
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

#[test]
fn a_client_thinks_between_intents() {
    let mut rig = Rig::new(settings());
    let begun = rig.sends(0, Input::Loop(ClosedLoop { think: Nanos(40), clients: None }));
    let timer = Timer::Client(0);
    assert_eq!(rig.step(10, Input::Completed(begun[0].op, OpResult::Done)), [Action::Wake(Nanos(50), timer)]);
    assert_eq!(rig.driver.in_flight(), 1, "a client that thinks has nothing open");
    let next = rig.sends(51, Input::Timer(timer));
    assert_eq!((next.len(), next[0].process), (1, begun[0].process));
    // A retry is part of its intent, so its pause is the one set by the workload.
    let again = rig.step(60, Input::Completed(next[0].op, OpResult::Refused));
    assert_eq!(again, [Action::Wake(Nanos(65), Timer::Attempt(next[0].op))]);
}

#[test]
fn clients_come_and_go_with_the_shape() {
    let mut rig = Rig::new(settings());
    let shape = Shape::new([(100, 1.0), (100, 2.0), (100, 1.0)].map(|(lasts, clients)| Stage::hold(Nanos(lasts), clients)));
    let first = rig.step(0, Input::Loop(ClosedLoop { clients: Some(shape), ..ClosedLoop::default() }));
    let [Action::Send(begun), Action::Wake(Nanos(100), Timer::Client(1))] = first[..] else { panic!("{first:?}") };
    assert_eq!(begun.client, ClientId(0));
    let second = rig.sends(101, Input::Timer(Timer::Client(1)))[0];
    assert_eq!(second.client, ClientId(1));
    // The intent ends after its stage: it completes, and the client does not start another one.
    assert_eq!(rig.step(205, Input::Completed(second.op, OpResult::Done)), []);
    assert_eq!(rig.step(206, Input::Timer(Timer::Client(1))), []);
    assert_eq!(rig.sends(210, Input::Completed(begun.op, OpResult::Done)).len(), 1, "the first client goes on");
}

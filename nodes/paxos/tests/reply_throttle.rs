//! Many clients run CASes on one key with a prepared ballot. Tests how many get a new value at the same time, and that
//! every client gets its turn.

mod rig;

use heckle_paxos::*;
use rig::*;

const CLIENTS: u64 = 8;

/// Clients that try until they succeed, and then start again with the value they wrote.
struct Crowd {
    rig: Rig,
    /// The client that owns each token.
    tokens: Vec<u64>,
    /// When each request was sent, and the longest time until a reply.
    sent: Vec<MonoTime>,
    longest_ns: u64,
    timeout_ns: u64,
    seq: u64,
    /// Number of replies examined.
    seen: usize,
    applied: Vec<u64>,
    refused: Vec<u64>,
    /// Whether clients have stopped sending requests.
    quit: bool,
}

impl Crowd {
    fn new(queue: Queue) -> Crowd {
        let rig = Rig::new(Config { rounds: Rounds::Fast, queue, ..config() });
        let mut crowd = Crowd {
            rig,
            tokens: vec![],
            sent: vec![],
            longest_ns: 0,
            timeout_ns: TIMEOUT_NS,
            seq: 0,
            seen: 0,
            applied: vec![0; 9],
            refused: vec![0; 9],
            quit: false,
        };
        crowd.ask(1, None);
        (2..=CLIENTS).for_each(|client| crowd.ask(client, None));
        crowd.rig.promise(2);
        crowd
    }

    fn ask(&mut self, client: u64, expected: Option<Value>) {
        self.seq += 1;
        self.tokens.push(client);
        self.sent.push(self.rig.now);
        let new = val(&format!("{client}-{}", self.seq));
        let call = Call::Cas { expected, new };
        let (op, timeout_ns) = (op(client, self.seq), self.timeout_ns);
        self.rig.request(ClientRequest { op, key: key(), call, timeout_ns, provenance: Provenance::First });
    }

    /// A proposal is decided after a millisecond, and an answered client returns a tenth of a millisecond later.
    /// Returns the clients that succeeded.
    fn round(&mut self) -> Vec<u64> {
        self.rig.elapse(MS);
        self.rig.accepted(2);
        self.rig.elapse(MS / 10);
        let mut won = vec![];
        let answers: Vec<(ClientToken, Outcome)> = self.rig.replies[self.seen..].iter().map(|r| (r.0, r.1.clone())).collect();
        self.seen = self.rig.replies.len();
        for (token, outcome) in answers {
            let client = self.tokens[token.0 as usize - 1];
            self.longest_ns = self.longest_ns.max(self.rig.now.since_ns(self.sent[token.0 as usize - 1]));
            let met = match outcome {
                Outcome::Applied => {
                    self.applied[client as usize] += 1;
                    won.push(client);
                    Some(self.written(token))
                }
                Outcome::ConditionNotMet { current } => {
                    self.refused[client as usize] += 1;
                    current
                }
                other => panic!("{other:?}"),
            };
            if !self.quit {
                self.ask(client, met);
            }
        }
        won
    }

    fn written(&self, token: ClientToken) -> Value {
        val(&format!("{}-{}", self.tokens[token.0 as usize - 1], token.0))
    }

    /// Attempts per success since the last call.
    fn attempts(&mut self) -> f64 {
        let (applied, refused): (u64, u64) = (self.applied.iter().sum(), self.refused.iter().sum());
        self.applied = vec![0; 9];
        self.refused = vec![0; 9];
        (applied + refused) as f64 / applied as f64
    }
}

#[test]
fn when_all_come_back_a_success_takes_two_attempts_and_every_client_has_its_turn() {
    let mut crowd = Crowd::new(Queue::Fair);
    (0..20).for_each(|_| drop(crowd.round()));
    let before = crowd.attempts();
    let winners: Vec<u64> = (0..80).flat_map(|_| crowd.round()).collect();
    assert_eq!(winners.len(), 80, "each proposal carries an update");
    assert!(crowd.applied[1..].iter().all(|won| (9..=11).contains(won)), "{:?}", crowd.applied);
    let after = crowd.attempts();
    assert!(before > after && after < 2.2, "{before} attempts for a success at first, {after} later");
    assert!(crowd.rig.replica.counters().kept_back > 300);
}

#[test]
fn in_order_of_arrival_all_are_answered_at_once() {
    let mut crowd = Crowd::new(Queue::Fifo);
    (0..50).for_each(|_| drop(crowd.round()));
    assert_eq!(crowd.rig.replica.counters().kept_back, 0);
    assert!(crowd.attempts() > 4.0);
}

#[test]
fn when_no_client_comes_back_all_are_answered() {
    let mut crowd = Crowd::new(Queue::Fair);
    (0..40).for_each(|_| drop(crowd.round()));
    let kept = crowd.rig.replica.in_flight();
    assert_eq!(kept as u64, CLIENTS, "all wait or are on their way");
    crowd.quit = true;
    (0..3).for_each(|_| drop(crowd.round()));
    assert_eq!(crowd.rig.replica.in_flight(), 0, "without an update there is no client to wait for");
}

/// The longest time until a reply when a round takes `round_ms`.
fn longest_ns(timeout_ns: u64, round_ms: u64) -> u64 {
    let mut crowd = Crowd::new(Queue::Fair);
    crowd.timeout_ns = timeout_ns;
    (0..40).for_each(|_| drop(crowd.round()));
    crowd.longest_ns = 0;
    for _ in 0..40 {
        crowd.rig.elapse((round_ms - 1) * MS);
        drop(crowd.round());
    }
    crowd.longest_ns
}

#[test]
fn no_reply_waits_longer_than_fifty_milliseconds_or_a_quarter_of_its_time_limit() {
    // The limit is 168 ms with eight clients, and also with 32. Add the proposal in progress when the limit passes,
    // and the next one.
    let longest = longest_ns(TIMEOUT_NS, 21);
    assert!((50 * MS..=95 * MS).contains(&longest), "{longest} ns");
    let longest = longest_ns(40 * MS, 4);
    assert!((10 * MS..=20 * MS).contains(&longest), "{longest} ns");
}

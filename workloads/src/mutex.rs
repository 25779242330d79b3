//! The workload `mutex`: clients acquire a lock, hold it for a moment and release it.
//!
//! The payload of the value is the holder: the number of the intent that acquired the lock, from 1, or 0 for a free
//! lock. A client that finds the lock held reads it again after a pause. Each read that finds it held is a lost
//! attempt. A client whose acquire or release has an unknown outcome never acts again, so its lock may be taken over.
//! This does not create a second holder, since the first one no longer acts on the lock.

use crate::pause;
use crate::retry::Settings;
use crate::workload::{LastSeen, Next, OpRequest, OpResult, Tagged, Values, Workload};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{Call, IntentId, Nanos, Path};
use std::collections::{BTreeMap, BTreeSet};

/// The payload of a free lock.
pub const FREE: i64 = 0;
/// Maximum wait before a held lock is read again.
const POLL: Nanos = Nanos::from_ms(8);
/// Maximum time for which a lock is held.
const HOLD: Nanos = Nanos::from_ms(4);

/// Returns the holder number of an intent.
pub fn holder(intent: IntentId) -> i64 {
    i64::try_from(intent.0).unwrap_or(i64::MAX - 1) + 1
}

/// The generator. A run has exactly one.
#[derive(Debug, Clone)]
pub struct Mutex {
    settings: Settings,
    choice: Pcg64,
    pauses: Pcg64,
    values: Values,
    seen: LastSeen,
    next_intent: u64,
    open: BTreeMap<IntentId, Open>,
    /// Holder numbers of intents that ended with an unknown outcome.
    abandoned: BTreeSet<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    began: Nanos,
    failures: u32,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Taking,
    Releasing,
}

impl Mutex {
    /// Creates a generator with its own streams of `seed`.
    pub fn new(settings: Settings, seed: Seed) -> Self {
        Mutex {
            settings,
            choice: seed.stream("load"),
            pauses: seed.stream("pauses"),
            values: Values::default(),
            seen: LastSeen::new(settings.clients, settings.keys.count() as usize),
            next_intent: 0,
            open: BTreeMap::new(),
            abandoned: BTreeSet::new(),
        }
    }

    fn read_request(&self, intent: IntentId, attempt: u32, key: u32) -> OpRequest {
        OpRequest {
            intent: Some(intent),
            attempt: Some(attempt),
            key,
            call: Call::Read,
            path: Path::Consensus,
            payload: None,
            expected_payload: None,
        }
    }

    fn set(&mut self, from: Option<Tagged>, to: i64, intent: IntentId, attempt: Option<u32>, key: u32) -> OpRequest {
        let call = Call::Cas { expected: from.map(|f| f.value), new: self.values.fresh() };
        OpRequest {
            intent: Some(intent),
            attempt,
            key,
            call,
            path: Path::Consensus,
            payload: Some(to),
            expected_payload: from.map(|f| f.payload.unwrap_or(FREE)),
        }
    }

    fn may_be_taken(&self, seen: Option<Tagged>) -> bool {
        seen.and_then(|s| s.payload).is_none_or(|h| h == FREE || self.abandoned.contains(&h))
    }

    /// Tries to acquire the lock if the client believes that it is free; otherwise reads it.
    fn acquire_or_read(&mut self, client: u32, intent: IntentId, attempt: u32, key: u32) -> OpRequest {
        let seen = *self.seen.of(client, key);
        if self.may_be_taken(seen) {
            self.set(seen, holder(intent), intent, Some(attempt), key)
        } else {
            self.read_request(intent, attempt, key)
        }
    }

    fn finish(&mut self, intent: IntentId) -> Next {
        self.open.remove(&intent);
        Next::Over
    }

    fn open(&mut self, intent: IntentId) -> &mut Open {
        self.open.get_mut(&intent).expect("results arrive only for open intents")
    }

    /// Counts a lost attempt and starts another, unless the time limit is reached.
    fn lost(&mut self, client: u32, ask: &OpRequest, intent: IntentId, pause: Nanos, now: Nanos) -> Next {
        if now.since(self.open(intent).began) >= self.settings.intent_timeout {
            return self.finish(intent);
        }
        let attempt = ask.attempt.unwrap_or(0).saturating_add(1);
        Next::Again { pause, ask: self.acquire_or_read(client, intent, attempt, ask.key) }
    }

    fn on_acquire_result(&mut self, client: u32, ask: &OpRequest, intent: IntentId, result: OpResult, now: Nanos) -> Next {
        match result {
            OpResult::Saw(current) => {
                *self.seen.of(client, ask.key) = current;
                if matches!(ask.call, Call::Read) && self.may_be_taken(current) {
                    let attempt = ask.attempt.unwrap_or(1);
                    return Next::Again { pause: Nanos(0), ask: self.acquire_or_read(client, intent, attempt, ask.key) };
                }
                let held = !self.may_be_taken(current);
                let pause = pause::up_to(if held { POLL } else { Nanos(0) }, &mut self.pauses);
                self.lost(client, ask, intent, pause, now)
            }
            OpResult::Refused if now.since(self.open(intent).began) >= self.settings.intent_timeout => self.finish(intent),
            OpResult::Refused => {
                let pause = pause::up_to(POLL, &mut self.pauses);
                let attempt = ask.attempt.unwrap_or(0).saturating_add(1);
                Next::Again { pause, ask: self.read_request(intent, attempt, ask.key) }
            }
            OpResult::Done => {
                let held = Tagged { value: ask.call.writes().expect("only an update takes effect"), payload: ask.payload };
                *self.seen.of(client, ask.key) = Some(held);
                self.open(intent).phase = Phase::Releasing;
                let pause = pause::up_to(HOLD, &mut self.pauses);
                Next::Again { pause, ask: self.set(Some(held), FREE, intent, ask.attempt, ask.key) }
            }
            OpResult::Failed => {
                let open = self.open(intent);
                open.failures += 1;
                let failures = open.failures;
                let pause = pause::after_failure(failures, &mut self.pauses);
                self.lost(client, ask, intent, pause, now)
            }
            OpResult::Unknown => {
                if ask.call.writes().is_some() {
                    self.abandoned.insert(holder(intent));
                }
                self.finish(intent)
            }
        }
    }

    fn on_release_result(&mut self, client: u32, ask: &OpRequest, intent: IntentId, result: OpResult) -> Next {
        match result {
            OpResult::Done => {
                let free = Tagged { value: ask.call.writes().expect("only an update takes effect"), payload: ask.payload };
                *self.seen.of(client, ask.key) = Some(free);
                self.finish(intent)
            }
            // The client holds the lock until the release succeeds, however long that takes.
            OpResult::Failed => {
                let open = self.open(intent);
                open.failures += 1;
                let failures = open.failures;
                let pause = pause::after_failure(failures, &mut self.pauses);
                let Call::Cas { expected: Some(value), .. } = ask.call else { return self.finish(intent) };
                let held = Tagged { value, payload: ask.expected_payload };
                Next::Again { pause, ask: self.set(Some(held), FREE, intent, ask.attempt, ask.key) }
            }
            OpResult::Unknown => {
                self.abandoned.insert(holder(intent));
                self.finish(intent)
            }
            // Another client broke a held lock. The history shows that, and there is nothing left to release.
            OpResult::Saw(current) => {
                *self.seen.of(client, ask.key) = current;
                self.finish(intent)
            }
            OpResult::Refused => self.finish(intent),
        }
    }
}

impl Workload for Mutex {
    fn begin(&mut self, client: u32, now: Nanos) -> OpRequest {
        let key = self.settings.keys.draw(&mut self.choice);
        let intent = IntentId(self.next_intent);
        self.next_intent += 1;
        self.open.insert(intent, Open { began: now, failures: 0, phase: Phase::Taking });
        self.acquire_or_read(client, intent, 1, key)
    }

    fn on_result(&mut self, client: u32, ask: &OpRequest, result: OpResult, now: Nanos) -> Next {
        let intent = ask.intent.expect("every op of this workload has an intent");
        if result != OpResult::Failed {
            self.open(intent).failures = 0;
        }
        match self.open(intent).phase {
            Phase::Taking => self.on_acquire_result(client, ask, intent, result, now),
            Phase::Releasing => self.on_release_result(client, ask, intent, result),
        }
    }
}

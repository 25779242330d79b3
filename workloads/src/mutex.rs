//! The workload `mutex`: clients take a lock, hold it for a moment and release it.
//!
//! The holder rides beside the value: the number of the intent that took it, from 1, or 0 for a free lock. A client that
//! finds the lock held looks again after a pause; each look that finds it held is an attempt lost. A client whose take or
//! release has an unknown outcome is gone for good, so its lock may be taken over: that is no second holder, since the
//! first one never again acts on it.

use crate::pause;
use crate::retry::Settings;
use crate::workload::{Ask, Next, Seens, Tagged, Told, Values, Workload};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{Call, IntentId, Nanos, Path};
use std::collections::{BTreeMap, BTreeSet};

/// What rides beside the value of a free lock.
pub const FREE: i64 = 0;
/// The longest wait before a held lock is looked at again.
const POLL: Nanos = Nanos::from_ms(8);
/// The longest time a lock is held.
const HOLD: Nanos = Nanos::from_ms(4);

/// The number under which an intent holds a lock.
pub fn holder(intent: IntentId) -> i64 {
    i64::try_from(intent.0).unwrap_or(i64::MAX - 1) + 1
}

/// The generator. One for a whole run.
#[derive(Debug, Clone)]
pub struct Mutex {
    settings: Settings,
    choice: Pcg64,
    pauses: Pcg64,
    values: Values,
    seen: Seens,
    next_intent: u64,
    open: BTreeMap<IntentId, Open>,
    /// Holders that met an unknown outcome: one number each.
    gone: BTreeSet<i64>,
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
    /// A generator with its own streams of `seed`.
    pub fn new(settings: Settings, seed: Seed) -> Self {
        Mutex {
            settings,
            choice: seed.stream("load"),
            pauses: seed.stream("pauses"),
            values: Values::default(),
            seen: Seens::new(settings.clients, settings.keys.count() as usize),
            next_intent: 0,
            open: BTreeMap::new(),
            gone: BTreeSet::new(),
        }
    }

    fn look(&self, intent: IntentId, attempt: u32, key: u32) -> Ask {
        Ask {
            intent: Some(intent),
            attempt: Some(attempt),
            key,
            call: Call::Read,
            path: Path::Consensus,
            payload: None,
            expected_payload: None,
        }
    }

    fn set(&mut self, from: Option<Tagged>, to: i64, intent: IntentId, attempt: Option<u32>, key: u32) -> Ask {
        let call = Call::Cas { expected: from.map(|f| f.value), new: self.values.fresh() };
        Ask {
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
        seen.and_then(|s| s.payload).is_none_or(|h| h == FREE || self.gone.contains(&h))
    }

    /// Takes the lock if the client thinks it can be had, else looks.
    fn take_or_look(&mut self, client: u32, intent: IntentId, attempt: u32, key: u32) -> Ask {
        let seen = *self.seen.of(client, key);
        if self.may_be_taken(seen) { self.set(seen, holder(intent), intent, Some(attempt), key) } else { self.look(intent, attempt, key) }
    }

    fn over(&mut self, intent: IntentId) -> Next {
        self.open.remove(&intent);
        Next::Over
    }

    fn open(&mut self, intent: IntentId) -> &mut Open {
        self.open.get_mut(&intent).expect("an intent is told about only until it is over")
    }

    /// One try is lost; another, unless patience has run out.
    fn lost(&mut self, client: u32, ask: &Ask, intent: IntentId, pause: Nanos, now: Nanos) -> Next {
        if now.since(self.open(intent).began) >= self.settings.patience {
            return self.over(intent);
        }
        let attempt = ask.attempt.unwrap_or(0).saturating_add(1);
        Next::Again { pause, ask: self.take_or_look(client, intent, attempt, ask.key) }
    }

    fn told_taking(&mut self, client: u32, ask: &Ask, intent: IntentId, told: Told, now: Nanos) -> Next {
        match told {
            Told::Saw(current) => {
                *self.seen.of(client, ask.key) = current;
                if matches!(ask.call, Call::Read) && self.may_be_taken(current) {
                    let attempt = ask.attempt.unwrap_or(1);
                    return Next::Again { pause: Nanos(0), ask: self.take_or_look(client, intent, attempt, ask.key) };
                }
                let held = !self.may_be_taken(current);
                let pause = pause::up_to(if held { POLL } else { Nanos(0) }, &mut self.pauses);
                self.lost(client, ask, intent, pause, now)
            }
            Told::Refused if now.since(self.open(intent).began) >= self.settings.patience => self.over(intent),
            Told::Refused => {
                let pause = pause::up_to(POLL, &mut self.pauses);
                let attempt = ask.attempt.unwrap_or(0).saturating_add(1);
                Next::Again { pause, ask: self.look(intent, attempt, ask.key) }
            }
            Told::Done => {
                let held = Tagged { value: ask.call.writes().expect("only an update takes effect"), payload: ask.payload };
                *self.seen.of(client, ask.key) = Some(held);
                self.open(intent).phase = Phase::Releasing;
                let pause = pause::up_to(HOLD, &mut self.pauses);
                Next::Again { pause, ask: self.set(Some(held), FREE, intent, ask.attempt, ask.key) }
            }
            Told::Failed => {
                let open = self.open(intent);
                open.failures += 1;
                let failures = open.failures;
                let pause = pause::after_failure(failures, &mut self.pauses);
                self.lost(client, ask, intent, pause, now)
            }
            Told::Unknown => {
                if ask.call.writes().is_some() {
                    self.gone.insert(holder(intent));
                }
                self.over(intent)
            }
        }
    }

    fn told_releasing(&mut self, client: u32, ask: &Ask, intent: IntentId, told: Told) -> Next {
        match told {
            Told::Done => {
                let free = Tagged { value: ask.call.writes().expect("only an update takes effect"), payload: ask.payload };
                *self.seen.of(client, ask.key) = Some(free);
                self.over(intent)
            }
            // It holds the lock until the release is in, however long that takes.
            Told::Failed => {
                let open = self.open(intent);
                open.failures += 1;
                let failures = open.failures;
                let pause = pause::after_failure(failures, &mut self.pauses);
                let Call::Cas { expected: Some(value), .. } = ask.call else { return self.over(intent) };
                let held = Tagged { value, payload: ask.expected_payload };
                Next::Again { pause, ask: self.set(Some(held), FREE, intent, ask.attempt, ask.key) }
            }
            Told::Unknown => {
                self.gone.insert(holder(intent));
                self.over(intent)
            }
            // Somebody broke a lock that was held. The history shows it; there is nothing left to release.
            Told::Saw(current) => {
                *self.seen.of(client, ask.key) = current;
                self.over(intent)
            }
            Told::Refused => self.over(intent),
        }
    }
}

impl Workload for Mutex {
    fn begin(&mut self, client: u32, now: Nanos) -> Ask {
        let key = self.settings.keys.draw(&mut self.choice);
        let intent = IntentId(self.next_intent);
        self.next_intent += 1;
        self.open.insert(intent, Open { began: now, failures: 0, phase: Phase::Taking });
        self.take_or_look(client, intent, 1, key)
    }

    fn told(&mut self, client: u32, ask: &Ask, told: Told, now: Nanos) -> Next {
        let intent = ask.intent.expect("every op of this workload has an intent");
        if told != Told::Failed {
            self.open(intent).failures = 0;
        }
        match self.open(intent).phase {
            Phase::Taking => self.told_taking(client, ask, intent, told, now),
            Phase::Releasing => self.told_releasing(client, ask, intent, told),
        }
    }
}

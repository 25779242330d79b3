//! Clients that read and compare-and-set one key until they succeed: the engine of every workload whose intent is
//! "make my change to the latest state".
//!
//! A refused CAS tells what it met, so the next try needs no read. Where values carry a count, a try writes the count it
//! saw plus one. A client that meets an unknown outcome never tries again: its change may be in already.

use crate::keys::KeyChoice;
use crate::pause;
use crate::workload::{Ask, Next, Seens, Tagged, Told, Values, Workload};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{Call, Consistency, IntentId, Nanos, Path};
use std::collections::BTreeMap;

/// How an intent begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// With a read of the key.
    Look,
    /// With a CAS of what the client last saw.
    Leap,
}

/// What rides beside each value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// How many increments led here.
    Count,
}

/// What tells these workloads apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How an intent begins.
    pub first: First,
    /// What rides beside each value.
    pub beside: Beside,
    /// The longest wait after a refusal.
    pub pause: Nanos,
}

/// What all workloads with intents are given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Which keys, how evenly.
    pub keys: KeyChoice,
    /// Clients `0..clients`.
    pub clients: u32,
    /// A client gives up an intent after this.
    pub patience: Nanos,
    /// How many replicas take part in the ops that skip consensus, if there are any.
    pub consistency: Consistency,
}

/// The generator. One for a whole run: the counters of values and intents are in here.
#[derive(Debug, Clone)]
pub struct Retry {
    policy: Policy,
    settings: Settings,
    /// Draws keys and nothing else, so that intent i of a run falls on the same key for the same seed.
    choice: Pcg64,
    pauses: Pcg64,
    values: Values,
    seen: Seens,
    next_intent: u64,
    open: BTreeMap<IntentId, Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    began: Nanos,
    failures: u32,
}

impl Retry {
    /// A generator with its own streams of `seed`.
    pub fn new(policy: Policy, settings: Settings, seed: Seed) -> Self {
        Retry {
            policy,
            settings,
            choice: seed.stream("load"),
            pauses: seed.stream("pauses"),
            values: Values::default(),
            seen: Seens::new(settings.clients, settings.keys.count() as usize),
            next_intent: 0,
            open: BTreeMap::new(),
        }
    }

    fn look(intent: IntentId, attempt: u32, key: u32) -> Ask {
        let (intent, attempt) = (Some(intent), Some(attempt));
        Ask { intent, attempt, key, call: Call::Read, path: Path::Consensus, payload: None, expected_payload: None }
    }

    fn leap(&mut self, client: u32, intent: IntentId, attempt: u32, key: u32) -> Ask {
        let seen = *self.seen.of(client, key);
        let (payload, expected_payload) = match self.policy.beside {
            Beside::Nothing => (None, None),
            Beside::Count => {
                let before = seen.map(|s| s.payload.unwrap_or(0));
                (Some(before.unwrap_or(0).saturating_add(1)), before)
            }
        };
        let call = Call::Cas { expected: seen.map(|s| s.value), new: self.values.fresh() };
        Ask { intent: Some(intent), attempt: Some(attempt), key, call, path: Path::Consensus, payload, expected_payload }
    }

    fn open(&mut self, intent: IntentId) -> &mut Open {
        self.open.get_mut(&intent).expect("an intent is told about only until it is over")
    }

    fn over(&mut self, intent: IntentId) -> Next {
        self.open.remove(&intent);
        Next::Over
    }

    /// The next try at the intent, unless patience has run out.
    fn try_again(&mut self, client: u32, ask: &Ask, intent: IntentId, pause: Nanos, now: Nanos, with: First) -> Next {
        if now.since(self.open(intent).began) >= self.settings.patience {
            return self.over(intent);
        }
        let attempt = ask.attempt.unwrap_or(0).saturating_add(1);
        let ask = match with {
            First::Look => Self::look(intent, attempt, ask.key),
            First::Leap => self.leap(client, intent, attempt, ask.key),
        };
        Next::Again { pause, ask }
    }
}

impl Workload for Retry {
    fn begin(&mut self, client: u32, now: Nanos) -> Ask {
        let key = self.settings.keys.draw(&mut self.choice);
        let intent = IntentId(self.next_intent);
        self.next_intent += 1;
        self.open.insert(intent, Open { began: now, failures: 0 });
        match self.policy.first {
            First::Look => Self::look(intent, 1, key),
            First::Leap => self.leap(client, intent, 1, key),
        }
    }

    fn told(&mut self, client: u32, ask: &Ask, told: Told, now: Nanos) -> Next {
        let intent = ask.intent.expect("every op of this workload has an intent");
        let read = matches!(ask.call, Call::Read);
        if told != Told::Failed {
            self.open(intent).failures = 0;
        }
        match told {
            Told::Saw(current) => {
                *self.seen.of(client, ask.key) = current;
                if read {
                    let ask = self.leap(client, intent, ask.attempt.unwrap_or(1), ask.key);
                    return Next::Again { pause: Nanos(0), ask };
                }
                let pause = pause::up_to(self.policy.pause, &mut self.pauses);
                self.try_again(client, ask, intent, pause, now, First::Leap)
            }
            Told::Refused => {
                let pause = pause::up_to(self.policy.pause, &mut self.pauses);
                self.try_again(client, ask, intent, pause, now, First::Look)
            }
            Told::Done => {
                let value = ask.call.writes().expect("only an update takes effect");
                *self.seen.of(client, ask.key) = Some(Tagged { value, payload: ask.payload });
                self.over(intent)
            }
            Told::Failed => {
                let open = self.open(intent);
                open.failures += 1;
                let failures = open.failures;
                let pause = pause::after_failure(failures, &mut self.pauses);
                self.try_again(client, ask, intent, pause, now, if read { First::Look } else { First::Leap })
            }
            Told::Unknown => self.over(intent),
        }
    }
}

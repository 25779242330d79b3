//! Clients that read and compare-and-set one key until they succeed. This module implements every workload whose intent
//! is "apply my change to the latest state".
//!
//! A refused CAS reports the value it found, so the next attempt needs no read. If values carry a count, an attempt
//! writes the count it saw plus one. After an unknown outcome, a client never retries, because its change may already
//! have been applied.

use crate::keys::KeyChoice;
use crate::pause;
use crate::workload::{LastSeen, Next, OpRequest, OpResult, Tagged, Values, Workload};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{Call, Consistency, IntentId, Nanos, Path};
use std::collections::BTreeMap;

/// How an intent starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstStep {
    /// With a read of the key.
    Read,
    /// With a CAS of the value that the client last saw.
    Cas,
}

/// The payload of each value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// No payload.
    Nothing,
    /// Number of increments so far.
    Count,
}

/// The settings in which these workloads differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How an intent starts.
    pub first: FirstStep,
    /// The payload of each value.
    pub payload: Payload,
    /// Maximum wait after a refusal.
    pub pause: Nanos,
}

/// Settings shared by all workloads with intents.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The distribution of keys.
    pub keys: KeyChoice,
    /// Number of clients; they are numbered from 0.
    pub clients: u32,
    /// Time after which a client abandons an intent.
    pub intent_timeout: Nanos,
    /// Number of replicas that take part in ops that bypass consensus, if there are any.
    pub consistency: Consistency,
}

/// The generator. A run has exactly one, because it holds the counters for values and intents.
#[derive(Debug, Clone)]
pub struct Retry {
    policy: Policy,
    settings: Settings,
    /// Draws only keys, so that intent i of a run uses the same key for the same seed.
    choice: Pcg64,
    pauses: Pcg64,
    values: Values,
    seen: LastSeen,
    next_intent: u64,
    open: BTreeMap<IntentId, Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    began: Nanos,
    failures: u32,
}

impl Retry {
    /// Creates a generator with its own streams of `seed`.
    pub fn new(policy: Policy, settings: Settings, seed: Seed) -> Self {
        Retry {
            policy,
            settings,
            choice: seed.stream("load"),
            pauses: seed.stream("pauses"),
            values: Values::default(),
            seen: LastSeen::new(settings.clients, settings.keys.count() as usize),
            next_intent: 0,
            open: BTreeMap::new(),
        }
    }

    fn read_request(intent: IntentId, attempt: u32, key: u32) -> OpRequest {
        let (intent, attempt) = (Some(intent), Some(attempt));
        OpRequest { intent, attempt, key, call: Call::Read, path: Path::Consensus, payload: None, expected_payload: None }
    }

    fn cas_request(&mut self, client: u32, intent: IntentId, attempt: u32, key: u32) -> OpRequest {
        let seen = *self.seen.of(client, key);
        let (payload, expected_payload) = match self.policy.payload {
            Payload::Nothing => (None, None),
            Payload::Count => {
                let before = seen.map(|s| s.payload.unwrap_or(0));
                (Some(before.unwrap_or(0).saturating_add(1)), before)
            }
        };
        let call = Call::Cas { expected: seen.map(|s| s.value), new: self.values.fresh() };
        OpRequest { intent: Some(intent), attempt: Some(attempt), key, call, path: Path::Consensus, payload, expected_payload }
    }

    fn open(&mut self, intent: IntentId) -> &mut Open {
        self.open.get_mut(&intent).expect("results arrive only for open intents")
    }

    fn finish(&mut self, intent: IntentId) -> Next {
        self.open.remove(&intent);
        Next::Over
    }

    /// Returns the next attempt of the intent, unless the time limit is reached.
    fn try_again(&mut self, client: u32, ask: &OpRequest, intent: IntentId, pause: Nanos, now: Nanos, with: FirstStep) -> Next {
        if now.since(self.open(intent).began) >= self.settings.intent_timeout {
            return self.finish(intent);
        }
        let attempt = ask.attempt.unwrap_or(0).saturating_add(1);
        let ask = match with {
            FirstStep::Read => Self::read_request(intent, attempt, ask.key),
            FirstStep::Cas => self.cas_request(client, intent, attempt, ask.key),
        };
        Next::Again { pause, ask }
    }
}

impl Workload for Retry {
    fn begin(&mut self, client: u32, now: Nanos) -> OpRequest {
        let key = self.settings.keys.draw(&mut self.choice);
        let intent = IntentId(self.next_intent);
        self.next_intent += 1;
        self.open.insert(intent, Open { began: now, failures: 0 });
        match self.policy.first {
            FirstStep::Read => Self::read_request(intent, 1, key),
            FirstStep::Cas => self.cas_request(client, intent, 1, key),
        }
    }

    fn on_result(&mut self, client: u32, ask: &OpRequest, result: OpResult, now: Nanos) -> Next {
        let intent = ask.intent.expect("every op of this workload has an intent");
        let read = matches!(ask.call, Call::Read);
        if result != OpResult::Failed {
            self.open(intent).failures = 0;
        }
        match result {
            OpResult::Saw(current) => {
                *self.seen.of(client, ask.key) = current;
                if read {
                    let ask = self.cas_request(client, intent, ask.attempt.unwrap_or(1), ask.key);
                    return Next::Again { pause: Nanos(0), ask };
                }
                let pause = pause::up_to(self.policy.pause, &mut self.pauses);
                self.try_again(client, ask, intent, pause, now, FirstStep::Cas)
            }
            OpResult::Refused => {
                let pause = pause::up_to(self.policy.pause, &mut self.pauses);
                self.try_again(client, ask, intent, pause, now, FirstStep::Read)
            }
            OpResult::Done => {
                let value = ask.call.writes().expect("only an update takes effect");
                *self.seen.of(client, ask.key) = Some(Tagged { value, payload: ask.payload });
                self.finish(intent)
            }
            OpResult::Failed => {
                let open = self.open(intent);
                open.failures += 1;
                let failures = open.failures;
                let pause = pause::after_failure(failures, &mut self.pauses);
                self.try_again(client, ask, intent, pause, now, if read { FirstStep::Read } else { FirstStep::Cas })
            }
            OpResult::Unknown => self.finish(intent),
        }
    }
}

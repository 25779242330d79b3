//! The workload `cas-register`: clients read, write and compare-and-set a few contended registers.
//!
//! Every value written in a run is unique, taken from one counter, so that a value tells its writer and the
//! judge needs no search. A CAS expects what its client last saw of the key, which makes it apply or be
//! refused by contention alone; a refusal tells the client the value it met.

use crate::keys::KeyChoice;
use crate::mix::{Kind, Mix};
use heckle_history::{Call, Value};
use rand::Rng;

/// What one op asks, with its key as a place in the plan's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Which key.
    pub key: u32,
    /// What is asked of it.
    pub call: Call,
}

/// Settings of the workload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Shares of the kinds of op.
    pub mix: Mix,
    /// Which keys, how evenly.
    pub keys: KeyChoice,
}

/// The generator. One for a whole run: the counter of values is in here.
#[derive(Debug, Clone)]
pub struct CasRegister<R> {
    settings: Settings,
    rng: R,
    last_value: i64,
    /// What each client last saw of each key: `client * keys + key`.
    seen: Vec<Option<Value>>,
    keys: usize,
}

impl<R: Rng> CasRegister<R> {
    /// A generator for clients `0..clients`.
    pub fn new(settings: Settings, clients: u32, rng: R) -> Self {
        let keys = settings.keys.names().len();
        CasRegister { settings, rng, last_value: 0, seen: vec![None; clients as usize * keys], keys }
    }

    /// The next op, sent by `client`.
    pub fn next(&mut self, client: u32) -> Choice {
        // Kind and key are drawn before anything that depends on timing is looked at: op i of a run has the
        // same kind and key for the same seed, whatever the cluster did meanwhile.
        let kind = self.settings.mix.draw(&mut self.rng);
        let key = self.settings.keys.draw(&mut self.rng);
        let call = match kind {
            Kind::Read => Call::Read,
            Kind::Write => Call::Write { new: self.fresh() },
            Kind::Cas => Call::Cas { expected: self.seen[self.slot(client, key)], new: self.fresh() },
        };
        Choice { key, call }
    }

    /// Tells the generator what `client` learned of `key`.
    pub fn saw(&mut self, client: u32, key: u32, value: Option<Value>) {
        let slot = self.slot(client, key);
        self.seen[slot] = value;
    }

    fn slot(&self, client: u32, key: u32) -> usize {
        client as usize * self.keys + key as usize
    }

    fn fresh(&mut self) -> Value {
        self.last_value += 1;
        Value(self.last_value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::prng::Seed;

    fn generator(seed: u64) -> CasRegister<heckle_history::prng::Pcg64> {
        let settings = Settings { mix: Mix::default(), keys: KeyChoice::new(4, 0.0) };
        CasRegister::new(settings, 3, Seed(seed).stream("load"))
    }

    #[test]
    fn values_are_unique_and_cas_expects_what_its_client_saw() {
        let mut g = generator(1);
        let mut written = std::collections::BTreeSet::new();
        let mut seen = std::collections::BTreeMap::new();
        for i in 0..5_000u32 {
            let client = i % 3;
            let choice = g.next(client);
            if let Some(v) = choice.call.writes() {
                assert!(written.insert(v), "{v} twice");
            }
            if let Call::Cas { expected, new } = choice.call {
                assert_eq!(expected, seen.get(&(client, choice.key)).copied());
                assert_ne!(expected, Some(new));
            }
            if let (Some(v), true) = (choice.call.writes(), i % 2 == 0) {
                g.saw(client, choice.key, Some(v));
                seen.insert((client, choice.key), v);
            }
        }
    }

    #[test]
    fn the_seed_fixes_kinds_and_keys_whatever_was_seen() {
        let (mut a, mut b) = (generator(7), generator(7));
        for i in 0..1_000 {
            let (x, y) = (a.next(i % 3), b.next(i % 3));
            assert_eq!((x.key, x.call.name()), (y.key, y.call.name()));
            b.saw(i % 3, y.key, Some(Value(i64::from(i))));
        }
    }
}

//! The workloads `cas-register` and `mixed`: clients read, write and compare-and-set a few contended registers.
//!
//! Every value written in a run is unique, taken from one counter, so that a value tells its writer and the
//! judge needs no search. In `mixed`, part of the reads and writes skip consensus. A CAS expects what its client last saw of the key, which makes it apply or be
//! refused by contention alone; a refusal tells the client the value it met.

use crate::keys::KeyChoice;
use crate::mix::{Kind, Mix};
use crate::workload::{Ask, Next, Seens, Tagged, Told, Values, Workload};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{Call, Consistency, Nanos, Path};

/// Settings of the workload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Shares of the kinds of op.
    pub mix: Mix,
    /// Which keys, how evenly.
    pub keys: KeyChoice,
    /// How many replicas take part in the ops that skip consensus, if there are any.
    pub consistency: Consistency,
}

/// The generator. One for a whole run: the counter of values is in here.
#[derive(Debug, Clone)]
pub struct CasRegister {
    settings: Settings,
    rng: Pcg64,
    values: Values,
    seen: Seens,
}

impl CasRegister {
    /// A generator for clients `0..clients`, with its own stream of `seed`.
    pub fn new(settings: Settings, clients: u32, seed: Seed) -> Self {
        let seen = Seens::new(clients, settings.keys.count() as usize);
        CasRegister { settings, rng: seed.stream("load"), values: Values::default(), seen }
    }
}

impl Workload for CasRegister {
    fn begin(&mut self, client: u32, _now: Nanos) -> Ask {
        // Kind and key are drawn before anything that depends on timing is looked at: op i of a run has the
        // same kind and key for the same seed, whatever the cluster did meanwhile.
        let kind = self.settings.mix.draw(&mut self.rng);
        let key = self.settings.keys.draw(&mut self.rng);
        let call = match kind {
            Kind::Read | Kind::Get => Call::Read,
            Kind::Write | Kind::Put => Call::Write { new: self.values.fresh() },
            Kind::Cas => Call::Cas { expected: self.seen.of(client, key).map(|s| s.value), new: self.values.fresh() },
        };
        let path = match kind {
            Kind::Cas | Kind::Read | Kind::Write => Path::Consensus,
            Kind::Get | Kind::Put => Path::LastWriteWins(self.settings.consistency),
        };
        Ask { intent: None, attempt: None, key, call, path, payload: None, expected_payload: None }
    }

    /// Every op stands for itself: a client only remembers what it saw.
    fn told(&mut self, client: u32, ask: &Ask, told: Told, _now: Nanos) -> Next {
        match (told, ask.call.writes()) {
            (Told::Saw(current), _) => *self.seen.of(client, ask.key) = current,
            (Told::Done, Some(value)) => *self.seen.of(client, ask.key) = Some(Tagged { value, payload: None }),
            (Told::Done, None) | (Told::Refused | Told::Failed | Told::Unknown, _) => {}
        }
        Next::Over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::Value;

    fn generator(seed: u64) -> CasRegister {
        let settings = Settings { mix: Mix::default(), keys: KeyChoice::new(4, 0.0), consistency: Consistency::Quorum };
        CasRegister::new(settings, 3, Seed(seed))
    }

    #[test]
    fn values_are_unique_and_cas_expects_what_its_client_saw() {
        let mut g = generator(1);
        let mut written = std::collections::BTreeSet::new();
        let mut seen = std::collections::BTreeMap::new();
        for i in 0..5_000u32 {
            let client = i % 3;
            let ask = g.begin(client, Nanos(0));
            if let Some(v) = ask.call.writes() {
                assert!(written.insert(v), "{v} twice");
            }
            if let Call::Cas { expected, new } = ask.call {
                assert_eq!(expected, seen.get(&(client, ask.key)).copied());
                assert_ne!(expected, Some(new));
            }
            let took_effect = i % 2 == 0;
            if let (Some(v), true) = (ask.call.writes(), took_effect) {
                assert_eq!(g.told(client, &ask, Told::Done, Nanos(1)), Next::Over);
                seen.insert((client, ask.key), v);
            } else {
                assert_eq!(g.told(client, &ask, Told::Unknown, Nanos(1)), Next::Over);
            }
        }
    }

    #[test]
    fn the_seed_fixes_kinds_and_keys_whatever_was_seen() {
        let (mut a, mut b) = (generator(7), generator(7));
        for i in 0..1_000 {
            let (x, y) = (a.begin(i % 3, Nanos(0)), b.begin(i % 3, Nanos(9)));
            assert_eq!((x.key, x.call.name()), (y.key, y.call.name()));
            let other = Tagged { value: Value(i64::from(i)), payload: None };
            b.told(i % 3, &y, Told::Saw(Some(other)), Nanos(9));
        }
    }
}

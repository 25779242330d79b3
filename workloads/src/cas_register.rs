//! The workloads `cas-register` and `mixed`: clients read, write and compare-and-set a few contended registers.
//!
//! Every value written in a run is unique and taken from one counter, so a value identifies its writer and the judge
//! needs no search. In `mixed`, some of the reads and writes bypass consensus. A CAS expects the value that its client
//! last saw for the key, so only contention causes a refusal. A refusal reports the value it found.

use crate::keys::KeyChoice;
use crate::mix::{Kind, Mix};
use crate::workload::{LastSeen, Next, OpRequest, OpResult, Tagged, Values, Workload};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{Call, Consistency, Nanos, Path};

/// Settings of the workload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Shares of the kinds of op.
    pub mix: Mix,
    /// The distribution of keys.
    pub keys: KeyChoice,
    /// Number of replicas that take part in ops that bypass consensus, if there are any.
    pub consistency: Consistency,
}

/// The generator. A run has exactly one, because it holds the counter for values.
#[derive(Debug, Clone)]
pub struct CasRegister {
    settings: Settings,
    rng: Pcg64,
    values: Values,
    seen: LastSeen,
}

impl CasRegister {
    /// Creates a generator for clients `0..clients`, with its own stream of `seed`.
    pub fn new(settings: Settings, clients: u32, seed: Seed) -> Self {
        let seen = LastSeen::new(clients, settings.keys.count() as usize);
        CasRegister { settings, rng: seed.stream("load"), values: Values::default(), seen }
    }
}

impl Workload for CasRegister {
    fn begin(&mut self, client: u32, _now: Nanos) -> OpRequest {
        // Kind and key are drawn before any timing-dependent state is used, so op i of a run has the same kind and key
        // for the same seed, regardless of the cluster.
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
        OpRequest { intent: None, attempt: None, key, call, path, payload: None, expected_payload: None }
    }

    /// Every op is independent; a client only remembers the last value it saw.
    fn on_result(&mut self, client: u32, ask: &OpRequest, result: OpResult, _now: Nanos) -> Next {
        match (result, ask.call.writes()) {
            (OpResult::Saw(current), _) => *self.seen.of(client, ask.key) = current,
            (OpResult::Done, Some(value)) => *self.seen.of(client, ask.key) = Some(Tagged { value, payload: None }),
            (OpResult::Done, None) | (OpResult::Refused | OpResult::Failed | OpResult::Unknown, _) => {}
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
                assert_eq!(g.on_result(client, &ask, OpResult::Done, Nanos(1)), Next::Over);
                seen.insert((client, ask.key), v);
            } else {
                assert_eq!(g.on_result(client, &ask, OpResult::Unknown, Nanos(1)), Next::Over);
            }
        }
    }

    #[test]
    fn kinds_and_keys_depend_only_on_the_seed() {
        let (mut a, mut b) = (generator(7), generator(7));
        for i in 0..1_000 {
            let (x, y) = (a.begin(i % 3, Nanos(0)), b.begin(i % 3, Nanos(9)));
            assert_eq!((x.key, x.call.name()), (y.key, y.call.name()));
            let other = Tagged { value: Value(i64::from(i)), payload: None };
            b.on_result(i % 3, &y, OpResult::Saw(Some(other)), Nanos(9));
        }
    }
}

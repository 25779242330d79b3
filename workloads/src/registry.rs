//! Workloads by name: the list behind `--workload`, and the one place where a name becomes a generator.

use crate::cas_register::{self, CasRegister};
use crate::mix::Mix;
use crate::mutex::Mutex;
use crate::pacing::Pace;
use crate::retry::{Beside, First, Policy, Retry, Settings};
use crate::workload::Workload;
use heckle_history::Nanos;
use heckle_history::prng::Seed;

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkloadInfo {
    /// Its name in plans and flags.
    pub name: &'static str,
    /// The model its history is judged by.
    pub model: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// What rides beside each value, by the name under which the judge checks it.
    pub projection: Option<&'static str>,
    /// Keys, unless the plan says otherwise.
    pub keys: u32,
    /// Ops (intents) a second, unless the plan says otherwise.
    pub rate: DefaultRate,
    /// How arrivals lie in time.
    pub pace: Pace,
    /// What it needs around it, unless the plan says otherwise.
    pub around: EnvironmentDefaults,
    engine: Engine,
}

/// How fast a workload goes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultRate {
    /// Open loop, so many a second.
    PerSecond(u32),
    /// Closed loop.
    Max,
}

/// What a workload needs around it to be what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvironmentDefaults {
    /// Nothing.
    Nothing,
    /// One client far away, and one node whose clock is behind.
    FarClientAndSlowClock {
        /// Each way between the first client and its node.
        far: Nanos,
        /// How far the last node's clock is behind.
        behind: Nanos,
    },
    /// One node whose clock is behind.
    SlowClock {
        /// How far the last node's clock is behind.
        behind: Nanos,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    CasRegister,
    Retry(Policy),
    Mutex,
    Mixed,
}

const HOT_KEY: Policy = Policy { first: First::Look, beside: Beside::Nothing, pause: Nanos::from_ms(2) };

/// All workloads.
pub const WORKLOADS: &[WorkloadInfo] = &[
    WorkloadInfo {
        name: "cas-register",
        about: "clients read, write and compare-and-set a few contended registers; every value is unique",
        model: "cas-register",
        projection: None,
        keys: 4,
        rate: DefaultRate::PerSecond(400),
        pace: Pace::Even,
        around: EnvironmentDefaults::Nothing,
        engine: Engine::CasRegister,
    },
    WorkloadInfo {
        name: "hot-key",
        about: "each client reads one key and compare-and-sets it until it succeeds",
        model: "cas-register",
        projection: None,
        keys: 1,
        rate: DefaultRate::Max,
        pace: Pace::Even,
        around: EnvironmentDefaults::Nothing,
        engine: Engine::Retry(HOT_KEY),
    },
    WorkloadInfo {
        name: "counter",
        about: "each client increments one counter; the count rides beside a unique value",
        model: "cas-register",
        projection: Some("counter"),
        keys: 1,
        rate: DefaultRate::Max,
        pace: Pace::Even,
        around: EnvironmentDefaults::Nothing,
        engine: Engine::Retry(Policy { first: First::Leap, beside: Beside::Count, pause: Nanos::from_ms(2) }),
    },
    WorkloadInfo {
        name: "mutex",
        about: "each client takes a lock, holds it for a moment and releases it; the holder rides beside a unique value",
        model: "cas-register",
        projection: Some("mutex"),
        keys: 1,
        rate: DefaultRate::Max,
        pace: Pace::Even,
        around: EnvironmentDefaults::Nothing,
        engine: Engine::Mutex,
    },
    WorkloadInfo {
        name: "duel",
        about: "clients of all nodes compare-and-set one key without a pause, so that coordinators outbid each other",
        model: "cas-register",
        projection: None,
        keys: 1,
        rate: DefaultRate::Max,
        pace: Pace::Even,
        around: EnvironmentDefaults::Nothing,
        engine: Engine::Retry(Policy { first: First::Leap, beside: Beside::Nothing, pause: Nanos(0) }),
    },
    WorkloadInfo {
        name: "mixed-speed",
        about: "as hot-key, with the first client far away and the last node's clock behind",
        model: "cas-register",
        projection: None,
        keys: 1,
        rate: DefaultRate::Max,
        pace: Pace::Even,
        around: EnvironmentDefaults::FarClientAndSlowClock { far: Nanos::from_ms(10), behind: Nanos::from_ms(2_000) },
        engine: Engine::Retry(HOT_KEY),
    },
    WorkloadInfo {
        name: "convoy",
        about: "as hot-key, but all that is due within a second arrives at once",
        model: "cas-register",
        projection: None,
        keys: 1,
        rate: DefaultRate::PerSecond(30),
        pace: Pace::Bursts { every: Nanos::from_ms(1_000) },
        around: EnvironmentDefaults::Nothing,
        engine: Engine::Retry(HOT_KEY),
    },
    WorkloadInfo {
        name: "mixed",
        about: "as cas-register, but part of the reads and writes skip consensus, where the last write wins: must be found invalid",
        model: "cas-register",
        projection: None,
        keys: 4,
        rate: DefaultRate::PerSecond(400),
        pace: Pace::Even,
        // No more than clocks differ that are well kept: puts are stamped by them.
        around: EnvironmentDefaults::SlowClock { behind: Nanos::from_ms(20) },
        engine: Engine::Mixed,
    },
];

/// The workload called `name`.
pub fn find(name: &str) -> Option<&'static WorkloadInfo> {
    WORKLOADS.iter().find(|w| w.name == name)
}

impl WorkloadInfo {
    /// Whether it asks by the shares of a mix.
    pub fn takes_mix(&self) -> bool {
        matches!(self.engine, Engine::CasRegister | Engine::Mixed)
    }

    /// Whether its clients keep intents over several attempts.
    pub fn has_intents(&self) -> bool {
        !matches!(self.engine, Engine::CasRegister | Engine::Mixed)
    }

    /// Whether part of it may skip consensus.
    pub fn skips_consensus(&self) -> bool {
        self.engine == Engine::Mixed
    }

    /// The shares of its ops, unless the plan says otherwise.
    pub fn mix(&self) -> Mix {
        if self.skips_consensus() { Mix::MIXED } else { Mix::default() }
    }

    /// Its generator, with its own streams of `seed`.
    pub fn generator(&self, mix: Mix, settings: Settings, seed: Seed) -> Box<dyn Workload> {
        match self.engine {
            Engine::CasRegister | Engine::Mixed => {
                let own = cas_register::Settings { mix, keys: settings.keys, consistency: settings.consistency };
                Box::new(CasRegister::new(own, settings.clients, seed))
            }
            Engine::Retry(policy) => Box::new(Retry::new(policy, settings, seed)),
            Engine::Mutex => Box::new(Mutex::new(settings, seed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for w in WORKLOADS {
            assert_eq!(WORKLOADS.iter().filter(|o| o.name == w.name).count(), 1, "{}", w.name);
            assert_eq!(find(w.name), Some(w));
            assert_eq!(w.model, "cas-register", "every workload stays inside the chain checker's fragment");
        }
        assert_eq!(find("cas-registr"), None);
    }
}

//! Workloads by name: the list behind `--workload`, and the only place where a name becomes a generator.

use crate::cas_register::{self, CasRegister};
use crate::mix::Mix;
use crate::mutex::Mutex;
use crate::pacing::Pace;
use crate::retry::{FirstStep, Payload, Policy, Retry, Settings};
use crate::workload::Workload;
use heckle_history::Nanos;
use heckle_history::prng::Seed;

/// One workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkloadInfo {
    /// Name used in plans and flags.
    pub name: &'static str,
    /// Model used to check the history.
    pub model: &'static str,
    /// Description in one line.
    pub about: &'static str,
    /// Name of the rule by which the judge checks payloads; `None` if values have no payload.
    pub projection: Option<&'static str>,
    /// Default number of keys.
    pub keys: u32,
    /// Default rate, in ops (intents) per second.
    pub rate: DefaultRate,
    /// How arrivals are distributed in time.
    pub pace: Pace,
    /// Environment that the workload sets by default.
    pub environment: EnvironmentDefaults,
    engine: Engine,
}

/// The default rate of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultRate {
    /// Open loop, with this many arrivals per second.
    PerSecond(u32),
    /// Closed loop, at the maximum rate.
    Max,
}

/// The environment that a workload is designed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvironmentDefaults {
    /// No changes to the environment.
    Nothing,
    /// One remote client, and one node whose clock is behind.
    FarClientAndSlowClock {
        /// One-way delay between the first client and its node.
        far: Nanos,
        /// How far the clock of the last node is behind.
        behind: Nanos,
    },
    /// One node whose clock is behind.
    SlowClock {
        /// How far the clock of the last node is behind.
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

const HOT_KEY: Policy = Policy { first: FirstStep::Read, payload: Payload::Nothing, pause: Nanos::from_ms(2) };

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
        environment: EnvironmentDefaults::Nothing,
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
        environment: EnvironmentDefaults::Nothing,
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
        environment: EnvironmentDefaults::Nothing,
        engine: Engine::Retry(Policy { first: FirstStep::Cas, payload: Payload::Count, pause: Nanos::from_ms(2) }),
    },
    WorkloadInfo {
        name: "mutex",
        about: "each client takes a lock, holds it for a moment and releases it; the holder rides beside a unique value",
        model: "cas-register",
        projection: Some("mutex"),
        keys: 1,
        rate: DefaultRate::Max,
        pace: Pace::Even,
        environment: EnvironmentDefaults::Nothing,
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
        environment: EnvironmentDefaults::Nothing,
        engine: Engine::Retry(Policy { first: FirstStep::Cas, payload: Payload::Nothing, pause: Nanos(0) }),
    },
    WorkloadInfo {
        name: "mixed-speed",
        about: "as hot-key, with the first client far away and the last node's clock behind",
        model: "cas-register",
        projection: None,
        keys: 1,
        rate: DefaultRate::Max,
        pace: Pace::Even,
        environment: EnvironmentDefaults::FarClientAndSlowClock { far: Nanos::from_ms(10), behind: Nanos::from_ms(2_000) },
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
        environment: EnvironmentDefaults::Nothing,
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
        // No more than the offset between well-synchronised clocks, because the puts are timestamped by clocks.
        environment: EnvironmentDefaults::SlowClock { behind: Nanos::from_ms(20) },
        engine: Engine::Mixed,
    },
];

/// Returns the workload named `name`.
pub fn find(name: &str) -> Option<&'static WorkloadInfo> {
    WORKLOADS.iter().find(|w| w.name == name)
}

impl WorkloadInfo {
    /// Returns whether its ops follow the shares of a mix.
    pub fn takes_mix(&self) -> bool {
        matches!(self.engine, Engine::CasRegister | Engine::Mixed)
    }

    /// Returns whether its clients have intents that span several attempts.
    pub fn has_intents(&self) -> bool {
        !matches!(self.engine, Engine::CasRegister | Engine::Mixed)
    }

    /// Returns whether some of its ops may bypass consensus.
    pub fn skips_consensus(&self) -> bool {
        self.engine == Engine::Mixed
    }

    /// Returns the default shares of its ops.
    pub fn mix(&self) -> Mix {
        if self.skips_consensus() { Mix::MIXED } else { Mix::default() }
    }

    /// Creates the generator, with its own streams of `seed`.
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

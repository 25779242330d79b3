//! Compares the bundled server with etcd on the same machine, at the same time, through the same client loop, for `heckle
//! bench etcd`. Repetitions of the two systems alternate, each on a fresh cluster, and medians are reported.

mod growth;
#[cfg(feature = "etcd")]
mod grpc; // etcd over gRPC, its fastest client
mod limit;
mod load;
pub mod memory;
mod bench_cluster;
mod table;

pub(crate) use limit::median;
pub use limit::sync_child;
pub use table::Measurements;

use crate::plan::Plan;
use crate::plan::settings::Settings;
use crate::plan::units::Span;
use crate::systems;
use bench_cluster::BenchCluster;
use limit::Limit;
use load::Load;
use std::path::PathBuf;
use std::time::Duration;

/// Message that explains why etcd is not measured, and what to do.
pub const GRPC_MISSING: &str = "this heckle was built without a gRPC client, and etcd is not measured over anything slower: build it with \
    `cargo build --release --features etcd` (which needs protoc; Debian and Ubuntu: apt-get install etcd-server protobuf-compiler \
    libprotobuf-dev)";

/// Settings of the measurement.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Number of repetitions, over which medians are taken.
    pub repetitions: u32,
    /// Length of each load.
    pub load_for: Duration,
    /// Parent folder for the data of the clusters.
    pub folder: PathBuf,
}

/// Number of keys of the wide load.
const KEYS: u32 = 100;
/// Number of clients of the wide load.
const MANY_CLIENTS: u32 = 50;
/// Number of clients of the hot key.
const HOT_CLIENTS: u32 = 32;
/// Duration of the load before the measurement, in which leases, leaders and connections are established.
const WARM_UP: Duration = Duration::from_millis(700);
const NODES: u16 = 3;
/// Name of the bundled server.
const BUNDLED_SERVER: &str = heckle_system_paxos::NAME;

/// Settings of the bundled server for the comparison with etcd: all of its optimizations.
const FASTEST_SETTINGS: &str = "[system.paxos]\nrounds = \"fast\"\nlease = \"priority\"\nforward = \"on\"\n";

/// A rounds setting to measure with one client, and the parts of its lower bound.
struct Mode {
    name: &'static str,
    /// Number of round trips between nodes, in addition to the client's own.
    round_trips: u32,
    /// Number of sequential syncs.
    syncs: u32,
}

/// The costs of a `cas` in each mode, from docs/rounds.md.
const MODES: &[Mode] = &[
    Mode { name: "classic", round_trips: 4, syncs: 3 },
    Mode { name: "merged", round_trips: 3, syncs: 3 },
    Mode { name: "async-learn", round_trips: 2, syncs: 2 },
    // Applies from a coordinator's second operation on a key.
    Mode { name: "fast", round_trips: 1, syncs: 1 },
];

/// One repetition of one system.
#[derive(Debug, Clone, Default, PartialEq)]
struct Repetition {
    /// Transactions per second, with 50 clients on 100 keys.
    txn_per_s: f64,
    /// Transactions per second whose condition was met.
    applied_per_s: f64,
    /// Syncs per transaction and node under that load.
    fsyncs_per_op: Option<f64>,
    /// Median CAS latency with one client, in microseconds.
    alone_p50_us: f64,
    /// Intents per second, with 32 clients on one key.
    hot_intents_per_s: f64,
    /// CAS operations per intent on that key.
    hot_attempts: f64,
    /// Operations without an answer, over all loads.
    unanswered: u64,
}

/// Measures everything. Reports progress to `progress`.
///
/// # Errors
/// Describes what could not be started or measured.
pub fn measure(setup: &Setup, progress: &dyn Fn(&str)) -> Result<Measurements, String> {
    let mut measured = Measurements::new(setup.clone());
    for round in 1..=setup.repetitions {
        progress(&format!("repetition {round} of {}: the limits of this machine", setup.repetitions));
        measured.limits.push(Limit::measure(&setup.folder)?);
        for (system, settings) in systems_to_compare() {
            progress(&format!("repetition {round} of {}: {}", setup.repetitions, system));
            let repetition = repetition(setup, system, settings)?;
            measured.of(system).push(repetition);
        }
        for mode in MODES {
            progress(&format!("repetition {round} of {}: one client, rounds {}", setup.repetitions, mode.name));
            let settings = format!("[system.paxos]\nrounds = \"{}\"\n", mode.name);
            let standing = BenchCluster::start(&setup.folder, plan(BUNDLED_SERVER, &settings)?)?;
            let alone = load::run(&standing, &Load::wide(1, KEYS, setup.load_for))?;
            measured.mode(mode, alone.p50_us());
        }
    }
    Ok(measured)
}

fn systems_to_compare() -> Vec<(&'static str, &'static str)> {
    vec![
        (BUNDLED_SERVER, FASTEST_SETTINGS),
        #[cfg(feature = "etcd")]
        (heckle_system_etcd::NAME, ""),
    ]
}

/// Returns a plan for a cluster of three nodes without a relay.
fn plan(system: &str, settings: &str) -> Result<Plan, String> {
    let mut settings: Settings = toml::from_str(settings).map_err(|e| e.to_string())?;
    settings.cluster.system = Some(system.into());
    settings.cluster.nodes = Some(NODES);
    settings.cluster.net = Some("direct".into());
    settings.faults.kinds = Some(vec!["none".into()]);
    settings.load.op_timeout = Some(Span::ms(5_000));
    Plan::resolve(&settings, systems::all())
}

fn repetition(setup: &Setup, system: &str, settings: &str) -> Result<Repetition, String> {
    let standing = BenchCluster::start(&setup.folder, plan(system, settings)?)?;
    let before = standing.syncs();
    let wide = load::run(&standing, &Load::wide(MANY_CLIENTS, KEYS, setup.load_for))?;
    let syncs = standing.syncs().zip(before).map(|(after, before)| after.saturating_sub(before));
    let alone = load::run(&standing, &Load::wide(1, KEYS, setup.load_for))?;
    let hot = load::run(&standing, &Load::hot(HOT_CLIENTS, setup.load_for))?;
    Ok(Repetition {
        txn_per_s: wide.per_s(wide.answered()),
        applied_per_s: wide.per_s(wide.applied),
        // Both the syncs and the operations of the warm-up are included.
        fsyncs_per_op: syncs.map(|syncs| syncs as f64 / wide.all_ops.max(1) as f64 / f64::from(NODES)),
        alone_p50_us: alone.p50_us(),
        hot_intents_per_s: hot.per_s(hot.applied),
        hot_attempts: hot.answered() as f64 / hot.applied.max(1) as f64,
        unanswered: wide.unanswered + alone.unanswered + hot.unanswered,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_and_mode_has_a_valid_plan() {
        for (system, settings) in systems_to_compare() {
            let plan = plan(system, settings).expect("makes sense");
            assert_eq!((plan.nodes, plan.faults.len(), plan.net), (NODES, 0, crate::plan::Net::Direct));
        }
        for mode in MODES {
            let plan = plan(BUNDLED_SERVER, &format!("[system.paxos]\nrounds = \"{}\"\n", mode.name)).expect("makes sense");
            assert_eq!(plan.system.settings()["rounds"].as_str(), Some(mode.name));
        }
        // Every rounds setting must be in the table.
        assert_eq!(MODES.len(), heckle_system_paxos::settings::ROUNDS.len());
    }
}

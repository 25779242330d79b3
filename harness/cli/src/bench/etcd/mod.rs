//! The bundled server beside etcd, on the same machine, in the same minutes, through the same client loop: what
//! `heckle bench etcd` prints. Repetitions of the systems alternate, each on a fresh cluster, and medians are told.

mod flat;
#[cfg(feature = "etcd")]
mod grpc; // etcd over gRPC, its fastest client
mod limit;
mod load;
pub mod memory;
mod standing;
mod table;

pub(crate) use limit::median;
pub use limit::sync_child;
pub use table::Measured;

use crate::plan::Plan;
use crate::plan::settings::Settings;
use crate::plan::units::Span;
use crate::systems;
use limit::Limit;
use load::Load;
use standing::BenchCluster;
use std::path::PathBuf;
use std::time::Duration;

/// Why etcd is not measured, and what to do.
pub const NO_GRPC: &str = "this heckle was built without a gRPC client, and etcd is not measured over anything slower: build it with \
    `cargo build --release --features etcd` (which needs protoc; Debian and Ubuntu: apt-get install etcd-server protobuf-compiler \
    libprotobuf-dev)";

/// What is measured, and for how long.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Repetitions; medians are of these.
    pub repetitions: u32,
    /// How long each load lasts.
    pub load_for: Duration,
    /// Below which folder clusters keep their data.
    pub folder: PathBuf,
}

/// Keys of the wide load.
const KEYS: u32 = 100;
/// Clients of the wide load.
const MANY_CLIENTS: u32 = 50;
/// Clients of the hot key.
const HOT_CLIENTS: u32 = 32;
/// Load before the measured one, so that leases, leaders and connections stand.
const WARM_UP: Duration = Duration::from_millis(700);
const NODES: u16 = 3;
/// The bundled server.
const OURS: &str = heckle_system_paxos::NAME;

/// How the bundled server runs when it is measured against etcd: with every remedy for speed that it has.
const FASTEST: &str = "[system.paxos]\nrounds = \"fast\"\nlease = \"priority\"\nforward = \"on\"\n";

/// A way through the rounds that is measured at one client, and what it cannot be faster than.
struct Mode {
    name: &'static str,
    /// Round trips between nodes; the client's own comes on top.
    round_trips: u32,
    /// Syncs that wait for each other.
    syncs: u32,
}

/// `cas` in each mode, as docs/rounds.md counts them.
const MODES: &[Mode] = &[
    Mode { name: "classic", round_trips: 4, syncs: 3 },
    Mode { name: "merged", round_trips: 3, syncs: 3 },
    Mode { name: "async-learn", round_trips: 2, syncs: 2 },
    // From the second op of a coordinator on a key on.
    Mode { name: "fast", round_trips: 1, syncs: 1 },
];

/// One system, once.
#[derive(Debug, Clone, Default, PartialEq)]
struct Repetition {
    /// Transactions a second, 50 clients on 100 keys.
    txn_per_s: f64,
    /// Of these, those whose condition was met.
    applied_per_s: f64,
    /// Syncs of all nodes, per transaction and node, under that load.
    fsyncs_per_op: Option<f64>,
    /// One client: median of a CAS, microseconds.
    alone_p50_us: f64,
    /// Intents a second, 32 clients on one key.
    hot_intents_per_s: f64,
    /// CAS per intent there.
    hot_attempts: f64,
    /// Outcomes that were no answer, of all loads.
    unanswered: u64,
}

/// Measures everything. `tell` hears what is under way.
///
/// # Errors
/// What could not be started or measured.
pub fn measure(setup: &Setup, tell: &dyn Fn(&str)) -> Result<Measured, String> {
    let mut measured = Measured::new(setup.clone());
    for round in 1..=setup.repetitions {
        tell(&format!("repetition {round} of {}: the limits of this machine", setup.repetitions));
        measured.limits.push(Limit::measure(&setup.folder)?);
        for (system, settings) in contestants() {
            tell(&format!("repetition {round} of {}: {}", setup.repetitions, system));
            let repetition = repetition(setup, system, settings)?;
            measured.of(system).push(repetition);
        }
        for mode in MODES {
            tell(&format!("repetition {round} of {}: one client, rounds {}", setup.repetitions, mode.name));
            let settings = format!("[system.paxos]\nrounds = \"{}\"\n", mode.name);
            let standing = BenchCluster::start(&setup.folder, plan(OURS, &settings)?)?;
            let alone = load::run(&standing, &Load::wide(1, KEYS, setup.load_for))?;
            measured.mode(mode, alone.p50_us());
        }
    }
    Ok(measured)
}

fn contestants() -> Vec<(&'static str, &'static str)> {
    vec![
        (OURS, FASTEST),
        #[cfg(feature = "etcd")]
        (heckle_system_etcd::NAME, ""),
    ]
}

/// A plan for one cluster of three, with nothing between its processes.
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
        // The warm-up's syncs are counted too, and so are its ops.
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
    fn every_contestant_and_mode_is_a_plan() {
        for (system, settings) in contestants() {
            let plan = plan(system, settings).expect("makes sense");
            assert_eq!((plan.nodes, plan.faults.len(), plan.net), (NODES, 0, crate::plan::Net::Direct));
        }
        for mode in MODES {
            let plan = plan(OURS, &format!("[system.paxos]\nrounds = \"{}\"\n", mode.name)).expect("makes sense");
            assert_eq!(plan.system.settings()["rounds"].as_str(), Some(mode.name));
        }
        // A way through the rounds that is not measured would be missed in the table.
        assert_eq!(MODES.len(), heckle_system_paxos::settings::ROUNDS.len());
    }
}

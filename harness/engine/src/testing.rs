//! Helpers for the engine's own tests.

use crate::plan::settings::Settings;
use crate::suite::matrix::ExpansionContext;
use crate::systems::Systems;

/// The systems that test plans can name. The tests use real systems; the rest of the engine does not refer to any.
pub(crate) const SYSTEMS: Systems = Systems::new(&[&heckle_system_paxos::PaxosKind, &heckle_system_etcd::EtcdKind]);

/// Returns the context for expanding matrices in tests: one planted bug, which `kill-all` exposes.
pub(crate) fn of_matrix() -> ExpansionContext<'static> {
    ExpansionContext { systems: SYSTEMS, complete: &complete }
}

fn complete(mut settings: Settings) -> Result<Settings, String> {
    match settings.cluster.mutant.as_deref() {
        None => Ok(settings),
        Some("answer-before-write") => {
            settings.faults.kinds = Some(vec!["kill-all".into()]);
            Ok(settings)
        }
        Some(_) => Err("there is no such mutant; did you mean `answer-before-write`?".into()),
    }
}

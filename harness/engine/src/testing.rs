//! What the engine's own tests need.

use crate::plan::settings::Settings;
use crate::suite::matrix::Known;
use crate::systems::Systems;

/// Systems to name in plans. The engine is tested with real ones, and knows none elsewhere.
pub(crate) const SYSTEMS: Systems = Systems::new(&[&heckle_system_paxos::PaxosKind, &heckle_system_etcd::EtcdKind]);

/// How the matrices of these tests are read: with one planted bug, which shows under `kill-all`.
pub(crate) fn of_matrix() -> Known<'static> {
    Known { systems: SYSTEMS, complete: &complete }
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

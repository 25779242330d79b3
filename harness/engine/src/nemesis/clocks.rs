//! Sets the clocks of nodes, if the system supports it. The evidence is the setting that the nodes report back.

use crate::cluster::{Cluster, Evidence};
use heckle_faults::ClockSetting;
use heckle_system_api::capability::{ClockState, Clocks};

/// Maximum distance between a node's wall clock and its target for a jump to count as verified. It allows for drift and network delay.
const TOLERANCE_US: i64 = 500_000;

/// Applies the skewed clock settings.
///
/// # Errors
/// If a node does not accept the setting.
pub(super) fn skew(cluster: &Cluster, clocks: &[ClockSetting]) -> Result<Evidence, String> {
    set_all(cluster, clocks).map(|seen| [("clocks_set".to_owned(), seen.into())].into())
}

/// Restores the correct clock settings.
///
/// # Errors
/// As [`skew`].
pub(super) fn restore(cluster: &Cluster, clocks: &[ClockSetting]) -> Result<Evidence, String> {
    let right: Vec<ClockSetting> = clocks.iter().map(|clock| ClockSetting { offset_us: 0, drift_ppm: 0, ..*clock }).collect();
    set_all(cluster, &right).map(|seen| [("clocks_right".to_owned(), seen.into())].into())
}

/// Verifies, from the nodes' reports, that all clocks are correct again.
pub(super) fn verify_restored(cluster: &Cluster, clocks: &[ClockSetting]) -> Option<Evidence> {
    let control = control_of(cluster).ok()?;
    let is_right = |clock: &&ClockSetting| control.read(&cluster.spec(clock.node)).is_ok_and(|read| is_close(read, ClockState::default()));
    let count = clocks.iter().filter(is_right).count();
    (count == clocks.len()).then(|| [("answering".to_owned(), (count as u64).into())].into())
}

/// Sends settings to nodes. Returns the number of nodes that report back the requested setting.
fn set_all(cluster: &Cluster, clocks: &[ClockSetting]) -> Result<u64, String> {
    let control = control_of(cluster)?;
    let mut seen = 0;
    for clock in clocks {
        let state = ClockState { offset_us: clock.offset_us, drift_ppm: clock.drift_ppm };
        seen += u64::from(is_close(control.set(&cluster.spec(clock.node), state)?, state));
    }
    Ok(seen)
}

fn control_of(cluster: &Cluster) -> Result<&dyn Clocks, String> {
    let system = cluster.system();
    system.clocks().ok_or_else(|| format!("the clocks of {} cannot be set", system.name()))
}

fn is_close(read: ClockState, asked: ClockState) -> bool {
    (read.offset_us - asked.offset_us).abs() < TOLERANCE_US && read.drift_ppm == asked.drift_ppm
}

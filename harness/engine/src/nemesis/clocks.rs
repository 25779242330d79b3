//! Clocks that are set, where the system's can be. The evidence is what the nodes read back.

use crate::cluster::{Cluster, Evidence};
use heckle_faults::ClockSetting;
use heckle_system_api::capability::{ClockState, Clocks};

/// A jump is seen if the node's wall clock is this near to where it was put: the rest is drift and the way there.
const NEAR_US: i64 = 500_000;

/// Sets the clocks wrong.
///
/// # Errors
/// If a node does not take the setting.
pub(super) fn set_wrong(cluster: &Cluster, clocks: &[ClockSetting]) -> Result<Evidence, String> {
    set(cluster, clocks).map(|seen| [("clocks_set".to_owned(), seen.into())].into())
}

/// Sets them right again.
///
/// # Errors
/// As [`set_wrong`].
pub(super) fn set_right(cluster: &Cluster, clocks: &[ClockSetting]) -> Result<Evidence, String> {
    let right: Vec<ClockSetting> = clocks.iter().map(|clock| ClockSetting { offset_us: 0, drift_ppm: 0, ..*clock }).collect();
    set(cluster, &right).map(|seen| [("clocks_right".to_owned(), seen.into())].into())
}

/// Whether all clocks are right, by what the nodes say.
pub(super) fn see_right(cluster: &Cluster, clocks: &[ClockSetting]) -> Option<Evidence> {
    let seam = seam(cluster).ok()?;
    let is_right = |clock: &&ClockSetting| seam.read(&cluster.spec(clock.node)).is_ok_and(|read| is_near(read, ClockState::default()));
    let count = clocks.iter().filter(is_right).count();
    (count == clocks.len()).then(|| [("answering".to_owned(), (count as u64).into())].into())
}

/// How many nodes read back what they were set to.
fn set(cluster: &Cluster, clocks: &[ClockSetting]) -> Result<u64, String> {
    let seam = seam(cluster)?;
    let mut seen = 0;
    for clock in clocks {
        let state = ClockState { offset_us: clock.offset_us, drift_ppm: clock.drift_ppm };
        seen += u64::from(is_near(seam.set(&cluster.spec(clock.node), state)?, state));
    }
    Ok(seen)
}

fn seam(cluster: &Cluster) -> Result<&dyn Clocks, String> {
    let system = cluster.system();
    system.clocks().ok_or_else(|| format!("the clocks of {} cannot be set", system.name()))
}

fn is_near(read: ClockState, asked: ClockState) -> bool {
    (read.offset_us - asked.offset_us).abs() < NEAR_US && read.drift_ppm == asked.drift_ppm
}

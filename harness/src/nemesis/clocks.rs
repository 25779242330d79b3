//! Clocks that are set, through the nodes' own clock seam. The evidence is what the nodes read back.

use crate::cluster::{Cluster, Evidence};
use heckle_faults::ClockSetting;
use std::time::Duration;

/// A node answers on its control channel within this.
const WITHIN: Duration = Duration::from_secs(2);
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
    let is_right =
        |clock: &&ClockSetting| cluster.status(clock.node).is_ok_and(|s| s.clock_drift_ppm == 0 && s.clock_offset_us.abs() < NEAR_US);
    let count = clocks.iter().filter(is_right).count();
    (count == clocks.len()).then(|| [("answering".to_owned(), (count as u64).into())].into())
}

/// How many nodes read back what they were set to.
fn set(cluster: &Cluster, clocks: &[ClockSetting]) -> Result<u64, String> {
    let mut seen = 0;
    for clock in clocks {
        let mut client = cluster.control(clock.node, WITHIN)?;
        let answer = client.set_clock(clock.offset_us, clock.drift_ppm).and_then(|()| client.status());
        let status = answer.map_err(|e| e.to_string())?;
        let jumped = (status.clock_offset_us - clock.offset_us).abs() < NEAR_US;
        seen += u64::from(jumped && status.clock_drift_ppm == clock.drift_ppm);
    }
    Ok(seen)
}

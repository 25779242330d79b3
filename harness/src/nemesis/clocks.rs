//! Faults of clocks, through the nodes' own clock seam. The evidence is what the nodes read back.

use crate::cluster::{Cluster, Evidence};
use heckle_faults::ClockFault;
use std::time::Duration;

/// A node answers on its control channel within this.
const WITHIN: Duration = Duration::from_secs(2);
/// A jump is seen if the node's wall clock is this near to where it was put: the rest is drift and the way there.
const NEAR_US: i64 = 500_000;

/// Falsifies the clocks.
///
/// # Errors
/// If a node does not let itself be told.
pub(super) fn falsify(cluster: &Cluster, clocks: &[ClockFault]) -> Result<Evidence, String> {
    set(cluster, clocks).map(|seen| [("clocks_set".to_owned(), seen.into())].into())
}

/// Puts them right again.
///
/// # Errors
/// As [`falsify`].
pub(super) fn right(cluster: &Cluster, clocks: &[ClockFault]) -> Result<Evidence, String> {
    let sound: Vec<ClockFault> = clocks.iter().map(|clock| ClockFault { offset_us: 0, drift_ppm: 0, ..*clock }).collect();
    set(cluster, &sound).map(|seen| [("clocks_right".to_owned(), seen.into())].into())
}

/// Whether all clocks are right, as the nodes tell.
pub(super) fn see_right(cluster: &Cluster, clocks: &[ClockFault]) -> Option<Evidence> {
    let right = |clock: &&ClockFault| cluster.status(clock.node).is_ok_and(|s| s.clock_drift_ppm == 0 && s.clock_offset_us.abs() < NEAR_US);
    let count = clocks.iter().filter(right).count();
    (count == clocks.len()).then(|| [("answering".to_owned(), (count as u64).into())].into())
}

/// How many nodes read back what they were told.
fn set(cluster: &Cluster, clocks: &[ClockFault]) -> Result<u64, String> {
    let mut seen = 0;
    for clock in clocks {
        let mut client = cluster.control(clock.node, WITHIN)?;
        let told = client.set_clock(clock.offset_us, clock.drift_ppm).and_then(|()| client.status());
        let status = told.map_err(|e| e.to_string())?;
        let jumped = (status.clock_offset_us - clock.offset_us).abs() < NEAR_US;
        seen += u64::from(jumped && status.clock_drift_ppm == clock.drift_ppm);
    }
    Ok(seen)
}

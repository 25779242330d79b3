//! The mix of a nightly suite: contention, overlapping faults, and clusters that die repeatedly, each in enough cells.
//! The mix is computed from the resolved plans, with the same fault schedules as in the runs.

use crate::nightly::plan;
use heckle::plan::Plan;
use heckle::plan::settings::Settings;
use heckle::suite::matrix::Shard;

/// Properties of a cell, computed from the fault schedule of its runs.
struct CellProperties {
    without_lease: bool,
    /// Whether two faults are active at the same time.
    overlapping: bool,
    /// Whether the whole cluster dies at least three times.
    kill_all_again: bool,
}

fn like(settings: &Settings) -> CellProperties {
    let plan = Plan::resolve(settings, heckle::systems::all()).expect("resolved before");
    let of_system = |key: &str| plan.system.settings()[key].as_str().map(str::to_owned).expect("a word");
    let injections = &plan.injections;
    let overlaps = |i: usize| injections[..i].iter().any(|earlier| earlier.end() > injections[i].at);
    CellProperties {
        without_lease: of_system("lease") == "off" && of_system("forward") == "off",
        overlapping: (0..injections.len()).any(overlaps),
        kill_all_again: injections.iter().filter(|i| i.fault.name() == "kill-all").count() >= 3,
    }
}

/// A lease with forwarding removes contention, and without contention planted bugs are not revealed. Faults that never
/// overlap never hit a degraded cluster.
#[test]
fn a_night_has_contention_and_overlapping_faults() {
    for (profile, overlapping_of, again_of) in [(None, 8, 20), (Some("smoke"), 8, 20)] {
        let matrix = plan("plans/nightly.toml", profile, None);
        let cells: Vec<CellProperties> = matrix.cells.iter().map(|c| like(&c.settings)).collect();
        let (all, of) = (cells.len(), |wanted: fn(&CellProperties) -> bool| cells.iter().filter(|c| wanted(c)).count());
        let (free, overlapping, again) = (of(|c| c.without_lease), of(|c| c.overlapping), of(|c| c.kill_all_again));
        assert!(2 * free >= all, "{profile:?}: {free} of {all} cells have no lease");
        assert!(free < all, "{profile:?}: some have one");
        assert!(overlapping * overlapping_of >= all, "{profile:?}: faults overlap in {overlapping} of {all} cells");
        assert!(2 * overlapping <= all, "{profile:?}: and in most there is calm between them: {overlapping} of {all}");
        assert!(again * again_of >= all, "{profile:?}: the cluster dies again and again in {again} of {all} cells");
        // Both properties combined: overlapping faults under contention.
        assert!(cells.iter().any(|c| c.overlapping && c.without_lease), "{profile:?}");
    }
    // Each shard of a suite split between two machines has the same mix.
    for index in [1, 2] {
        let cells = plan("plans/nightly.toml", None, Some(Shard { index, of: 2 })).cells;
        let cells: Vec<CellProperties> = cells.iter().map(|c| like(&c.settings)).collect();
        assert!(cells.iter().any(|c| c.overlapping) && cells.iter().any(|c| c.kill_all_again), "shard {index}");
        assert!(3 * cells.iter().filter(|c| c.without_lease).count() >= cells.len(), "shard {index}");
    }
    // A short suite has few cells, half of which have contention.
    let quick = plan("plans/quick.toml", None, None);
    assert!(2 * quick.cells.iter().filter(|c| like(&c.settings).without_lease).count() >= quick.cells.len());
}

//! What a night is made of: contention, overlapping faults, and a cluster that dies again and again, in the share of its cells
//! that each needs. Read from the plans as they are resolved, with the schedules of faults that the runs will have.

use crate::nightly::plan;
use heckle::plan::Plan;
use heckle::plan::settings::Settings;
use heckle::suite::matrix::Shard;

/// What a cell of a night is like, from the schedule of faults that its runs will have.
struct CellIs {
    without_lease: bool,
    /// Two faults are under way at one time.
    overlapping: bool,
    /// The whole cluster dies three times or more.
    kill_all_again: bool,
}

fn like(settings: &Settings) -> CellIs {
    let plan = Plan::resolve(settings, heckle::systems::all()).expect("resolved before");
    let of_system = |key: &str| plan.system.settings()[key].as_str().map(str::to_owned).expect("a word");
    let injections = &plan.injections;
    let overlaps = |i: usize| injections[..i].iter().any(|earlier| earlier.end() > injections[i].at);
    CellIs {
        without_lease: of_system("lease") == "off" && of_system("forward") == "off",
        overlapping: (0..injections.len()).any(overlaps),
        kill_all_again: injections.iter().filter(|i| i.fault.name() == "kill-all").count() >= 3,
    }
}

/// A lease that forwards takes contention away, and with it what planted bugs need to show. One fault at a time never meets
/// a cluster that is not whole.
#[test]
fn a_night_has_contention_and_overlapping_faults() {
    for (profile, overlapping_of, again_of) in [(None, 8, 20), (Some("smoke"), 8, 20)] {
        let matrix = plan("plans/nightly.toml", profile, None);
        let cells: Vec<CellIs> = matrix.cells.iter().map(|c| like(&c.settings)).collect();
        let (all, of) = (cells.len(), |wanted: fn(&CellIs) -> bool| cells.iter().filter(|c| wanted(c)).count());
        let (free, overlapping, again) = (of(|c| c.without_lease), of(|c| c.overlapping), of(|c| c.kill_all_again));
        assert!(2 * free >= all, "{profile:?}: {free} of {all} cells have no lease");
        assert!(free < all, "{profile:?}: some have one");
        assert!(overlapping * overlapping_of >= all, "{profile:?}: faults overlap in {overlapping} of {all} cells");
        assert!(2 * overlapping <= all, "{profile:?}: and in most there is calm between them: {overlapping} of {all}");
        assert!(again * again_of >= all, "{profile:?}: the cluster dies again and again in {again} of {all} cells");
        // The troubles meet: overlapping faults under contention.
        assert!(cells.iter().any(|c| c.overlapping && c.without_lease), "{profile:?}");
    }
    // Every shard of a night that two machines share is such a night by itself.
    for index in [1, 2] {
        let cells = plan("plans/nightly.toml", None, Some(Shard { index, of: 2 })).cells;
        let cells: Vec<CellIs> = cells.iter().map(|c| like(&c.settings)).collect();
        assert!(cells.iter().any(|c| c.overlapping) && cells.iter().any(|c| c.kill_all_again), "shard {index}");
        assert!(3 * cells.iter().filter(|c| c.without_lease).count() >= cells.len(), "shard {index}");
    }
    // Few cells on a short night, and contention in half of them.
    let quick = plan("plans/quick.toml", None, None);
    assert!(2 * quick.cells.iter().filter(|c| like(&c.settings).without_lease).count() >= quick.cells.len());
}

//! `crash-at`: a node crashes exactly between two steps of its code. A kill at a random time hardly ever hits such a moment.

use crate::action::{Action, EndCause, Signal, Step};
use crate::fault::{Amounts, Fault};
use crate::kind::{Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::{Target, TargetShape};

/// A node exits as if killed when it reaches a point in its code, and is restarted on the same data.
pub(crate) static CRASH_AT: Kind = Kind {
    name: "crash-at",
    about: "one node crashes at a point of its code, drawn or named as in crash-at:before-sync (`heckle doctor --points`)",
    hits: TargetShape::OneNode,
    model: Model::Inside,
    needs: Needs { nodes: 1, control: &[Control::Processes(Signal::Kill), Control::Points] },
    evidence: Evidence::EachNode(&["ended_at_point", "restarted"]),
    coverage: Coverage::DuringIfQuorum,
    aim: None,
    draw: |draw| {
        let amounts = Amounts { point: draw.point(), ..Amounts::default() };
        Fault { kind: &CRASH_AT, target: Target::Nodes(vec![draw.node()]), amounts }
    },
    steps: |fault, lasts, _| {
        let point = fault.amounts.point.clone().ok_or("`crash-at` needs a point, as in crash-at:before-sync")?;
        Ok(vec![Step::whole(lasts, Action::EndWhen(fault.nodes()?, EndCause::Point(point)))])
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::{POINTS, drawn};
    use heckle_history::Nanos;
    use std::collections::BTreeSet;

    fn point(kind: &str, seed: u64) -> String {
        let fault = drawn(kind, 3, seed);
        let steps = fault.steps(Nanos(1), 3).expect("it was drawn");
        let [Step { action: Action::EndWhen(nodes, EndCause::Point(point)), .. }] = &steps[..] else { panic!("{steps:?}") };
        assert_eq!((nodes.len(), fault.name()), (1, format!("crash-at:{point}")), "a history names the point");
        point.to_string()
    }

    #[test]
    fn a_point_is_drawn_or_named() {
        let seen: BTreeSet<String> = (0..30).map(|seed| point("crash-at", seed)).collect();
        assert_eq!(seen, POINTS.map(str::to_owned).into());
        assert_eq!(point("crash-at:mid-write", 1), "mid-write");
        let mut without = drawn("crash-at", 3, 1);
        without.amounts.point = None;
        assert!(without.steps(Nanos(1), 3).expect_err("no point").contains("crash-at:before-sync"));
    }

    /// A point that is never reached tests nothing.
    #[test]
    fn the_crash_at_the_point_and_the_restart_are_both_needed_as_evidence() {
        let shown = |figures: &[&str]| CRASH_AT.evidence.is_shown(&figures.iter().map(|name| ((*name).to_owned(), 1.0)).collect(), 1);
        assert!(shown(&["ended_at_point", "restarted"]));
        assert!(!shown(&["restarted"]) && !shown(&["killed", "restarted"]));
    }
}

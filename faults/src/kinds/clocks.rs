//! Wrong clocks: wall clocks that jump, and clocks that run too fast or too slow.

use crate::action::{Action, ClockSetting, Step};
use crate::draw::Draw;
use crate::fault::{Amounts, Fault};
use crate::kind::{Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::{Target, TargetShape, all_nodes};
use heckle_history::Nanos;
use rand::RngExt;

/// The wall clocks of some nodes jump.
pub(crate) static JUMP: Kind = Kind {
    name: "clock-jump",
    about: "wall clocks jump by up to an hour",
    hits: TargetShape::SomeNodes,
    model: Model::Inside,
    needs: Needs { nodes: 1, control: &[Control::Clocks] },
    evidence: Evidence::Any(&["clocks_set"]),
    coverage: Coverage::DuringIfQuorum,
    aim: None,
    draw: jump,
    steps,
};

/// The clocks of every node drift independently, within the bound.
pub(crate) static DRIFT: Kind =
    Kind { name: "clock-drift", about: "clocks drift, each its own way, within the bound", draw: drift, ..JUMP };

/// Draws a jump of one second to one hour, in either direction, on one node or all nodes.
fn jump(draw: &mut Draw<'_>) -> Fault {
    let nodes = if draw.rng.random() { vec![draw.node()] } else { all_nodes(draw.nodes) };
    let mut offset = || draw.rng.random_range(1_000_000..=3_600_000_000_i64) * if draw.rng.random() { 1 } else { -1 };
    let offsets = nodes.iter().map(|_| offset()).collect();
    let amounts = Amounts { offset_us: Some(offsets), drift_ppm: Some(vec![0; nodes.len()]), ..Amounts::default() };
    Fault { kind: &JUMP, target: Target::Nodes(nodes), amounts }
}

/// Draws drifts at the bound, because a system that is safe at the bound is safe within it. One slow clock among fast
/// ones is the worst case for a node that relies on time.
fn drift(draw: &mut Draw<'_>) -> Fault {
    let bound = draw.drift_ppm.max(1);
    let slow = draw.rng.random_range(1..=draw.nodes);
    let drifts = (1..=draw.nodes).map(|node| if node == slow { -bound } else { bound }).collect::<Vec<_>>();
    let amounts = Amounts { offset_us: Some(vec![0; drifts.len()]), drift_ppm: Some(drifts), ..Amounts::default() };
    Fault { kind: &DRIFT, target: Target::Nodes(all_nodes(draw.nodes)), amounts }
}

/// Sets one offset and one drift on each node.
fn steps(fault: &Fault, lasts: Nanos, _: u16) -> Result<Vec<Step>, String> {
    let nodes = fault.nodes()?;
    let figures = |name: &str, given: &Option<Vec<i64>>| match given {
        Some(all) if all.len() == nodes.len() => Ok(all.clone()),
        Some(all) => Err(format!("`{}` has {} targets and {} of `{name}`", fault.kind.name, nodes.len(), all.len())),
        None => Err(format!("`{}` needs `{name}`, a number for each target", fault.kind.name)),
    };
    let offsets = figures("offset_us", &fault.amounts.offset_us)?;
    let drifts = figures("drift_ppm", &fault.amounts.drift_ppm)?;
    let clocks =
        nodes.into_iter().zip(offsets).zip(drifts).map(|((node, offset_us), drift_ppm)| ClockSetting { node, offset_us, drift_ppm });
    Ok(vec![Step::whole(lasts, Action::SetClocks(clocks.collect()))])
}

//! Frames that are lost, duplicated, reordered or corrupted, and connections that are reset.

use crate::action::{Action, LinkEffect, Step};
use crate::draw::Draw;
use crate::fault::{Amounts, Fault};
use crate::kind::{Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::TargetShape;
use heckle_history::Nanos;
use rand::RngExt;
use std::ops::RangeInclusive;

/// Frames are lost.
pub(crate) static LOSS: Kind = Kind {
    name: "loss",
    about: "frames are lost",
    needs: MESSAGES,
    evidence: Evidence::Any(&["dropped_frames"]),
    draw: |draw| some(&LOSS, 5..=30, draw),
    steps: |fault, lasts, nodes| {
        let percent = percent(fault)?;
        disturb(fault, LinkEffect::Loss { percent }, lasts, nodes)
    },
    ..RESET
};

/// Frames arrive twice. This applies to node links only: a client link is a TCP connection and cannot duplicate frames.
pub(crate) static DUPLICATE: Kind = Kind {
    name: "duplicate",
    about: "node frames arrive twice",
    needs: MESSAGES,
    evidence: Evidence::Any(&["duplicated_frames"]),
    draw: |draw| some(&DUPLICATE, 10..=50, draw),
    steps: |fault, lasts, nodes| {
        let percent = percent(fault)?;
        disturb(fault, LinkEffect::Duplicate { percent }, lasts, nodes)
    },
    ..RESET
};

/// Frames overtake each other. This applies to node links only, for the same reason.
pub(crate) static REORDER: Kind = Kind {
    name: "reorder",
    about: "node frames overtake each other",
    needs: MESSAGES,
    evidence: Evidence::Any(&["reordered_frames"]),
    draw: |draw| some(&REORDER, 10..=50, draw),
    steps: |fault, lasts, nodes| {
        let percent = percent(fault)?;
        disturb(fault, LinkEffect::Reorder { percent }, lasts, nodes)
    },
    ..RESET
};

/// One bit of a frame is flipped. The checksum must detect it, so the frame ends its connection.
pub(crate) static CORRUPT: Kind = Kind {
    name: "corrupt",
    about: "one bit of a frame is flipped",
    needs: MESSAGES,
    evidence: Evidence::Any(&["corrupted_frames"]),
    draw: |draw| some(&CORRUPT, 1..=5, draw),
    steps: |fault, lasts, nodes| {
        let percent = percent(fault)?;
        disturb(fault, LinkEffect::Corrupt { percent }, lasts, nodes)
    },
    ..RESET
};

/// Only if the relay knows the message boundaries, because TCP does none of this to a byte stream.
const MESSAGES: Needs = Needs { nodes: 2, control: &[Control::Links, Control::NodeLinks, Control::Messages] };

/// Connections are reset, and reset again whenever they are reestablished.
pub(crate) static RESET: Kind = Kind {
    name: "reset",
    about: "connections are reset",
    hits: TargetShape::Links,
    model: Model::Inside,
    needs: Needs { nodes: 2, control: &[Control::Links] },
    evidence: Evidence::Any(&["resets"]),
    coverage: Coverage::DuringIfQuorum,
    aim: None,
    draw: |draw| Fault { kind: &RESET, target: draw.one_or_all(), amounts: Amounts::default() },
    steps: |fault, lasts, nodes| disturb(fault, LinkEffect::Reset, lasts, nodes),
};

fn some(kind: &'static Kind, percent: RangeInclusive<u32>, draw: &mut Draw<'_>) -> Fault {
    let target = draw.one_or_all();
    let percent = Some(f64::from(draw.rng.random_range(percent)));
    Fault { kind, target, amounts: Amounts { percent, ..Amounts::default() } }
}

fn percent(fault: &Fault) -> Result<f64, String> {
    match fault.amounts.percent {
        Some(p) if (0.0..=100.0).contains(&p) => Ok(p),
        Some(p) => Err(format!("percent {p} is not between 0 and 100")),
        None => Err(format!("`{}` needs `percent`", fault.kind.name)),
    }
}

fn disturb(fault: &Fault, effect: LinkEffect, lasts: Nanos, nodes: u16) -> Result<Vec<Step>, String> {
    Ok(vec![Step::whole(lasts, Action::Disturb(fault.target.links(nodes), effect))])
}

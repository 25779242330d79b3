//! Links with a low bandwidth: large messages arrive late, and small ones wait behind them.

use crate::action::{Action, LinkEffect, Step};
use crate::draw::Draw;
use crate::fault::{Amounts, Fault};
use crate::kind::{Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::TargetShape;
use heckle_history::Nanos;
use rand::RngExt;

/// Range of rates in bytes per second: from the speed of a modem to a large part of the traffic of a small cluster.
const RATES: std::ops::RangeInclusive<u64> = 8_000..=200_000;

/// Links transfer only a few bytes per second.
pub(crate) static SLOW: Kind = Kind {
    name: "slow",
    about: "links carry few bytes a second",
    hits: TargetShape::Links,
    model: Model::Inside,
    needs: Needs { nodes: 2, control: &[Control::Links] },
    evidence: Evidence::Any(&["slowed_frames", "slowed_bytes"]),
    coverage: Coverage::DuringIfQuorum,
    aim: None,
    draw: some_rate,
    steps,
};

fn some_rate(draw: &mut Draw<'_>) -> Fault {
    let target = draw.one_or_all();
    let bytes_per_s = Some(draw.rng.random_range(RATES));
    Fault { kind: &SLOW, target, amounts: Amounts { bytes_per_s, ..Amounts::default() } }
}

fn steps(fault: &Fault, lasts: Nanos, nodes: u16) -> Result<Vec<Step>, String> {
    let bytes_per_s = match fault.amounts.bytes_per_s {
        Some(0) => return Err("bytes_per_s = 0: nothing would pass; use `partition`".into()),
        Some(rate) => rate,
        None => return Err("`slow` needs `bytes_per_s`".into()),
    };
    Ok(vec![Step::whole(lasts, Action::Disturb(fault.target.links(nodes), LinkEffect::Slow { bytes_per_s }))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::drawn;

    #[test]
    fn a_rate_is_drawn_and_a_rate_of_zero_is_refused() {
        for seed in 0..50 {
            let mut fault = drawn("slow", 3, seed);
            let steps = fault.steps(Nanos(1), 3).expect("it was drawn");
            let [Step { action: Action::Disturb(links, LinkEffect::Slow { bytes_per_s }), .. }] = &steps[..] else { panic!("{steps:?}") };
            assert!(!links.is_empty() && RATES.contains(bytes_per_s), "{steps:?}");
            fault.amounts.bytes_per_s = Some(0);
            assert!(fault.steps(Nanos(1), 3).expect_err("no rate").contains("partition"));
            fault.amounts.bytes_per_s = None;
            assert!(fault.steps(Nanos(1), 3).is_err());
        }
    }
}

//! The figures reported by a coordinator about one operation, with their meanings. The header of each history repeats
//! them.

use heckle_history::figures::OP_ID;
use heckle_history::{Diagnostics, Figure, FigureId, FigureInfo, Measure, Unit};
use heckle_server::client_protocol as wire;

/// A figure, and how to get it from a node's answer.
struct Row {
    info: FigureInfo,
    of: fn(&wire::Diagnostics) -> Option<Figure<'_>>,
}

const fn row(info: FigureInfo, of: fn(&wire::Diagnostics) -> Option<Figure<'_>>) -> Row {
    Row { info, of }
}

const fn number(name: &'static str, about: &'static str) -> FigureInfo {
    FigureInfo::new(name, Unit::Count, about)
}

const fn text(name: &'static str, about: &'static str) -> FigureInfo {
    FigureInfo::new(name, Unit::Text, about)
}

/// The figures in the order of a history line. A [`FigureId`] is an index into this list. [`OP_ID`] follows them.
static ROWS: [Row; 15] = [
    row(text("ballot", "the last ballot of the operation, as <us>.<node>.<nonce>"), |d| d.ballot.map(|b| b.to_string().into())),
    row(number("rounds", "ballots that the operation took").measuring(Measure::Attempts), |d| Some(d.rounds.into())),
    row(number("round_trips", "round trips between coordinator and replicas").measuring(Measure::RoundTrips), |d| {
        Some(d.round_trips.into())
    }),
    row(text("phase", "how far the operation got").measuring(Measure::Phase), |d| Some(d.phase.as_str().into())),
    row(number("promises", "promises for the last ballot"), |d| Some(d.promises.into())),
    row(number("accepts", "accepts for the last ballot"), |d| Some(d.accepts.into())),
    row(number("rejects", "rejects for the last ballot"), |d| Some(d.rejects.into())),
    row(number("needed", "size of a quorum"), |d| Some(d.needed.into())),
    row(number("preempted", "how often the operation was outbid").measuring(Measure::Preemptions), |d| Some(d.preempted.into())),
    row(number("repairs", "unfinished updates of others that it finished first").measuring(Measure::Repairs), |d| Some(d.repairs.into())),
    row(FigureInfo::new("backoff_ns", Unit::Ns, "time spent backing off").measuring(Measure::Backoff), |d| Some(d.backoff_ns.into())),
    row(number("learned_by", "replicas known to have learned the result"), |d| Some(d.learned_by.into())),
    row(text("max_seen_ballot", "the highest ballot that it saw, where that is not its own"), |d| {
        d.max_seen_ballot.filter(|seen| Some(*seen) != d.ballot).map(|b| b.to_string().into())
    }),
    row(text("repaired_op", "the last update of another operation that it finished first"), |d| {
        d.repaired_op.map(|op| op.to_string().into())
    }),
    row(text("forwarded_to", "the lease holder that it was forwarded to"), |d| d.forwarded_to.map(|node| format!("n{node}").into())),
];

/// The one figure added by the client.
const OP_ID_FIGURE: FigureId = FigureId(ROWS.len() as u16);

/// All figures, in the order of their ids.
pub(crate) fn all() -> Vec<FigureInfo> {
    let op_id = text(OP_ID, "the operation's id, where its outcome is unknown: `heckle ctl fate` takes it");
    ROWS.iter().map(|row| row.info.clone()).chain([op_id]).collect()
}

/// Converts a node's diagnostics to figures.
pub(crate) fn of(node: &wire::Diagnostics) -> Diagnostics {
    Diagnostics::pack((0u16..).zip(&ROWS).filter_map(|(place, row)| Some((FigureId(place), (row.of)(node)?))))
}

/// Adds the id of an operation whose outcome is unknown.
pub(crate) fn with_op_id(figures: Option<Diagnostics>, id: String) -> Diagnostics {
    figures.unwrap_or_default().with(OP_ID_FIGURE, &id.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::Names;

    #[test]
    fn figures_have_the_expected_names() {
        let mut names = Names::default();
        names.declare_figures(&all()).expect("no name is taken twice or reserved");
        let ballot = wire::BallotTag { us: 300, node: 2, nonce: 5 };
        let node = wire::Diagnostics {
            ballot: Some(ballot),
            max_seen_ballot: Some(ballot),
            rounds: 3,
            preempted: 2,
            forwarded_to: Some(1),
            ..wire::Diagnostics::default()
        };
        let figures = with_op_id(Some(of(&node)), "7/1".to_owned());
        let text = |name| figures.text(names.find_figure(name)?).map(|t| t.into_owned());
        assert_eq!((text("ballot").as_deref(), text("forwarded_to").as_deref()), (Some("300.n2.5"), Some("n1")));
        assert_eq!((text("max_seen_ballot"), text(OP_ID).as_deref()), (None, Some("7/1")), "its own ballot is said once");
        let read = |measure| names.reads(measure)(&figures);
        assert_eq!((read(Measure::Attempts), read(Measure::Preemptions), read(Measure::Repairs)), (Some(3), Some(2), Some(0)));
        let alone = with_op_id(None, "7/2".to_owned());
        assert_eq!(alone.iter().count(), 1, "an answer that never came has no figures");
    }

    #[test]
    fn every_measure_has_a_figure() {
        for measure in Measure::ALL {
            assert_eq!(all().iter().filter(|f| f.measure == Some(measure)).count(), 1, "{measure:?}");
        }
    }
}

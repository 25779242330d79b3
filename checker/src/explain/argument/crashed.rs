//! The argument of a crash: the last ops that the node answered, the ops it left open, and the faults at that time.

use super::words::{call_and_answer, decimals, fault_words, time};
use super::{Argument, MAX_FAULTS, Walk, drawn, end};
use crate::coverage;
use heckle_history::{History, Nanos, NodeIx, Outcome};

/// Maximum number of answered ops shown before the crash.
const ANSWERED: usize = 2;
/// Maximum number of open ops shown at the crash.
const OPEN: usize = 4;
/// Maximum age of a fault that is drawn: how long before the crash it ended.
const RECENT: Nanos = Nanos(5_000_000_000);

impl Argument {
    /// Returns the argument of the crash of `node` at `t`; `words` describe it and `how` says how the process ended.
    pub fn of_crash(history: &History, node: &str, t: Nanos, how: &str, words: &str) -> Argument {
        let at = history.names.nodes().find(|(_, name)| *name == node).map(|(ix, _)| ix);
        let places = at.map_or_else(Vec::new, |at| ops(history, at, t));
        let near = |f: &coverage::Fault| f.effective && f.began <= t && t.since(f.ended) <= RECENT;
        let mut faults: Vec<coverage::Fault> = coverage::faults(history).into_iter().filter(near).collect();
        let more_faults = faults.len().saturating_sub(MAX_FAULTS);
        faults.drain(..more_faults);
        let faults: Vec<super::DrawnFault> = faults
            .iter()
            .map(|f| super::DrawnFault { id: f.id, words: fault_words(f), began: f.began, ended: f.ended.max(f.began) })
            .collect();
        let moments: Vec<Nanos> = places
            .iter()
            .flat_map(|&p| [Some(history.ops[p as usize].invoked), end(history, p)])
            .flatten()
            .chain(faults.iter().flat_map(|f| [f.began, f.ended]))
            .chain([t])
            .collect();
        let decimals = decimals(&moments);
        let mut ops: Vec<super::DrawnOp> = places.iter().map(|&p| drawn(history, p, None, None, decimals)).collect();
        for op in ops.iter_mut().filter(|o| o.ended.is_none_or(|end| end > t)) {
            let (call, _) = call_and_answer(history, op.place);
            op.words = format!("{call} no answer");
            "no answer".clone_into(&mut op.answer);
            op.ended = None;
        }
        let mark = format!("{node} crashed at {} ({how})", time(t, decimals));
        Argument {
            key: String::new(),
            title: format!("{}.", words.trim_end_matches('.')),
            ops,
            left_out: 0,
            faults,
            marks: vec![(t, mark)],
            more_faults,
            walk: Walk::default(),
            decimals,
        }
    }
}

/// Returns the last ops that the node answered before `t`, and ops that it had not answered by then.
fn ops(history: &History, node: NodeIx, t: Nanos) -> Vec<u32> {
    let sent = |p: u32| history.details.get(p as usize).and_then(|d| d.sent_to);
    let of_node: Vec<u32> = (0u32..)
        .zip(&history.ops)
        .filter(|(p, o)| o.invoked <= t && (o.node == Some(node) || sent(*p) == Some(node)))
        .map(|(p, _)| p)
        .collect();
    let op = |p: u32| &history.ops[p as usize];
    let mut answered: Vec<u32> =
        of_node.iter().copied().filter(|&p| matches!(op(p).outcome, Outcome::Ok(_)) && op(p).completed <= t).collect();
    answered.sort_by_key(|&p| op(p).completed);
    let open = |p: u32| !matches!(op(p).outcome, Outcome::Ok(_) | Outcome::Failed) && op(p).completed >= t || op(p).completed > t;
    let open: Vec<u32> = of_node.iter().copied().rev().filter(|&p| open(p)).take(OPEN).collect();
    let mut chosen: Vec<u32> = answered.iter().rev().take(ANSWERED).copied().chain(open).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

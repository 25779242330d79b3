//! Explains a contradiction and determines its kind.
//!
//! Proof and context are separate: the steps state what the history proves, and `nearby` lists other events at that
//! time.

use super::certificate::{Block, Contradiction, Rule};
use crate::coverage;
use crate::verdict::{Explanation, ViolationKind};
use heckle_history::{Call, Current, Fate, Figure, FigureInfo, History, Nanos, OpId, Operation, Outcome, Seen, Unit, Value};
use rustc_hash::FxHashMap;

/// Maximum number of faults listed with a violation.
const MAX_NEARBY_FAULTS: usize = 6;

/// The explanation of a contradiction.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// Kind of the violation, as determined by the ops alone.
    pub kind: ViolationKind,
    /// When the last observation completed.
    pub shown_at: Nanos,
    /// The explanation.
    pub explanation: Explanation,
}

/// Explains a contradiction.
pub fn explain(history: &History, contradiction: &Contradiction) -> Reason {
    let story = Story::of(history, &contradiction.support);
    let (summary, mut steps) = story.argue(&contradiction.rule);
    steps.extend(story.witnesses(&contradiction.rule, &contradiction.support));
    let explanation = Explanation { summary, steps, nearby: story.nearby(&contradiction.support), ..Explanation::default() };
    Reason { kind: story.kind(&contradiction.rule), shown_at: story.shown_at(), explanation }
}

/// Formats a value for explanations.
pub fn value(v: Option<Value>) -> String {
    v.map_or_else(|| "null".to_owned(), |v| v.to_string())
}

/// The ops of an argument, looked up in the history.
struct Story<'h> {
    history: &'h History,
    ops: FxHashMap<OpId, (u32, &'h Operation)>,
}

impl<'h> Story<'h> {
    fn of(history: &'h History, support: &[OpId]) -> Self {
        let mut ops: FxHashMap<OpId, (u32, &Operation)> = FxHashMap::default();
        for (place, op) in (0u32..).zip(&history.ops) {
            if support.contains(&op.op) {
                ops.insert(op.op, (place, op));
            }
        }
        Story { history, ops }
    }

    fn op(&self, id: OpId) -> &'h Operation {
        self.ops[&id].1
    }

    fn fate(&self, id: OpId) -> Option<(Fate, Nanos)> {
        self.history.fates.get(&self.ops[&id].0).copied()
    }

    fn shown_at(&self) -> Nanos {
        let at = |(place, op): &(u32, &Operation)| match op.outcome {
            Outcome::Ok(_) => Some(op.completed),
            Outcome::Failed | Outcome::Unknown | Outcome::Open => self.history.fates.get(place).map(|(_, t)| *t),
        };
        let mut ids: Vec<&OpId> = self.ops.keys().collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|id| at(&self.ops[id])).max().unwrap_or(self.history.end)
    }

    fn kind(&self, rule: &Rule) -> ViolationKind {
        let acknowledged = |id: OpId| matches!(self.op(id).outcome, Outcome::Ok(_));
        match rule {
            Rule::NeverWritten { value, .. } if self.would_be_writer(*value).is_some() => ViolationKind::AbortedRead,
            Rule::NeverWritten { .. } => ViolationKind::ReadOfNeverWritten,
            Rule::TwoSuccessors { a, b } if acknowledged(*a) && acknowledged(*b) => ViolationKind::LostUpdate,
            Rule::TwoSuccessors { .. } => ViolationKind::Fork,
            Rule::SawExpected { .. } => ViolationKind::RefusedThoughMet,
            Rule::Circle { .. } => ViolationKind::CasCycle,
            Rule::Backwards { block } if block.late.is_some_and(|late| self.writes_into(block, late)) => ViolationKind::FutureRead,
            Rule::Backwards { .. } => ViolationKind::StaleRead,
            Rule::Interleaved { one, two } => match (self.observes(one, two), self.observes(two, one)) {
                (Some(late), None) | (None, Some(late)) => match self.op(late).outcome {
                    Outcome::Ok(Seen::Value(_) | Seen::ConditionNotMet(_)) => ViolationKind::StaleRead,
                    Outcome::Ok(Seen::Written | Seen::Applied) | Outcome::Failed | Outcome::Unknown | Outcome::Open => {
                        ViolationKind::LostUpdate
                    }
                },
                (Some(_), Some(_)) | (None, None) => ViolationKind::RealTimeCycle,
            },
        }
    }

    /// Returns an op that did not happen and would have written `value`.
    fn would_be_writer(&self, value: Value) -> Option<OpId> {
        let mut ids: Vec<OpId> = self.ops.iter().filter(|(_, (_, op))| op.call.writes() == Some(value)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.first().copied()
    }

    /// Returns whether `id` is the writer of a value of `block`.
    fn writes_into(&self, block: &Block, id: OpId) -> bool {
        let updates = !matches!(self.op(id).outcome, Outcome::Ok(Seen::Value(_) | Seen::ConditionNotMet(_)));
        updates && self.op(id).call.writes().is_some_and(|v| block.values.contains(&Some(v)))
    }

    /// Returns the late op of `block` if it saw a value of the block again after `other` had started. There is no such
    /// op if the late op is a blind write, which sees nothing; if it is also the early op, which saw the value only
    /// once; or if `other` starts with the initial value, which precedes all others.
    fn observes(&self, block: &Block, other: &Block) -> Option<OpId> {
        let late = block.late.filter(|_| other.early.is_some() && block.late != block.early)?;
        let blind = matches!(self.op(late).call, Call::Write { .. });
        (!blind).then_some(late)
    }

    /// Describes an op: "op 812 set 16 to 17".
    fn describe(&self, id: OpId) -> String {
        let op = self.op(id);
        match (op.call, op.outcome) {
            (Call::Read, Outcome::Ok(Seen::Value(v))) if op.path.is_last_write_wins() => format!("op {id}, a get, read {}", value(v)),
            (Call::Read, Outcome::Ok(Seen::Value(v))) => format!("op {id} read {}", value(v)),
            (Call::Cas { expected, .. }, Outcome::Ok(Seen::ConditionNotMet(Current::Known(v)))) => {
                format!("op {id}, a cas from {}, was refused by {}", value(expected), value(v))
            }
            (Call::Cas { expected, .. }, Outcome::Ok(Seen::ConditionNotMet(Current::NotReported))) => {
                format!("op {id}, a cas from {}, was refused", value(expected))
            }
            (Call::Cas { expected, new }, _) => format!("op {id} set {} to {new}", value(expected)),
            (Call::Write { new }, _) if op.path.is_last_write_wins() => format!("op {id}, a put, wrote {new}"),
            (Call::Write { new }, _) => format!("op {id} wrote {new}"),
            (Call::Read, _) => format!("op {id} read"),
        }
    }

    /// Describes the outcome of an op: "and was acknowledged at 21.402113 s".
    fn describe_end(&self, id: OpId) -> String {
        let op = self.op(id);
        match (op.outcome, self.fate(id)) {
            (Outcome::Ok(Seen::Written | Seen::Applied), _) => format!("and was acknowledged at {}", op.completed),
            (Outcome::Ok(Seen::Value(_) | Seen::ConditionNotMet(_)), _) => format!("and was answered at {}", op.completed),
            (Outcome::Failed, _) => format!("and failed at {}", op.completed),
            (_, Some((Fate::Applied, t))) => format!("(outcome unknown) and was found applied at {t}"),
            (_, Some((Fate::NotApplied, t))) => format!("(outcome unknown) and was found not applied at {t}"),
            (Outcome::Unknown, _) => format!("(outcome unknown since {})", op.completed),
            (Outcome::Open, _) => "(never answered)".to_owned(),
        }
    }

    fn describe_with_end(&self, id: OpId) -> String {
        format!("{} {}", self.describe(id), self.describe_end(id))
    }

    /// Describes a late op: "op 901 was invoked at 22.113000 s, after that, and still read 16".
    fn describe_late(&self, id: OpId) -> String {
        let op = self.op(id);
        let invoked = format!("op {id} was invoked at {}, after that,", op.invoked);
        match (op.call, op.outcome) {
            (_, Outcome::Ok(Seen::Value(v))) => format!("{invoked} and still read {}", value(v)),
            (_, Outcome::Ok(Seen::ConditionNotMet(Current::Known(v)))) => {
                format!("{invoked} and was refused because it still found {}", value(v))
            }
            (Call::Cas { expected, new }, _) => format!("{invoked} and still found {} and set it to {new}", value(expected)),
            (Call::Write { new }, _) => format!("{invoked} and only then wrote {new}"),
            (Call::Read, _) => invoked,
        }
    }

    fn argue(&self, rule: &Rule) -> (String, Vec<String>) {
        match rule {
            Rule::NeverWritten { observer, value } => self.argue_never_written(*observer, *value),
            Rule::TwoSuccessors { a, b } => {
                let expected = match self.op(*a).call {
                    Call::Cas { expected, .. } => value(expected),
                    Call::Read | Call::Write { .. } => String::new(),
                };
                let summary = format!(
                    "{}; {}; both found {expected}, but the first of them took it away.",
                    self.describe_with_end(*a),
                    self.describe_with_end(*b)
                );
                (summary, vec![format!("Values are unique, so {expected} held once and only one cas can have found it last.")])
            }
            Rule::SawExpected { op } => {
                let summary = format!("{} {}: it found the very value it expected.", self.describe(*op), self.describe_end(*op));
                (summary, vec![])
            }
            Rule::Circle { ops } => {
                let deeds: Vec<String> = ops.iter().map(|&op| self.describe_with_end(op)).collect();
                (format!("{}: each found what only the one before it writes, round in a circle.", deeds.join("; ")), vec![])
            }
            Rule::Backwards { block } => self.argue_backwards(block),
            Rule::Interleaved { one, two } => self.argue_interleaved(one, two),
        }
    }

    fn argue_never_written(&self, observer: OpId, seen: Value) -> (String, Vec<String>) {
        let how = match self.op(observer).outcome {
            Outcome::Ok(Seen::Value(_) | Seen::ConditionNotMet(_)) => self.describe_with_end(observer),
            Outcome::Ok(_) | Outcome::Failed | Outcome::Unknown | Outcome::Open => {
                format!("{}, so it found {seen}", self.describe_with_end(observer))
            }
        };
        let Some(aborted) = self.would_be_writer(seen).filter(|id| *id != observer || self.refused(*id)) else {
            return (format!("{how}; no op of the history writes {seen}."), vec![]);
        };
        let what = match self.op(aborted).outcome {
            Outcome::Ok(_) => format!("was refused at {}", self.op(aborted).completed),
            Outcome::Failed => format!("failed at {}", self.op(aborted).completed),
            Outcome::Unknown | Outcome::Open => "was found not applied".to_owned(),
        };
        (format!("{how}; only op {aborted} would have written {seen}, and it {what}: it never happened."), vec![])
    }

    fn refused(&self, id: OpId) -> bool {
        matches!(self.op(id).outcome, Outcome::Ok(Seen::ConditionNotMet(_)))
    }

    fn argue_backwards(&self, block: &Block) -> (String, Vec<String>) {
        let (Some(early), Some(late)) = (block.early, block.late) else { return (String::new(), vec![]) };
        let summary = if self.writes_into(block, late) {
            let new = value(self.op(late).call.writes());
            format!(
                "{}; but op {late}, the only one that writes {new}, was invoked at {}, after that.",
                self.describe_with_end(early),
                self.op(late).invoked
            )
        } else {
            format!("{}; {}.", self.describe_with_end(early), self.describe_late(late))
        };
        (summary, self.run(block))
    }

    fn argue_interleaved(&self, one: &Block, two: &Block) -> (String, Vec<String>) {
        // `old` is the block whose value was seen again although `new` had started.
        let (old, new) = if self.observes(one, two).is_some() { (one, two) } else { (two, one) };
        let (Some(back), Some(after)) = (old.late, new.late) else { return (String::new(), vec![]) };
        let Some(established) = new.early else { return self.argue_interleaved(new, old) };
        let summary = format!("{}; {}.", self.describe_with_end(established), self.describe_late(back));
        let (olds, news) = (self.values(old), self.values(new));
        let mut steps = vec![match old.early {
            None => format!("{olds} held before anything was written, so it came before {news}."),
            Some(early) => format!(
                "{}, before op {after} on {news} was invoked at {}: so {olds} came before {news}.",
                self.describe_with_end(early),
                self.op(after).invoked
            ),
        }];
        steps.push(format!(
            "{}, before op {back} on {olds} was invoked at {}: so {news} came before {olds}.",
            self.describe_with_end(established),
            self.op(back).invoked
        ));
        steps.push("Each value is written once, so it holds during one stretch of time, and both cannot be true.".to_owned());
        steps.extend(self.run(old));
        steps.extend(self.run(new));
        (summary, steps)
    }

    fn values(&self, block: &Block) -> String {
        block.values.iter().map(|&v| value(v)).collect::<Vec<_>>().join(" -> ")
    }

    fn run(&self, block: &Block) -> Vec<String> {
        if block.values.len() < 2 {
            return vec![];
        }
        vec![format!("{}: each cas took one value to the next, so nothing came in between.", self.values(block))]
    }

    /// Explains how updates without an acknowledgement are known to have happened.
    fn witnesses(&self, rule: &Rule, support: &[OpId]) -> Vec<String> {
        let mut words = vec![];
        for &id in support {
            let unsure =
                matches!(self.op(id).outcome, Outcome::Unknown | Outcome::Open) && self.fate(id).is_none_or(|(f, _)| f != Fate::Applied);
            if !unsure || matches!(rule, Rule::NeverWritten { value, .. } if self.op(id).call.writes() == Some(*value)) {
                continue;
            }
            let Some(new) = self.op(id).call.writes() else { continue };
            let saw = |o: &OpId| match (self.op(*o).call, self.op(*o).outcome) {
                (_, Outcome::Ok(Seen::Value(v) | Seen::ConditionNotMet(Current::Known(v)))) => v == Some(new),
                (Call::Cas { expected, .. }, _) => *o != id && expected == Some(new),
                (Call::Read | Call::Write { .. }, _) => false,
            };
            if let Some(&witness) = support.iter().find(|o| saw(o)) {
                words.push(format!("The outcome of op {id} is unknown, but it happened: {}.", self.describe_with_end(witness)));
            }
        }
        words
    }

    fn nearby(&self, support: &[OpId]) -> Vec<String> {
        let history = self.history;
        let mut lines = vec![];
        for &id in support {
            let (place, op) = self.ops[&id];
            let mut facts = vec![format!("process {}", op.process)];
            facts.extend(op.node.map(|n| format!("node {}", history.names.node_name(n))));
            if let Some(detail) = history.details.get(place as usize) {
                facts.extend(detail.reason.as_ref().map(|r| format!("reason {r}")));
                if let Some(d) = &detail.diagnostics {
                    facts.extend(d.iter().filter_map(|(id, figure)| fact(history.names.figure_info(id), &figure)));
                }
            }
            let end = if op.completed == Nanos::NEVER { "open".to_owned() } else { op.completed.to_string() };
            lines.push(format!("op {id}: {} .. {end}, {}", op.invoked, facts.join(", ")));
        }
        let from = support.iter().map(|&id| self.op(id).invoked).min().unwrap_or_default();
        let to = self.shown_at();
        let faults = coverage::faults(history);
        let around: Vec<_> = faults.iter().filter(|f| f.began <= to && from <= f.healed.unwrap_or(f.ended)).collect();
        for fault in around.iter().take(MAX_NEARBY_FAULTS) {
            let effect = if fault.effective { "" } else { " (no effect seen)" };
            lines.push(format!("fault {} on {}: {} .. {}{effect}", fault.kind, fault.targets.join(", "), fault.began, fault.ended));
        }
        if around.len() > MAX_NEARBY_FAULTS {
            lines.push(format!("and {} more faults", around.len() - MAX_NEARBY_FAULTS));
        }
        lines
    }
}

/// Formats a figure for the reader. Numbers are included only if they are non-zero and have a measure.
fn fact(info: &FigureInfo, figure: &Figure<'_>) -> Option<String> {
    let name = info.name.trim_end_matches("_ns").replace('_', " ");
    match figure {
        Figure::Text(text) => Some(format!("{name} {text}")),
        Figure::Number(n) if info.measure.is_none() || *n <= 0 => None,
        Figure::Number(n) if info.unit == Unit::Ns => Some(format!("{name} {} ms", *n as f64 / 1e6)),
        Figure::Number(n) => Some(format!("{name} {n}")),
    }
}

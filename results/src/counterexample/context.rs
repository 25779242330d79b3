//! All operations on the key of a violation at that time, in lanes, one per process, sorted by client, with faults, node events and
//! the initial value of the key. The drawing is part of the page, so it works in print and without scripts. Scripts only add
//! highlights: the operations that ended before, and those that began after, the one under the pointer.

use super::subject::Subject;
use crate::charts::axis::duration;
use crate::faults::FaultWindow;
use crate::report::markup::{Html, note};
use crate::results_json::Violation;
use heckle_checker::explain::label;
use heckle_checker::linearizable::reason::value;
use heckle_history::event::NodeEvent;
use heckle_history::{Fate, Nanos, Operation, Outcome, ProcessId, Seen, Value};

/// Maximum number of other operations on the key to draw. The ones that began last are kept.
const MAX_OTHER_OPS: usize = 60;
/// Maximum number of lanes. More would hide the violation.
const MAX_LANES: usize = 30;
/// Maximum number of node events to mark.
const MAX_MARKS: usize = 60;

const LEFT: f64 = 150.0;
const WIDTH: f64 = 970.0;
const LANE: f64 = 38.0;
const TOP: f64 = 60.0;

/// The contents of the drawing.
pub(super) struct Scene<'a> {
    subject: Subject<'a>,
    ops: Vec<DrawnOp<'a>>,
    lanes: Vec<ProcessId>,
    left_out: usize,
    entry: Option<(&'a Operation, Option<Value>)>,
    from: Nanos,
    to: Nanos,
}

struct DrawnOp<'a> {
    place: u32,
    op: &'a Operation,
    /// Whether the operation is part of the argument.
    named: bool,
}

impl<'a> Scene<'a> {
    pub(super) fn of(subject: Subject<'a>, violation: &Violation) -> Option<Self> {
        let history = subject.history;
        let all = || (0u32..).zip(&history.ops);
        let named: Vec<DrawnOp<'_>> =
            all().filter(|(_, op)| violation.ops.contains(&op.op.0)).map(|(place, op)| DrawnOp { place, op, named: true }).collect();
        let from = named.iter().map(|d| d.op.invoked).min()?;
        let end = |op: &Operation| if op.completed == Nanos::NEVER { op.invoked } else { op.completed };
        let to = named.iter().map(|d| end(d.op)).max()?.max(Nanos(from.0 + 1_000));
        let key = history.names.find_key(&violation.key);
        let mut nearby: Vec<DrawnOp<'_>> = all()
            .filter(|(_, op)| Some(op.key) == key && op.invoked <= to && op.completed >= from && !violation.ops.contains(&op.op.0))
            .map(|(place, op)| DrawnOp { place, op, named: false })
            .collect();
        let found = nearby.len();
        nearby.sort_by_key(|d| to.since(d.op.invoked));
        nearby.truncate(MAX_OTHER_OPS);
        let mut lanes: Vec<ProcessId> = vec![];
        for drawn in named.iter().chain(&nearby) {
            if !lanes.contains(&drawn.op.process) && lanes.len() < MAX_LANES {
                lanes.push(drawn.op.process);
            }
        }
        nearby.retain(|d| lanes.contains(&d.op.process));
        let left_out = found - nearby.len();
        let mut ops: Vec<DrawnOp<'_>> = named.into_iter().filter(|d| lanes.contains(&d.op.process)).chain(nearby).collect();
        ops.sort_by_key(|d| (d.named, d.op.invoked));
        let entry = all().filter(|(_, op)| Some(op.key) == key && op.completed < from).filter_map(|(_, op)| Some((op, value_after(op)?)));
        let entry = entry.max_by_key(|(op, _)| op.completed);
        let mut scene = Scene { subject, ops, lanes, left_out, entry, from, to };
        scene.sort_lanes();
        Some(scene)
    }

    /// Sorts lanes by client, then by the first operation.
    fn sort_lanes(&mut self) {
        let first = |lane: &ProcessId| self.ops.iter().filter(|d| d.op.process == *lane).min_by_key(|d| d.op.invoked);
        let mut keyed: Vec<_> = self.lanes.iter().map(|lane| (first(lane).map(|d| (self.client(d.place), d.op.invoked)), *lane)).collect();
        keyed.sort_unstable();
        self.lanes = keyed.into_iter().map(|(_, lane)| lane).collect();
    }

    fn client(&self, place: u32) -> Option<u32> {
        self.subject.history.details.get(place as usize).and_then(|d| d.client).map(|c| c.0)
    }

    fn x(&self, t: Nanos) -> f64 {
        let span = (self.to.0 - self.from.0).max(1) as f64 * 1.1;
        let start = self.from.0 as f64 - span * 0.04;
        LEFT + ((t.0 as f64 - start) / span).clamp(0.0, 1.0) * WIDTH
    }

    fn height(&self) -> f64 {
        TOP + LANE * self.lanes.len() as f64 + 26.0
    }

    pub(super) fn draw(&self) -> Html {
        let entry = match self.entry {
            Some((op, held)) => format!(
                "At the beginning the key holds {}, according to op {} ({}), which ended last before it, at {}.",
                value(held),
                op.op,
                label(op),
                op.completed
            ),
            None => "No operation on this key completed before this, so the key was not known to be written.".to_owned(),
        };
        let mut inner = Html::default();
        for fault in self.subject.measured.faults.iter().filter(|f| f.began <= self.to && f.end(self.subject.history.end) >= self.from) {
            inner.push(self.band(fault));
        }
        let marks = self.subject.history.node_events.iter().filter(|e| !e.is_routine() && self.from <= e.t && e.t <= self.to);
        inner.push(marks.take(MAX_MARKS).map(|event| self.mark(event)).collect::<Html>());
        for (i, lane) in self.lanes.iter().enumerate() {
            inner.push(self.lane(i, *lane));
        }
        inner.push(self.ops.iter().map(|drawn| self.bar(drawn)).collect::<Html>());
        for (t, anchor) in [(self.from, "start"), (self.to, "end")] {
            inner.push(text(self.x(t), self.height() - 6.0, &[("class", "t"), ("text-anchor", anchor)], &t.to_string()));
        }
        let (width, height) = (LEFT + WIDTH + 10.0, self.height());
        let view = format!("0 0 {width} {height}");
        let svg = [("viewBox", view.as_str()), ("role", "group"), ("aria-label", "The ops of the violation in lanes"), ("class", "lanes")];
        let left_out = if self.left_out > 0 { format!(" {} other ops on the key are left out.", self.left_out) } else { String::new() };
        let how = format!(
            "A bar reaches from invoke to answer; a dashed one has no known end. Strong: the ops of the argument. Point at one, or move to it \
             with Tab, to see what it found and left, which ops ended before it and which began after it.{left_out}"
        );
        let said = Html::element("p", &[("class", "readout lanes-readout"), ("aria-live", "polite")], "");
        let drawing = Html::element("div", &[("class", "scroll")], Html::element("svg", &svg, inner));
        Html::element("p", &[("class", "entry")], entry).and(drawing).and(said).and(note(&how))
    }

    fn band(&self, fault: &FaultWindow) -> Html {
        let (a, b) = (self.x(fault.began), self.x(fault.end(self.subject.history.end)));
        rect(a, 22.0, (b - a).max(1.0), self.height() - 46.0, &[("class", "band")], Html::default()).and(text(
            a + 2.0,
            16.0,
            &[("class", "t")],
            &format!("fault {}: {}", fault.id, fault.label()),
        ))
    }

    fn mark(&self, event: &NodeEvent) -> Html {
        let x = self.x(event.t);
        let words = format!("{} {}", self.subject.history.names.node_name(event.node), event.what);
        line(x, x, 34.0, self.height() - 24.0, "mark").and(text(x + 2.0, 32.0, &[("class", "t")], &words))
    }

    fn lane(&self, i: usize, lane: ProcessId) -> Html {
        let y = TOP + LANE * i as f64;
        let client = self.ops.iter().find(|d| d.op.process == lane).and_then(|d| self.client(d.place));
        let name = client.map_or(format!("process {lane}"), |c| format!("c{c} · process {lane}"));
        line(LEFT, LEFT + WIDTH, y, y, "lane").and(text(4.0, y + 4.0, &[], &name))
    }

    fn bar(&self, drawn: &DrawnOp<'_>) -> Html {
        let op = drawn.op;
        let lane = self.lanes.iter().position(|l| *l == op.process).unwrap_or(0);
        let y = TOP + LANE * lane as f64 - 8.0;
        let fate = self.subject.history.fates.get(&drawn.place);
        let known = matches!(op.outcome, Outcome::Ok(_) | Outcome::Failed);
        let end = match fate {
            Some((Fate::Applied, t)) => *t,
            _ if known => op.completed,
            _ => Nanos(self.to.0 + (self.to.0 - self.from.0) / 10),
        };
        let (a, b) = (self.x(op.invoked), self.x(end));
        let class = match (drawn.named, known || fate.is_some()) {
            (true, true) => "op hit",
            (true, false) => "op hit open",
            (false, true) => "op",
            (false, false) => "op open",
        };
        let words = self.words(drawn);
        // For comparisons in the script: an operation without a known end may take effect at any time after its invoke.
        let until = if op.effect_by() == Nanos::NEVER { String::new() } else { op.effect_by().0.to_string() };
        let (id, from) = (op.op.to_string(), op.invoked.0.to_string());
        let attributes = [("class", class), ("data-from", from.as_str()), ("data-until", until.as_str()), ("data-words", words.as_str())];
        let bar = rect(a, y, (b - a).max(2.0), 16.0, &attributes, Html::element("title", &[], words.as_str()));
        let link = Html::element("a", &[("href", &format!("{}#op={id}", self.subject.report)), ("aria-label", &words)], bar);
        let name =
            if drawn.named { text(a, y - 3.0, &[("class", "name")], &format!("op {}: {}", op.op, label(op))) } else { Html::default() };
        link.and(name)
    }

    fn words(&self, drawn: &DrawnOp<'_>) -> String {
        let (op, names) = (drawn.op, &self.subject.history.names);
        let node = op.node.map_or(String::new(), |n| format!(" at {}", names.node_name(n)));
        let fate = self.subject.history.fates.get(&drawn.place);
        let fate = fate.map_or(String::new(), |(fate, t)| format!("; its fate, known at {t}: {}", fate_words(*fate)));
        let (found, left) = describe_values(op);
        let took = if op.completed == Nanos::NEVER {
            "never completed".to_owned()
        } else {
            format!("took {}", duration(op.completed.since(op.invoked).as_ms_f64()))
        };
        format!("op {}: {}{node}, invoked at {}, {took}. Before it: {found}. After it: {left}{fate}.", op.op, label(op), op.invoked)
    }
}

/// Returns the name of a fate.
fn fate_words(fate: Fate) -> &'static str {
    match fate {
        Fate::Applied => "applied",
        Fate::NotApplied => "not applied",
        Fate::Evicted => "too old to know",
        Fate::Unresolved => "unresolved",
    }
}

/// Returns the value of the key after `op` had taken effect, if its reply determines it.
fn value_after(op: &Operation) -> Option<Option<Value>> {
    match op.outcome {
        Outcome::Ok(Seen::Value(v)) => Some(v),
        Outcome::Ok(Seen::Written | Seen::Applied) => Some(op.call.writes()),
        Outcome::Ok(Seen::ConditionNotMet(heckle_history::Current::Known(v))) => Some(v),
        Outcome::Ok(Seen::ConditionNotMet(heckle_history::Current::NotReported)) => None,
        Outcome::Failed | Outcome::Unknown | Outcome::Open => None,
    }
}

/// Describes the values of the key before and after an operation.
fn describe_values(op: &Operation) -> (String, String) {
    let expected = match op.call {
        heckle_history::Call::Cas { expected, .. } => Some(expected),
        heckle_history::Call::Read | heckle_history::Call::Write { .. } => None,
    };
    match (op.outcome, value_after(op)) {
        (Outcome::Ok(Seen::Value(v)), _) => (format!("the key held {}", value(v)), "the same".into()),
        (Outcome::Ok(Seen::Written), after) => ("anything".into(), format!("the key held {}", value(after.flatten()))),
        (Outcome::Ok(Seen::Applied), after) => {
            (format!("the key held {}", value(expected.flatten())), format!("it held {}", value(after.flatten())))
        }
        (Outcome::Ok(Seen::ConditionNotMet(_)), Some(v)) => (format!("the key held {}", value(v)), "the same".into()),
        (Outcome::Ok(Seen::ConditionNotMet(_)), None) => ("another value than it expected".into(), "the same".into()),
        (Outcome::Failed, _) => ("not known".into(), "the same: it is proved not to have happened".into()),
        (Outcome::Unknown | Outcome::Open, _) => match op.call.writes() {
            Some(new) => ("not known".into(), format!("{new} if it happened, which it may do at any time from its invoke on")),
            None => ("not known".into(), "the same".into()),
        },
    }
}

fn text(x: f64, y: f64, attributes: &[(&'static str, &str)], words: &str) -> Html {
    let (x, y) = (format!("{x:.1}"), format!("{y:.1}"));
    Html::element("text", &[&[("x", x.as_str()), ("y", y.as_str())], attributes].concat(), words)
}

fn rect(x: f64, y: f64, width: f64, height: f64, attributes: &[(&'static str, &str)], inner: Html) -> Html {
    let numbers = [x, y, width, height].map(|n| format!("{n:.1}"));
    let place = [("x", numbers[0].as_str()), ("y", &numbers[1]), ("width", &numbers[2]), ("height", &numbers[3])];
    Html::element("rect", &[&place, attributes].concat(), inner)
}

fn line(x1: f64, x2: f64, y1: f64, y2: f64, class: &str) -> Html {
    let numbers = [x1, x2, y1, y2].map(|n| format!("{n:.1}"));
    let place = [("x1", numbers[0].as_str()), ("x2", &numbers[1]), ("y1", &numbers[2]), ("y2", &numbers[3]), ("class", class)];
    Html::element("line", &place, Html::default())
}

//! `timeline.html`: one self-contained page, with a lane per process and faults as bands.
//!
//! The ops of the violation are highlighted; other ops of the same key that overlap them are faint. The page follows
//! the reader's light or dark setting, the diagram is SVG, and every text from a history is escaped, because a file may
//! contain any names of keys and nodes.

use crate::coverage;
use crate::linearizable::reason::value;
use crate::verdict::Violation;
use heckle_history::printable::{self, steers};
use heckle_history::{Call, Current, Fate, History, Nanos, Operation, Outcome, ProcessId, Seen};
use std::fmt::Write;

/// Maximum number of other ops shown as context; the nearest in time are kept.
const MAX_CONTEXT_OPS: usize = 120;

/// Lanes beyond this many would make the page unreadable.
const MAX_LANES: usize = 40;

const LEFT: f64 = 110.0;
const WIDTH: f64 = 900.0;
const LANE: f64 = 40.0;
const TOP: f64 = 46.0;

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d0d7de;--bar:#8c959f;--bad:#cf222e;--hit:#0969da;--band:#bf870033}
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#9198a1;--line:#30363d;--bar:#656c76;--bad:#ff7b72;--hit:#58a6ff;--band:#d2992233}}
body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1060px;padding:0 1rem}
h1{font-size:1.3rem}.sum{font-size:1.05rem}.dim,li.near{color:var(--dim)}svg{width:100%;height:auto;display:block;margin:1rem 0}
svg text{fill:var(--fg);font:12px system-ui,sans-serif}svg .t{fill:var(--dim)}line.lane{stroke:var(--line)}rect.op{fill:var(--bar);opacity:.45}
rect.hit{fill:var(--hit)}rect.open{fill-opacity:.5;stroke:var(--hit);stroke-dasharray:4 3}rect.band{fill:var(--band)}line.shown{stroke:var(--bad);stroke-dasharray:3 3}";

/// The page.
pub fn html(history: &History, violation: &Violation) -> String {
    let scene = Scene::of(history, violation);
    let e = &violation.explanation;
    let mut page = String::new();
    let title = format!("{} on {}", violation.kind, violation.key);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{0}</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n<p class=\"sum\">{1}</p>\n",
        escape(&title),
        escape(&e.summary)
    );
    list(&mut page, "ol", "", &e.steps);
    scene.draw(&mut page);
    page.push_str("<p class=\"dim\">Each bar reaches from invoke to answer; a dashed one has no known end. Shaded: faults. Dashed red: the first moment at which the contradiction was complete. Point at a bar for its details.</p>\n");
    if let Some(cause) = &e.cause {
        let _ = writeln!(page, "<p><b>Cause:</b> {}</p>", escape(cause));
    }
    if !e.nearby.is_empty() {
        page.push_str("<h2 class=\"dim\">What was near it (context, not proof)</h2>\n");
        list(&mut page, "ul", "near", &e.nearby);
    }
    page.push_str("</body></html>\n");
    page
}

fn list(page: &mut String, tag: &str, class: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _ = write!(page, "<{tag}>");
    for item in items {
        let _ = write!(page, "<li class=\"{class}\">{}</li>", escape(item));
    }
    let _ = writeln!(page, "</{tag}>");
}

/// Escapes a text for use in an element or an attribute.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if steers(c) => out.push_str(&printable::escape(c)),
            c => out.push(c),
        }
    }
    out
}

/// A short label for an op and its answer: `cas 16 -> 17`, `read 16`.
pub fn label(op: &Operation) -> String {
    match (op.call, op.outcome) {
        (Call::Read, Outcome::Ok(Seen::Value(v))) => format!("{} {}", op.name(), value(v)),
        (Call::Read, _) => format!("{} ?", op.name()),
        (Call::Write { new }, outcome) => format!("{} {new}{}", op.name(), mark(outcome)),
        (Call::Cas { expected, new }, Outcome::Ok(Seen::ConditionNotMet(current))) => {
            let saw = match current {
                Current::Known(v) => value(v),
                Current::NotReported => "another value".to_owned(),
            };
            format!("cas {} -> {new}, saw {saw}", value(expected))
        }
        (Call::Cas { expected, new }, outcome) => format!("cas {} -> {new}{}", value(expected), mark(outcome)),
    }
}

fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok(_) => "",
        Outcome::Failed => " failed",
        Outcome::Unknown | Outcome::Open => " ?",
    }
}

/// The selected ops, assigned to lanes.
struct Scene<'h> {
    history: &'h History,
    violation: &'h Violation,
    ops: Vec<(u32, &'h Operation, bool)>,
    lanes: Vec<ProcessId>,
    from: Nanos,
    to: Nanos,
}

impl<'h> Scene<'h> {
    fn of(history: &'h History, violation: &'h Violation) -> Self {
        let hit = |o: &Operation| violation.ops.contains(&o.op);
        let key = history.names.find_key(&violation.key);
        let from = history.ops.iter().filter(|o| hit(o)).map(|o| o.invoked).min().unwrap_or_default();
        let to = violation.shown_at.max(from);
        let mut near: Vec<(u32, &Operation)> =
            (0u32..).zip(&history.ops).filter(|(_, o)| !hit(o) && Some(o.key) == key && o.invoked <= to && o.completed >= from).collect();
        // The end of the timeline matters most: the late op is the one that should have seen a different value.
        near.sort_by_key(|(_, o)| to.since(o.invoked));
        near.truncate(MAX_CONTEXT_OPS);
        let mut ops: Vec<(u32, &Operation, bool)> = (0u32..).zip(&history.ops).filter(|(_, o)| hit(o)).map(|(p, o)| (p, o, true)).collect();
        ops.extend(near.into_iter().map(|(p, o)| (p, o, false)));
        let mut lanes: Vec<ProcessId> = vec![];
        for (_, op, _) in &ops {
            if !lanes.contains(&op.process) && lanes.len() < MAX_LANES {
                lanes.push(op.process);
            }
        }
        ops.retain(|(_, o, _)| lanes.contains(&o.process));
        ops.sort_by_key(|(_, o, hit)| (*hit, o.invoked));
        Scene { history, violation, ops, lanes, from, to }
    }

    fn x(&self, t: Nanos) -> f64 {
        // Leave a small margin on both sides.
        let span = (self.to.0 - self.from.0).max(1) as f64 * 1.12;
        let start = self.from.0 as f64 - span * 0.04;
        LEFT + ((t.0 as f64 - start) / span).clamp(0.0, 1.0) * WIDTH
    }

    fn draw(&self, page: &mut String) {
        let height = TOP + LANE * self.lanes.len() as f64 + 30.0;
        let width = LEFT + WIDTH + 20.0;
        let _ = writeln!(page, "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"timeline of the ops\">");
        for fault in coverage::faults(self.history).iter().filter(|f| f.began <= self.to && f.ended >= self.from) {
            let (a, b) = (self.x(fault.began), self.x(fault.ended));
            let name = escape(&format!("{} {}", fault.kind, fault.targets.join(", ")));
            let _ = writeln!(
                page,
                "<rect class=\"band\" x=\"{a:.1}\" y=\"20\" width=\"{:.1}\" height=\"{:.1}\"><title>{name}</title></rect>",
                (b - a).max(1.0),
                height - 44.0
            );
            let _ = writeln!(page, "<text class=\"t\" x=\"{:.1}\" y=\"14\">{name}</text>", a + 2.0);
        }
        for (i, lane) in self.lanes.iter().enumerate() {
            let y = TOP + LANE * i as f64;
            let _ = writeln!(page, "<line class=\"lane\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/>", LEFT + WIDTH);
            let _ = writeln!(page, "<text x=\"4\" y=\"{}\">process {lane}</text>", y + 4.0);
        }
        for (place, op, hit) in &self.ops {
            self.bar(page, *place, op, *hit);
        }
        let x = self.x(self.violation.shown_at);
        let _ = writeln!(page, "<line class=\"shown\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"20\" y2=\"{:.1}\"/>", height - 24.0);
        for t in [self.from, self.to] {
            let _ = writeln!(page, "<text class=\"t\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{t}</text>", self.x(t), height - 6.0);
        }
        page.push_str("</svg>\n");
    }

    fn bar(&self, page: &mut String, place: u32, op: &Operation, hit: bool) {
        let lane = self.lanes.iter().position(|l| *l == op.process).unwrap_or(0);
        let y = TOP + LANE * lane as f64 - 8.0;
        let fate = self.history.fates.get(&place);
        let known = matches!(op.outcome, Outcome::Ok(_) | Outcome::Failed);
        let end = match fate {
            Some((Fate::Applied, t)) => *t,
            _ if known => op.completed,
            _ => self.to,
        };
        let (a, b) = (self.x(op.invoked), self.x(end));
        let class = match (hit, known || fate.is_some()) {
            (true, true) => "op hit",
            (true, false) => "op hit open",
            (false, _) => "op",
        };
        let node = op.node.map_or(String::new(), |n| format!(", node {}", self.history.names.node_name(n)));
        let until = if op.completed == Nanos::NEVER { "open".to_owned() } else { op.completed.to_string() };
        let told = fate.map_or(String::new(), |(f, t)| format!(", fate {f:?} at {t}"));
        let title = escape(&format!("op {}: {} ({} .. {until}{node}{told})", op.op, label(op), op.invoked));
        let _ = writeln!(
            page,
            "<rect class=\"{class}\" x=\"{a:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"16\" rx=\"3\"><title>{title}</title></rect>",
            (b - a).max(2.0)
        );
        if hit {
            let _ = writeln!(page, "<text x=\"{a:.1}\" y=\"{:.1}\">op {}: {}</text>", y - 3.0, op.op, escape(&label(op)));
        }
    }
}

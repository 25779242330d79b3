//! Terminal reports that need the history: the slowest operations and why they were slow, the impact of faults, and the share
//! of each client. Also formats the text of a counterexample for a terminal.

use crate::charts::axis::{count, duration};
use crate::fault_impact::{self, ImpactCounts};
use crate::measure::Measured;
use crate::terminal::{Align, Cell, Colour, Style, clean, table, wrap};
use crate::{clients, slowest};
use heckle_checker::explain::label;
use heckle_history::History;

/// Options for the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    /// Maximum line width, in characters.
    pub letters: usize,
    /// Whether to use colour.
    pub colour: Colour,
}

fn plain(words: impl Into<String>) -> Cell {
    (Style::Plain, words.into())
}

fn ms(t: heckle_history::Nanos) -> Cell {
    plain(duration(t.as_ms_f64()))
}

/// Lists the `wanted` slowest operations of the load window, and why each was slow.
pub fn slowest(history: &History, measured: &Measured, wanted: usize, width: Width) -> String {
    let mut out = String::new();
    for slow in slowest::of(history, measured, wanted) {
        let op = &history.ops[slow.place as usize];
        let node = op.node.map_or(String::new(), |n| format!(" at {}", history.names.node_name(n)));
        let head = format!(
            "op {}: {}, due at {}, {} on key {}{node}",
            op.op,
            duration(slow.took.as_ms_f64()),
            op.intended,
            label(op),
            history.names.key_name(op.key)
        );
        out += &lines(&clean(&head), "", "  ", Style::Strong, width);
        for why in slow.why {
            out += &lines(&clean(&why), "  - ", "    ", Style::Plain, width);
        }
    }
    if out.is_empty() { "no op was due under load\n".into() } else { out }
}

/// Lists the impact of every fault per node, compared with the figures without a fault.
pub fn faults(history: &History, measured: &Measured, width: Width) -> String {
    use Align::{Left, Right};
    if measured.faults.is_empty() {
        return "there was no fault\n".into();
    }
    let faulty = fault_impact::of(history, measured);
    let row = |during: String, node: &str, met: &ImpactCounts, usual: &ImpactCounts| -> Vec<Cell> {
        let unknown = if met.unknown > 0 { Style::Bad } else { Style::Plain };
        let slow = if usual.ok > 0 && met.p99_ms > 2.0 * usual.p99_ms { Style::Doubt } else { Style::Plain };
        let latency = |look, x: f64| if met.ok == 0 { (Style::Dim, "-".to_owned()) } else { (look, duration(x)) };
        vec![
            plain(clean(&during)),
            plain(clean(node)),
            plain(count(met.ops)),
            plain(count(met.ok)),
            plain(count(met.failed)),
            (unknown, count(met.unknown)),
            latency(Style::Plain, met.p50_ms),
            latency(slow, met.p99_ms),
        ]
    };
    let mut rows = vec![row("no fault".into(), "all", &faulty.calm, &faulty.calm)];
    for during in &faulty.faults {
        let fault = &measured.faults[during.fault];
        for (i, (node, met)) in during.nodes.iter().enumerate() {
            let name = if i == 0 { format!("{} {}", fault.id, fault.label()) } else { String::new() };
            rows.push(row(name, node.map_or("?", |n| history.names.node_name(n)), met, &faulty.calm));
        }
    }
    let heading = [
        ("during", Left),
        ("at node", Left),
        ("ops", Right),
        ("ok", Right),
        ("failed", Right),
        ("unknown", Right),
        ("p50", Right),
        ("p99", Right),
    ];
    table(&heading, &rows, width.letters, width.colour)
}

/// Lists the `wanted` clients that waited longest for an operation that took effect.
pub fn clients(history: &History, measured: &Measured, wanted: usize, width: Width) -> String {
    use Align::{Left, Right};
    let all = clients::of(history, measured.window);
    if all.is_empty() {
        return "this history names no clients\n".into();
    }
    let row = |c: &clients::Client| -> Vec<Cell> {
        let numbers = [c.sent, c.took_effect, c.not_met, c.unanswered].map(|n| plain(count(n)));
        [vec![plain(c.client.to_string())], numbers.to_vec(), vec![ms(c.longest_wait), ms(c.wait_from)]].concat()
    };
    let heading = [
        ("client", Left),
        ("sent", Right),
        ("took effect", Right),
        ("not met", Right),
        ("failed/unknown", Right),
        ("longest wait", Right),
        ("from", Right),
    ];
    let rows: Vec<Vec<Cell>> = all.iter().take(wanted).map(row).collect();
    let note = format!("{} of {} clients, the one that waited longest for an op that took effect first", rows.len(), all.len());
    table(&heading, &rows, width.letters, width.colour) + &lines(&note, "", "", Style::Dim, width)
}

/// Formats the text of `explain.txt`: wraps lines, and sets a style for each part.
pub fn explanation(text: &str, width: Width) -> String {
    let mut out = String::new();
    let mut context = false;
    for (i, line) in text.lines().enumerate() {
        context |= line.starts_with("What was near it");
        let body = line.trim_start();
        // A continuation line is aligned with the text of its step and never starts at the margin, which is reserved for our own
        // headings.
        let indent = " ".repeat(line.len() - body.len());
        let hang = format!("{indent}{}", if body.starts_with(|c: char| c.is_ascii_digit()) { "   " } else { "  " });
        let look = match line {
            _ if i == 0 && line.starts_with("Valid") => Style::Good,
            _ if i == 0 && ["Unknown", "Gate", "No verdict"].iter().any(|w| line.starts_with(w)) => Style::Doubt,
            _ if i == 0 => Style::Bad,
            _ if line.ends_with(':') && indent.is_empty() => Style::Strong,
            _ if context => Style::Dim,
            _ => Style::Plain,
        };
        let body = clean(body);
        // A line that fits keeps its alignment.
        if !body.is_empty() && indent.len() + body.chars().count() <= width.letters {
            out += &format!("{indent}{}\n", width.colour.paint(look, &body));
        } else {
            out += &lines(&body, &indent, &hang, look, width);
        }
    }
    out
}

/// Wraps `words` into lines: the first after `first`, the others after `rest`.
fn lines(words: &str, first: &str, rest: &str, look: Style, width: Width) -> String {
    let room = width.letters.saturating_sub(rest.len().max(first.len()));
    let margin = |i: usize| if i == 0 { first } else { rest };
    let broken = wrap(words, room).into_iter().enumerate();
    broken
        .map(|(i, line)| if line.is_empty() { "\n".to_owned() } else { format!("{}{}\n", margin(i), width.colour.paint(look, &line)) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;
    use crate::sample::{self, Sample};

    const PLAIN: Width = Width { letters: 80, colour: Colour::Never };

    #[test]
    fn reports_fit_the_width_and_contain_the_figures() {
        let history = sample::history(Sample::default());
        let measured = measure::analyze(&history);
        let slow = slowest(&history, &measured, 5, PLAIN);
        assert_eq!(slow.lines().filter(|l| l.starts_with("op ")).count(), 5);
        assert!(slow.contains("under fault 3 (partition"), "{slow}");
        let during = faults(&history, &measured, PLAIN);
        let cut_off = during.lines().filter(|l| l.contains(" n3 ")).count();
        assert_eq!(cut_off, 3, "a row a fault for each node:\n{during}");
        for text in [&slow, &during, &clients(&history, &measured, 10, PLAIN)] {
            assert!(text.lines().all(|l| l.chars().count() <= 80) && !text.contains('\x1b'), "{text}");
        }
    }

    #[test]
    fn an_explanation_keeps_its_words_without_control_characters() {
        let text = "Violation 1: stale_read on key k\x1b[2J\n\nStep by step:\n  1. op 1 wrote a value and was acknowledged long before the other one was invoked\n\nWhat was near it (context, not proof):\n  fault 2\n";
        let shown = explanation(text, Width { letters: 40, colour: Colour::Never });
        assert!(shown.lines().all(|l| l.chars().count() <= 40) && !shown.contains('\x1b'), "{shown}");
        let words = |s: &str| s.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&shown), words(&clean(&text.replace('\n', " "))));
        let columns = "In the order of time:\n   0.017 s  op 1     ok\n";
        assert_eq!(explanation(columns, PLAIN), columns, "a line that fits keeps its columns");
        let coloured = explanation(text, Width { letters: 40, colour: Colour::Ansi });
        assert!(coloured.contains("\x1b[2mfault 2\x1b[0m") && coloured.contains("\x1b[1;31mViolation 1"), "{coloured:?}");
    }
}

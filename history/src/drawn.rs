//! Parses histories drawn as text, which make tests easy to read.
//!
//! ```text
//! c1  |w 1---->                            |
//! c2  |        cas 1 2-----?               |   an unknown outcome
//! c3  |                  r 2--->           |
//! c1  |                cas 1 5 saw 2-->    |   a CAS refused by 2
//! fate|                         2=applied  |   what became of the op that writes 2
//! ``` Each column is one millisecond. An op begins at its first letter and ends at its mark: `>` ok, `?` unknown, `!`
//! failed. `get V` and `put V` are a read and a write on the last-write-wins path, at a quorum. An op without a mark
//! before the closing bar stays open. `r null` reads a key that was never written; `saw ?` is a refusal that does not
//! report the value. `c1@k2` draws on key k2, other rows on k1. After an unknown outcome, a client continues as a new
//! process. A node name may follow a mark: `>n2`.
//!
//! `cas 1 2:7 i4` belongs to intent 4 of its row's client and writes the value 2 with payload 7. The attempts of an intent
//! are numbered by its updates; a read belongs to the attempt that follows it.

use crate::event::{Call, Completion, Consistency, Current, Event, Fate, Header, Invoke, Path, Seen};
use crate::ids::{ClientId, IntentId, KeyId, Nanos, OpId, ProcessId, Value};
use crate::names::Names;
use crate::operation::History;

/// Parses a drawing.
///
/// # Panics
/// If the drawing cannot be parsed: a drawing is part of a test's source.
#[track_caller]
pub fn history(drawing: &str) -> History {
    let (header, names, events) = events(drawing);
    History::from_events(header, names, events).unwrap_or_else(|(i, what)| panic!("event {i} of the drawing: {what}\n{drawing}"))
}

/// Returns the events of a drawing in time order. At the same instant, invokes precede completions, so touching
/// intervals overlap.
///
/// # Panics
/// If the drawing cannot be parsed.
#[track_caller]
pub fn events(drawing: &str) -> (Header, Names, Vec<Event>) {
    let mut names = Names::default();
    names.key("k1");
    let mut timed: Vec<(u64, u8, Event)> = vec![];
    let mut ids = Ids::default();
    let mut fates = vec![];
    for row in drawing.lines().filter(|l| l.contains('|')) {
        let (label, rest) = row.split_once('|').expect("rows with a bar only");
        let (body, _) = rest.split_once('|').unwrap_or_else(|| panic!("no closing bar: {row}"));
        let label = label.trim();
        if label == "fate" {
            fates.extend(fate_marks(body));
            continue;
        }
        let (client, key) = label.split_once('@').unwrap_or((label, "k1"));
        let key = names.key(key);
        draw_row(client, key, body, &mut ids, &mut names, &mut timed);
    }
    for (at, value, fate) in fates {
        let op = ids.writers.iter().find(|(v, _)| *v == value).unwrap_or_else(|| panic!("no drawn op writes {value}")).1;
        timed.push((at, 2, Event::Fate { op, t: Nanos::from_ms(at), fate }));
    }
    timed.sort_by_key(|(t, rank, _)| (*t, *rank));
    let keys = names.keys().map(|(_, k)| k.to_owned()).collect();
    let nodes = names.nodes().map(|(_, n)| n.to_owned()).collect();
    (Header { keys, nodes, ..Header::default() }, names, timed.into_iter().map(|(_, _, e)| e).collect())
}

#[derive(Default)]
struct Ids {
    next_op: u64,
    next_process: u32,
    writers: Vec<(i64, OpId)>,
    clients: Vec<(String, Option<ProcessId>)>,
    /// Number of updates so far per intent.
    intents: Vec<(u64, u32)>,
}

impl Ids {
    fn process(&mut self, client: &str) -> ProcessId {
        let next = ProcessId(self.next_process);
        let slot = match self.clients.iter_mut().position(|(c, _)| c == client) {
            Some(i) => &mut self.clients[i].1,
            None => {
                self.clients.push((client.to_owned(), None));
                &mut self.clients.last_mut().expect("just pushed").1
            }
        };
        *slot.get_or_insert_with(|| {
            self.next_process += 1;
            next
        })
    }

    /// Returns the attempt number of `call` within `intent`.
    fn attempt(&mut self, intent: u64, call: Call) -> u32 {
        let at = self.intents.iter().position(|(i, _)| *i == intent).unwrap_or_else(|| {
            self.intents.push((intent, 0));
            self.intents.len() - 1
        });
        let next = self.intents[at].1 + 1;
        if call.writes().is_some() {
            self.intents[at].1 = next;
        }
        next
    }

    fn retire(&mut self, client: &str) {
        if let Some(slot) = self.clients.iter_mut().find(|(c, _)| c == client) {
            slot.1 = None;
        }
    }
}

fn draw_row(client: &str, key: KeyId, body: &str, ids: &mut Ids, names: &mut Names, timed: &mut Vec<(u64, u8, Event)>) {
    let chars: Vec<char> = body.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        if chars[at] == ' ' {
            at += 1;
            continue;
        }
        let start = at;
        while at < chars.len()
            && !(chars[at] == '-' && chars.get(at + 1).is_none_or(|c| !c.is_ascii_digit()))
            && !matches!(chars[at], '>' | '!')
        {
            at += 1;
        }
        let text: String = chars[start..at].iter().collect();
        while chars.get(at) == Some(&'-') {
            at += 1;
        }
        let mark = chars.get(at).copied();
        let end = at as u64;
        at += 1;
        let node: String = chars[at.min(chars.len())..].iter().take_while(|c| c.is_alphanumeric()).collect();
        at += node.chars().count();
        let node = (!node.is_empty()).then(|| names.node(&node));
        let op = OpId(ids.next_op);
        ids.next_op += 1;
        let process = ids.process(client);
        let (text, intent, payload) = split_annotations(text.trim());
        let (call, seen, path) = parse_op(&text);
        let attempt = intent.map(|i| ids.attempt(i, call));
        let drawn_client = intent.map(|_| client_id(client));
        if let Some(v) = call.writes() {
            ids.writers.push((v.0, op));
        }
        let t = Nanos::from_ms(start as u64);
        let intent = intent.map(IntentId);
        let invoke = Invoke { op, process, client: drawn_client, t, intended: None, key, call, node, intent, attempt, payload, path };
        timed.push((start as u64, 0, Event::Invoke(invoke)));
        let t = Nanos::from_ms(end);
        let done = Completion { op, t, seen: (), node, reason: None, diagnostics: None };
        match mark {
            Some('>') => {
                timed.push((end, 1, Event::Ok(Completion { op, t, seen, node, reason: None, diagnostics: None })));
            }
            Some('!') => timed.push((end, 1, Event::Fail(done))),
            Some('?') => {
                timed.push((end, 1, Event::Unknown(done)));
                ids.retire(client);
            }
            None | Some(_) => ids.retire(client),
        }
    }
}

/// Splits the text of an op into the call, its intent and its payload.
fn split_annotations(text: &str) -> (String, Option<u64>, Option<i64>) {
    let (mut intent, mut payload, mut words) = (None, None, vec![]);
    for word in text.split_whitespace() {
        if let Some(n) = word.strip_prefix('i').and_then(|n| n.parse().ok()) {
            intent = Some(n);
        } else if let Some((value, split_annotations)) = word.split_once(':') {
            payload = Some(split_annotations.parse().unwrap_or_else(|_| panic!("`{split_annotations}` in `{text}` is no payload")));
            words.push(value);
        } else {
            words.push(word);
        }
    }
    (words.join(" "), intent, payload)
}

fn client_id(label: &str) -> ClientId {
    let number = label.strip_prefix('c').and_then(|n| n.parse().ok());
    ClientId(number.unwrap_or_else(|| panic!("row `{label}` draws intents, so name its client like c1")))
}

fn parse_op(text: &str) -> (Call, Seen, Path) {
    let value =
        |w: &str| -> Option<Value> { (w != "null").then(|| Value(w.parse().unwrap_or_else(|_| panic!("`{w}` in `{text}` is no value")))) };
    let words: Vec<&str> = text.split_whitespace().collect();
    let written = |w: &str| value(w).unwrap_or_else(|| panic!("`{text}` writes null"));
    let (words, path) = match words[..] {
        ["get", ref rest @ ..] => ([&["r"], rest].concat(), Path::LastWriteWins(Consistency::Quorum)),
        ["put", ref rest @ ..] => ([&["w"], rest].concat(), Path::LastWriteWins(Consistency::Quorum)),
        _ => (words, Path::Consensus),
    };
    let (call, seen) = match words[..] {
        ["r" | "read"] => (Call::Read, Seen::Value(None)),
        ["r" | "read", v] => (Call::Read, Seen::Value(value(v))),
        ["w" | "write", v] => (Call::Write { new: written(v) }, Seen::Written),
        ["cas", e, n] => (Call::Cas { expected: value(e), new: written(n) }, Seen::Applied),
        ["cas", e, n, "saw", "?"] => (Call::Cas { expected: value(e), new: written(n) }, Seen::ConditionNotMet(Current::NotReported)),
        ["cas", e, n, "saw", c] => (Call::Cas { expected: value(e), new: written(n) }, Seen::ConditionNotMet(Current::Known(value(c)))),
        _ => panic!("`{text}` is none of: r V, w V, get V, put V, cas E N, cas E N saw C"),
    };
    (call, seen, path)
}

fn fate_marks(body: &str) -> Vec<(u64, i64, Fate)> {
    let mut marks = vec![];
    let mut at = 0;
    for word in body.split(' ') {
        if let Some((value, fate)) = word.split_once('=') {
            let fate = match fate {
                "applied" => Fate::Applied,
                "not_applied" => Fate::NotApplied,
                "evicted" => Fate::Evicted,
                "unresolved" => Fate::Unresolved,
                other => panic!("`{other}` is no fate"),
            };
            marks.push((at as u64, value.parse().unwrap_or_else(|_| panic!("`{value}` is no value")), fate));
        }
        at += word.chars().count() + 1;
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Outcome;

    #[test]
    fn drawings_parse_to_the_expected_events() {
        let h = history(
            "c1  |w 1---->                              |
             c2  |        cas null -2-----?             |
             c2  |                          r null-->n2 |
             c3@b|   cas 1 3 saw ?!  w 9---             |
             c4  |  cas 7 8 saw -5-->                   |
             fate|                            -2=applied|",
        );
        let text: Vec<String> = h
            .ops
            .iter()
            .map(|o| {
                format!(
                    "{}@{} p{} {}..{:?} {:?}",
                    o.call.name(),
                    h.names.key_name(o.key),
                    o.process,
                    o.invoked.0 / 1_000_000,
                    o.completed.0 / 1_000_000,
                    o.outcome
                )
            })
            .collect();
        assert_eq!(h.ops.len(), 6, "{text:#?}");
        assert_eq!(
            (h.ops[0].call, h.ops[0].invoked, h.ops[0].completed),
            (Call::Write { new: Value(1) }, Nanos(0), Nanos::from_ms(7)),
            "{text:#?}"
        );
        let unknown = h.ops.iter().position(|o| o.outcome == Outcome::Unknown).expect("drawn");
        assert_eq!(h.ops[unknown].call, Call::Cas { expected: None, new: Value(-2) });
        assert_eq!(h.fates[&(unknown as u32)].0, Fate::Applied);
        let read = h.ops.last().expect("six");
        assert_eq!((read.outcome, read.node.map(|n| h.names.node_name(n))), (Outcome::Ok(Seen::Value(None)), Some("n2")));
        assert_ne!(read.process, h.ops[unknown].process, "a new process after an unknown outcome");
        assert_eq!(h.ops.iter().filter(|o| h.names.key_name(o.key) == "b").count(), 2);
    }

    #[test]
    fn intents_and_payloads_are_drawn_too() {
        let h = history("c3 |r null i4--> cas null 1:7 i4 saw 5--> cas 5 2:6 i4-->  w 9-->|");
        let details: Vec<_> = h.details.iter().map(|d| (d.client.map(|c| c.0), d.intent.map(|i| i.0), d.attempt, d.payload)).collect();
        let of = |attempt, payload| (Some(3), Some(4), Some(attempt), payload);
        assert_eq!(details, [of(1, None), of(1, Some(7)), of(2, Some(6)), (None, None, None, None)]);
        assert_eq!(h.ops[2].call, Call::Cas { expected: Some(Value(5)), new: Value(2) });
    }

    #[test]
    #[should_panic(expected = "is none of")]
    fn a_drawing_that_says_nothing_is_refused() {
        history("c1 |frobnicate 1--->|");
    }
}

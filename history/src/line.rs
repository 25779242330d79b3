//! The JSON twin of an event: one flat object a line, schema `heckle.history/1`.
//!
//! It is flat, and its texts borrow from the line, because ten million lines are read at a sitting: serde's
//! tagged enums would first buffer every object as a tree. Fields nobody knows are skipped, so that a later
//! minor version can add some.

use crate::event::{
    Call, Completion, Consistency, Current, Diagnostics, Event, Fate, FaultEvent, FaultState, Invoke, NodeEvent, Path, Seen,
};
use crate::ids::{ClientId, IntentId, Nanos, OpId, ProcessId, Value};
use crate::names::{MAX_NODES, Names};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Text that borrows from the line unless it holds an escape.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E: de::Error>(self, s: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(s)))
            }
            fn visit_str<E: de::Error>(self, s: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(s.to_owned())))
            }
        }
        d.deserialize_str(Visitor)
    }
}

/// Tells an absent field (`None`) from one that says `null` (`Some(None)`): a key never written reads `null`.
fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::<i64>::deserialize(d).map(Some)
}

/// Every field any event may have. Which ones an event needs is decided in [`Line::into_event`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow)]
    e: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<u32>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    client: Option<Text<'a>>,
    t: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intended: Option<u64>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    node: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    key: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    f: Option<Text<'a>>,
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    expected: Option<Option<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<i64>,
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    value: Option<Option<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<bool>,
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    current: Option<Option<i64>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    reason: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<i64>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    path: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consistency: Option<Consistency>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    ballot: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rounds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trips: Option<u32>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    phase: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    promises: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejects: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preempted: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repairs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    learned_by: Option<u32>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    max_seen_ballot: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    repaired_op: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    op_id: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    forwarded_to: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    kind: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<FaultState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<BTreeMap<String, Json>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fate: Option<Fate>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    what: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<BTreeMap<String, Json>>,
}

/// Reads one event from its line.
///
/// # Errors
/// What is wrong with the line, in words; the caller knows its number.
pub fn parse(line: &[u8], names: &mut Names) -> Result<Event, String> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|e| format!("not an event: {e}"))?;
    line.into_event(names)
}

/// Writes one event as its line, newline included.
pub fn format(event: &Event, names: &Names, out: &mut Vec<u8>) {
    let line = Line::from_event(event, names);
    // A Vec takes every write and every field has a JSON form, so this cannot fail.
    serde_json::to_writer(&mut *out, &line).expect("an event is always writable as JSON");
    out.push(b'\n');
}

fn need<T>(field: Option<T>, name: &str, event: &str) -> Result<T, String> {
    field.ok_or_else(|| format!("`{event}` without `{name}`"))
}

fn text(s: &str) -> Option<Text<'_>> {
    Some(Text(Cow::Borrowed(s)))
}

fn boxed(t: Option<Text<'_>>) -> Option<Box<str>> {
    t.map(|t| t.0.into_owned().into_boxed_str())
}

impl<'a> Line<'a> {
    fn into_event(mut self, names: &mut Names) -> Result<Event, String> {
        let e = need(self.e.take(), "e", "an event")?.0;
        let t = Nanos(need(self.t, "t", &e)?);
        match e.as_ref() {
            "invoke" => self.into_invoke(t, names),
            "ok" => {
                let seen = self.seen()?;
                self.into_completion("ok", t, seen, names).map(Event::Ok)
            }
            "fail" => self.into_completion("fail", t, (), names).map(Event::Fail),
            "unknown" => self.into_completion("unknown", t, (), names).map(Event::Unknown),
            "fault" => Ok(Event::Fault(FaultEvent {
                id: need(self.id, "id", "fault")?,
                t,
                kind: need(boxed(self.kind), "kind", "fault")?,
                targets: self.targets.unwrap_or_default(),
                state: need(self.state, "state", "fault")?,
                evidence: self.evidence.unwrap_or_default(),
            })),
            "fate" => Ok(Event::Fate { op: OpId(need(self.op, "op", "fate")?), t, fate: need(self.fate, "fate", "fate")? }),
            "node" => Ok(Event::Node(NodeEvent {
                t,
                node: need(self.node.as_ref().map(|n| node(names, &n.0)).transpose()?, "node", "node")?,
                what: need(boxed(self.what), "what", "node")?,
                detail: self.detail.unwrap_or_default(),
            })),
            other => Err(format!("event `{other}` is none of invoke, ok, fail, unknown, fault, fate, node")),
        }
    }

    fn into_invoke(self, t: Nanos, names: &mut Names) -> Result<Event, String> {
        let new = |name: &str| need(self.new, "new", name).map(Value);
        let f = need(self.f.as_ref(), "f", "invoke")?;
        let call = match f.0.as_ref() {
            "read" => Call::Read,
            "write" => Call::Write { new: new("invoke of a write")? },
            "cas" => Call::Cas { expected: need(self.expected, "expected", "invoke of a cas")?.map(Value), new: new("invoke of a cas")? },
            other => return Err(format!("op `{other}` is none of read, write, cas")),
        };
        let path = match (self.path.as_ref().map(|p| p.0.as_ref()), self.consistency) {
            (None | Some("paxos"), _) => Path::Consensus,
            (Some("cheap"), _) if matches!(call, Call::Cas { .. }) => return Err("a cas has no cheap path".to_owned()),
            (Some("cheap"), Some(consistency)) => Path::LastWriteWins(consistency),
            (Some("cheap"), None) => return Err("invoke on path `cheap` without `consistency`".to_owned()),
            (Some(other), _) => return Err(format!("path `{other}` is none of paxos, cheap")),
        };
        Ok(Event::Invoke(Invoke {
            op: OpId(need(self.op, "op", "invoke")?),
            process: ProcessId(need(self.process, "process", "invoke")?),
            client: self.client.as_ref().map(client).transpose()?,
            t,
            intended: self.intended.map(Nanos),
            key: names.key(&need(self.key.as_ref(), "key", "invoke")?.0),
            call,
            node: self.node.as_ref().map(|n| node(names, &n.0)).transpose()?,
            intent: self.intent.map(IntentId),
            attempt: self.attempt,
            payload: self.payload,
            path,
        }))
    }

    fn seen(&self) -> Result<Seen, String> {
        match need(self.f.as_ref(), "f", "ok")?.0.as_ref() {
            "read" => Ok(Seen::Value(need(self.value, "value", "ok of a read")?.map(Value))),
            "write" => Ok(Seen::Written),
            "cas" => Ok(match (need(self.applied, "applied", "ok of a cas")?, self.current) {
                (true, _) => Seen::Applied,
                (false, Some(current)) => Seen::ConditionNotMet(Current::Known(current.map(Value))),
                (false, None) => Seen::ConditionNotMet(Current::NotReported),
            }),
            other => Err(format!("op `{other}` is none of read, write, cas")),
        }
    }

    fn into_completion<S>(self, e: &str, t: Nanos, seen: S, names: &mut Names) -> Result<Completion<S>, String> {
        Ok(Completion {
            op: OpId(need(self.op, "op", e)?),
            t,
            seen,
            node: self.node.as_ref().map(|n| node(names, &n.0)).transpose()?,
            diagnostics: self.has_diagnostics().then(|| Box::new(self.diagnostics())),
            reason: boxed(self.reason),
        })
    }

    fn has_diagnostics(&self) -> bool {
        self.ballot.is_some()
            || self.rounds.is_some()
            || self.round_trips.is_some()
            || self.phase.is_some()
            || self.promises.is_some()
            || self.accepts.is_some()
            || self.rejects.is_some()
            || self.needed.is_some()
            || self.preempted.is_some()
            || self.repairs.is_some()
            || self.backoff_ns.is_some()
            || self.learned_by.is_some()
            || self.max_seen_ballot.is_some()
            || self.repaired_op.is_some()
            || self.op_id.is_some()
            || self.forwarded_to.is_some()
    }

    fn diagnostics(&self) -> Diagnostics {
        let owned = |t: &Option<Text<'_>>| t.as_ref().map(|t| t.0.as_ref().into());
        Diagnostics {
            ballot: owned(&self.ballot),
            rounds: self.rounds,
            round_trips: self.round_trips,
            phase: owned(&self.phase),
            promises: self.promises,
            accepts: self.accepts,
            rejects: self.rejects,
            needed: self.needed,
            preempted: self.preempted,
            repairs: self.repairs,
            backoff_ns: self.backoff_ns,
            learned_by: self.learned_by,
            max_seen_ballot: owned(&self.max_seen_ballot),
            repaired_op: owned(&self.repaired_op),
            op_id: owned(&self.op_id),
            forwarded_to: owned(&self.forwarded_to),
        }
    }

    fn from_event(event: &'a Event, names: &'a Names) -> Line<'a> {
        match event {
            Event::Invoke(i) => Line::from_invoke(i, names),
            Event::Ok(c) => Line { e: text("ok"), ..Line::from_completion(c, names) }.with_seen(c.seen),
            Event::Fail(c) => Line { e: text("fail"), ..Line::from_completion(c, names) },
            Event::Unknown(c) => Line { e: text("unknown"), ..Line::from_completion(c, names) },
            Event::Fault(f) => Line {
                e: text("fault"),
                id: Some(f.id),
                t: Some(f.t.0),
                kind: text(&f.kind),
                targets: Some(f.targets.clone()),
                state: Some(f.state),
                evidence: (!f.evidence.is_empty()).then(|| f.evidence.clone()),
                ..Line::default()
            },
            Event::Fate { op, t, fate } => Line { e: text("fate"), op: Some(op.0), t: Some(t.0), fate: Some(*fate), ..Line::default() },
            Event::Node(n) => Line {
                e: text("node"),
                t: Some(n.t.0),
                node: text(names.node_name(n.node)),
                what: text(&n.what),
                detail: (!n.detail.is_empty()).then(|| n.detail.clone()),
                ..Line::default()
            },
        }
    }

    fn from_invoke(i: &Invoke, names: &'a Names) -> Line<'a> {
        let (expected, new) = match i.call {
            Call::Read => (None, None),
            Call::Write { new } => (None, Some(new.0)),
            Call::Cas { expected, new } => (Some(expected.map(|v| v.0)), Some(new.0)),
        };
        Line {
            e: text("invoke"),
            op: Some(i.op.0),
            process: Some(i.process.0),
            client: i.client.map(|c| Text(Cow::Owned(c.to_string()))),
            t: Some(i.t.0),
            intended: i.intended.map(|t| t.0),
            node: i.node.and_then(|n| text(names.node_name(n))),
            key: text(names.key_name(i.key)),
            f: text(i.call.name()),
            expected,
            new,
            intent: i.intent.map(|i| i.0),
            attempt: i.attempt,
            payload: i.payload,
            path: i.path.is_last_write_wins().then_some(Text(Cow::Borrowed("cheap"))),
            consistency: match i.path {
                Path::Consensus => None,
                Path::LastWriteWins(consistency) => Some(consistency),
            },
            ..Line::default()
        }
    }

    fn with_seen(self, seen: Seen) -> Line<'a> {
        match seen {
            Seen::Value(v) => Line { f: text("read"), value: Some(v.map(|v| v.0)), ..self },
            Seen::Written => Line { f: text("write"), ..self },
            Seen::Applied => Line { f: text("cas"), applied: Some(true), ..self },
            Seen::ConditionNotMet(Current::Known(v)) => {
                Line { f: text("cas"), applied: Some(false), current: Some(v.map(|v| v.0)), ..self }
            }
            Seen::ConditionNotMet(Current::NotReported) => Line { f: text("cas"), applied: Some(false), ..self },
        }
    }

    fn from_completion<S>(c: &'a Completion<S>, names: &'a Names) -> Line<'a> {
        let line = Line {
            op: Some(c.op.0),
            t: Some(c.t.0),
            node: c.node.and_then(|n| text(names.node_name(n))),
            reason: c.reason.as_deref().and_then(text),
            ..Line::default()
        };
        let Some(d) = &c.diagnostics else { return line };
        Line {
            ballot: d.ballot.as_deref().and_then(text),
            rounds: d.rounds,
            round_trips: d.round_trips,
            phase: d.phase.as_deref().and_then(text),
            promises: d.promises,
            accepts: d.accepts,
            rejects: d.rejects,
            needed: d.needed,
            preempted: d.preempted,
            repairs: d.repairs,
            backoff_ns: d.backoff_ns,
            learned_by: d.learned_by,
            max_seen_ballot: d.max_seen_ballot.as_deref().and_then(text),
            repaired_op: d.repaired_op.as_deref().and_then(text),
            op_id: d.op_id.as_deref().and_then(text),
            forwarded_to: d.forwarded_to.as_deref().and_then(text),
            ..line
        }
    }
}

fn node(names: &mut Names, name: &str) -> Result<crate::NodeIx, String> {
    if names.node_count() >= MAX_NODES {
        return Err(format!("over {MAX_NODES} distinct nodes"));
    }
    Ok(names.node(name))
}

fn client(t: &Text<'_>) -> Result<ClientId, String> {
    t.0.strip_prefix('c').and_then(|n| n.parse().ok()).map(ClientId).ok_or_else(|| format!("client `{}` is not of the form c3", t.0))
}

//! Converts events to fields.

use super::fields::{Line, Text, Written};
use crate::event::{Call, Completion, Current, Event, Invoke, Path, Seen};
use crate::names::Names;
use std::borrow::Cow;

impl<'a> Line<'a> {
    pub(super) fn from_event(event: &'a Event, names: &'a Names) -> Line<'a> {
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
        Line {
            op: Some(c.op.0),
            t: Some(c.t.0),
            node: c.node.and_then(|n| text(names.node_name(n))),
            reason: c.reason.as_deref().and_then(text),
            written: c.diagnostics.as_ref().map(|figures| Written { figures, names }),
            ..Line::default()
        }
    }
}

fn text(s: &str) -> Option<Text<'_>> {
    Some(Text(Cow::Borrowed(s)))
}

//! Converts fields to events.

use super::fields::{Line, Other, Text};
use crate::event::{Call, Completion, Current, Event, FaultEvent, Invoke, NodeEvent, Path, Seen};
use crate::figures::{Diagnostics, Figure, FigureInfo, Packer, Unit};
use crate::ids::{ClientId, FigureId, IntentId, Nanos, OpId, ProcessId, Value};
use crate::names::{MAX_FIGURES, MAX_NODES, Names};
use std::borrow::Cow;

impl<'a> Line<'a> {
    pub(super) fn into_event(mut self, names: &mut Names) -> Result<Event, String> {
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
            diagnostics: figures(self.others, names)?,
            reason: boxed(self.reason),
        })
    }
}

/// Finds the figures among the other fields of a completion. Fields that are not figures are skipped.
fn figures(others: Vec<(Text<'_>, Other<'_>)>, names: &mut Names) -> Result<Option<Diagnostics>, String> {
    if others.is_empty() {
        return Ok(None);
    }
    let mut figures = Figures::default();
    for (name, other) in others {
        let figure = match other {
            Other::Null => continue,
            Other::Number(n) => Some(Figure::Number(n)),
            Other::Text(text) => Some(Figure::Text(text)),
            Other::NoFigure => None,
        };
        let is_text = matches!(figure, Some(Figure::Text(_)));
        let id = match &figure {
            Some(_) => names.figure(&name.0, figures.next(), || undescribed(&name.0, is_text)),
            None => names.find_figure(&name.0),
        };
        let Some(id) = id else { continue };
        match figure {
            Some(figure) => figures.push(id, &figure, names)?,
            None if names.is_declared(id) => return Err(wrong_unit(id, names)),
            None => {}
        }
    }
    Ok(figures.finish())
}

/// Collects the figures of one completion.
pub(super) struct Figures {
    packer: Packer,
    next: usize,
    seen: [bool; MAX_FIGURES],
}

impl Default for Figures {
    fn default() -> Self {
        Figures { packer: Packer::default(), next: 0, seen: [false; MAX_FIGURES] }
    }
}

impl Figures {
    /// Returns the probable index of the next figure, because lines list their figures in the same order.
    pub(super) fn next(&self) -> usize {
        self.next
    }

    /// Adds a figure. A figure described by the header must have the declared unit, and no figure may occur twice.
    pub(super) fn push(&mut self, id: FigureId, figure: &Figure<'_>, names: &Names) -> Result<(), String> {
        let is_text = matches!(figure, Figure::Text(_));
        if names.is_declared(id) && is_text != (names.figure_info(id).unit == Unit::Text) {
            return Err(wrong_unit(id, names));
        }
        let place = usize::from(id.0);
        if std::mem::replace(&mut self.seen[place], true) {
            return Err(format!("figure `{}` comes twice", names.figure_info(id).name));
        }
        self.next = place + 1;
        self.packer.push(id, figure);
        Ok(())
    }

    /// Returns all figures; `None` if there are none.
    pub(super) fn finish(self) -> Option<Diagnostics> {
        Some(self.packer.finish()).filter(|figures| !figures.is_empty())
    }
}

fn wrong_unit(id: FigureId, names: &Names) -> String {
    let figure = names.figure_info(id);
    let expected = if figure.unit == Unit::Text { "a text" } else { "a whole number" };
    format!("figure `{}` is not {expected}", figure.name)
}

fn undescribed(name: &str, is_text: bool) -> FigureInfo {
    let unit = if is_text { Unit::Text } else { Unit::Count };
    FigureInfo { name: Cow::Owned(name.to_owned()), unit, about: Cow::Borrowed(""), measure: None }
}

fn need<T>(field: Option<T>, name: &str, event: &str) -> Result<T, String> {
    field.ok_or_else(|| format!("`{event}` without `{name}`"))
}

fn boxed(t: Option<Text<'_>>) -> Option<Box<str>> {
    t.map(|t| t.0.into_owned().into_boxed_str())
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

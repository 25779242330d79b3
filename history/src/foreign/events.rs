//! Converts events to ops according to the rules of Jepsen's histories.
//!
//! The order of the lines is the order of the events; times only provide the distances between events. A process has at
//! most one op open at a time. An op with `ok` happened, an op with `fail` did not, and an op with `info` may have. A
//! process ends at
//! `info`, and a new one replaces it. An op that is still open at the end may also have happened.

use super::event::{ForeignEvent, Kind};
use super::keys::{self, KeySource};
use super::process::Process;
use super::summary::{OrderSource, Summary};
use super::{Foreign, ForeignOp, ForeignOutcome, ReadOptions};
use crate::ids::Nanos;
use crate::reader::ReadError;
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value as Json;

/// The meaning of `fail` for a CAS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedCas {
    /// The CAS is only known not to have happened: Jepsen and Knossos.
    DidNotHappen,
    /// The CAS found a value other than the expected one: Porcupine's etcd logs.
    WasRefused,
}

/// The result of parsing a line.
#[derive(Debug)]
pub(super) enum Line {
    /// An event of a client.
    Event(ForeignEvent),
    /// Skipped because of `--lenient`, with its process if that could be parsed.
    Passed(Option<Process>),
}

/// Collects parsed lines.
pub(super) struct EventCollector {
    pub(super) options: ReadOptions,
    pub(super) summary: Summary,
    lines: Vec<Line>,
    last_index: Option<(i64, u64)>,
}

impl EventCollector {
    pub(super) fn new(options: ReadOptions) -> Self {
        EventCollector { options, summary: Summary::default(), lines: vec![], last_index: None }
    }

    pub(super) fn event(&mut self, event: ForeignEvent) {
        self.lines.push(Line::Event(event));
    }

    /// Handles a line that cannot be parsed: returns an error, or skips the line with `--lenient`.
    pub(super) fn skip(&mut self, line: u64, process: Option<Process>, why: impl Into<String>) -> Result<(), ReadError> {
        if !self.options.lenient {
            return Err(ReadError::at(line, why));
        }
        self.summary.skip(line, why);
        self.lines.push(Line::Passed(process));
        Ok(())
    }

    /// Checks `:index`, which numbers the lines and must therefore increase.
    pub(super) fn index(&mut self, line: u64, index: i64) -> Result<(), ReadError> {
        if let Some((last, before)) = self.last_index
            && index <= last
        {
            let what = format!(
                "index {index} after index {last} on line {before}; the order of the lines is the order of the events, so sort the file by index"
            );
            return Err(ReadError::at(line, what));
        }
        self.last_index = Some((index, line));
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Assigns keys and times to events, and pairs them.
    pub(super) fn finish(mut self, failed_cas: FailedCas) -> Result<Foreign, ReadError> {
        let mut events: Vec<&mut ForeignEvent> = self.lines.iter_mut().filter_map(Line::event).collect();
        self.summary.events = events.len() as u64;
        self.summary.order = times(&mut events);
        self.summary.keys = keys::assign(events.into_iter(), self.options.key_from)?;
        Pairing { lenient: self.options.lenient, failed_cas, summary: self.summary, ..Pairing::default() }.run(self.lines)
    }
}

impl Line {
    fn event(&mut self) -> Option<&mut ForeignEvent> {
        match self {
            Line::Event(event) => Some(event),
            Line::Passed(_) => None,
        }
    }
}

/// Makes times strictly increasing, but otherwise leaves them unchanged. Checkers treat ops whose times touch as
/// overlapping, so equal times would lose the order.
fn times(events: &mut [&mut ForeignEvent]) -> OrderSource {
    let timed = events.iter().filter(|e| e.time.is_some()).count();
    if timed < events.len() || timed == 0 {
        for (place, event) in (0u64..).zip(events) {
            event.time = Some(place);
        }
        return if timed == 0 { OrderSource::Lines } else { OrderSource::SomeTimes };
    }
    let (mut back, mut last, mut highest) = (None, None, 0);
    let mut lines = 0u64;
    for event in events {
        let t = event.time.unwrap_or_default();
        if t < highest {
            lines += 1;
            back = back.or(Some(event.line));
        }
        highest = highest.max(t);
        let placed = last.map_or(t, |last: u64| t.max(last + 1));
        event.time = Some(placed);
        last = Some(placed);
    }
    back.map_or(OrderSource::Times, |line| OrderSource::TimesGoBack { line, lines })
}

struct Pairing {
    lenient: bool,
    failed_cas: FailedCas,
    summary: Summary,
    ops: Vec<ForeignOp>,
    open: FxHashMap<Process, usize>,
    ended: FxHashMap<Process, u64>,
    /// Processes with a skipped line. Their other lines may violate the rules.
    torn: FxHashSet<Process>,
}

impl Default for Pairing {
    fn default() -> Self {
        Pairing {
            lenient: false,
            failed_cas: FailedCas::DidNotHappen,
            summary: Summary::default(),
            ops: vec![],
            open: FxHashMap::default(),
            ended: FxHashMap::default(),
            torn: FxHashSet::default(),
        }
    }
}

impl Pairing {
    fn run(mut self, lines: Vec<Line>) -> Result<Foreign, ReadError> {
        for line in lines {
            match line {
                Line::Event(event) if event.kind == Kind::Invoke => self.invoke(event)?,
                Line::Event(event) => self.complete(event)?,
                Line::Passed(Some(process)) => {
                    // The skipped line may have completed the open op, whose outcome is therefore unknown.
                    self.open.remove(&process);
                    self.torn.insert(process);
                }
                Line::Passed(None) => {}
            }
        }
        let warnings = self.summary.warnings();
        Ok(Foreign { ops: self.ops, warnings, summary: self.summary })
    }

    fn invoke(&mut self, event: ForeignEvent) -> Result<(), ReadError> {
        if let Some(line) = self.ended.get(&event.process) {
            let what =
                format!("process {} goes on after its unknown outcome on line {line}; another process takes over there", event.process);
            return Err(ReadError::at(event.line, what));
        }
        if let Some(&other) = self.open.get(&event.process) {
            let what = format!("process {} invokes while its op of line {} is open", event.process, self.ops[other].line);
            return Err(ReadError::at(event.line, what));
        }
        self.open.insert(event.process.clone(), self.ops.len());
        self.ops.push(ForeignOp {
            line: event.line,
            process: event.process,
            key: event.key.as_ref().map_or_else(|| "k1".to_owned(), keys::name),
            f: event.f,
            argument: event.value.unwrap_or(Json::Null),
            invoked: Nanos(event.time.unwrap_or_default()),
            completed: None,
            outcome: ForeignOutcome::Unknown,
        });
        Ok(())
    }

    fn complete(&mut self, event: ForeignEvent) -> Result<(), ReadError> {
        let Some(place) = self.open.remove(&event.process) else {
            if self.lenient && self.torn.contains(&event.process) {
                self.summary.skip(event.line, "the invoke of this completion was passed over");
                return Ok(());
            }
            return Err(ReadError::at(event.line, format!("process {} completes without an open op", event.process)));
        };
        let op = &mut self.ops[place];
        if op.f != event.f {
            return Err(ReadError::at(
                event.line,
                format!("process {} invoked `{}` on line {} and completes `{}`", event.process, op.f, op.line, event.f),
            ));
        }
        if let Some(key) = event.key.as_ref().map(keys::name)
            && (key != op.key || self.summary.keys == KeySource::Single)
        {
            let what = format!("process {} invoked on key `{}` on line {} and completes on key `{key}`", event.process, op.key, op.line);
            return Err(ReadError::at(event.line, what));
        }
        if event.kind == Kind::Ok && event.value.is_none() && matches!(op.f.as_str(), "read" | "get" | "dequeue" | "contains") {
            let what = format!("an ok of `{}` without :value; write nil for nothing", op.f);
            return Err(ReadError::at(event.line, what));
        }
        op.completed = event.time.map(Nanos);
        op.outcome = match event.kind {
            Kind::Ok => ForeignOutcome::Ok(event.value.unwrap_or(Json::Null)),
            Kind::Fail if op.f == "cas" && self.failed_cas == FailedCas::WasRefused => ForeignOutcome::Refused(None),
            Kind::Fail => ForeignOutcome::Failed,
            Kind::Info | Kind::Invoke => {
                self.ended.insert(event.process, event.line);
                ForeignOutcome::Unknown
            }
        };
        Ok(())
    }
}

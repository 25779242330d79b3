//! Operations: invokes paired with completions, in the form that the checkers use.
//!
//! Pairing detects ill-formed histories, so this module enforces every rule that a verdict relies on. An op is invoked
//! once and completes at most once, after its invoke. A process has at most one op open at a time and ends at an
//! unknown outcome. A completion has the same kind of call as its invoke. Only an op of unknown outcome has a fate.

use crate::end::{Completeness, EndRecord};
use crate::event::{Call, Completion, Event, Fate, FaultEvent, Header, Invoke, NodeEvent, Path, Seen};
use crate::figures::Diagnostics;
use crate::ids::{ClientId, IntentId, KeyId, Nanos, NodeIx, OpId, ProcessId};
use crate::names::Names;
use crate::reader::{ReadError, Reader};
use rustc_hash::{FxHashMap, FxHashSet};
use std::io::Read;

/// One logical call, from invoke to completion. It is kept small because a check may hold ten million of them in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Id of the op in the history.
    pub op: OpId,
    /// When the op was sent.
    pub invoked: Nanos,
    /// When the answer arrived or the client gave up; [`Nanos::NEVER`] if the history ends earlier.
    pub completed: Nanos,
    /// When the op was due; the invoke time if that is not known.
    pub intended: Nanos,
    /// The call.
    pub call: Call,
    /// The outcome.
    pub outcome: Outcome,
    /// The calling process.
    pub process: ProcessId,
    /// Key of the op.
    pub key: KeyId,
    /// The node that answered; otherwise the node to which the op was sent.
    pub node: Option<NodeIx>,
    /// The path of the op through the system.
    pub path: Path,
}

/// The outcome of an op.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The op happened between `invoked` and `completed`, with this answer.
    Ok(Seen),
    /// The op never happened.
    Failed,
    /// The op may have happened or may still happen. `completed` is when the client gave up.
    Unknown,
    /// The history ends before the op completed. A verdict treats it as unknown.
    Open,
}

impl Operation {
    /// Returns the name used where the two paths are distinguished: `cas`, `read`, `write`, `get`, `put`.
    pub fn name(&self) -> &'static str {
        self.call.name_on(self.path)
    }

    /// Returns the end of the interval in which the op took effect, if it did: its completion, or [`Nanos::NEVER`] for
    /// an unknown outcome.
    pub fn effect_by(&self) -> Nanos {
        match self.outcome {
            Outcome::Ok(_) => self.completed,
            Outcome::Failed | Outcome::Unknown | Outcome::Open => Nanos::NEVER,
        }
    }
}

/// Details of an op that a verdict does not need. They are kept only on request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Detail {
    /// The connection used by the op.
    pub client: Option<ClientId>,
    /// The node to which the op was sent.
    pub sent_to: Option<NodeIx>,
    /// The intent of the op.
    pub intent: Option<IntentId>,
    /// Number of the attempt within the intent.
    pub attempt: Option<u32>,
    /// Payload stored with the value.
    pub payload: Option<i64>,
    /// Why the op failed or its outcome is unknown.
    pub reason: Option<Box<str>>,
    /// Figures that the system reported about the op.
    pub diagnostics: Option<Diagnostics>,
}

/// A whole history: the ops in invocation order, with faults and node events.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The first line of the history.
    pub header: Header,
    /// Names of keys and nodes.
    pub names: Names,
    /// All ops, in the order of their invokes.
    pub ops: Vec<Operation>,
    /// Details of each op, parallel to `ops`; empty unless requested.
    pub details: Vec<Detail>,
    /// Fates by index into `ops`, each with the time of the answer.
    pub fates: FxHashMap<u32, (Fate, Nanos)>,
    /// Fault events in order.
    pub faults: Vec<FaultEvent>,
    /// Node events in order.
    pub node_events: Vec<NodeEvent>,
    /// Time of the last event.
    pub end: Nanos,
    /// Warnings about truncated or skipped input.
    pub warnings: Vec<String>,
    /// Whether the history is complete.
    pub completeness: Completeness,
    /// The end record in the last line, if there is one.
    pub end_record: Option<EndRecord>,
}

/// Whether to keep the details that only reports need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Keep only the data that a verdict needs.
    OpsOnly,
    /// Also keep clients, intents, reasons and diagnostics: about 300 bytes per op.
    Details,
}

/// Fault and node events may use one `EVENT_MEMORY_DIVISOR`-th of the maximum size of a history. With the default maximum, that
/// is enough for hours of a large cluster.
const EVENT_MEMORY_DIVISOR: u64 = 8;

/// Estimates the heap size of an event that is stored unchanged. A tree node has room for eleven fields as soon as it has
/// one.
fn memory_of(event: &Event) -> u64 {
    const TREE: usize = 640;
    let fields = |map: &std::collections::BTreeMap<String, serde_json::Value>| {
        map.iter().map(|(k, v)| k.len() + memory_of_json(v)).sum::<usize>() + map.len().div_ceil(6) * TREE
    };
    let bytes = match event {
        Event::Fault(f) => {
            size_of::<FaultEvent>() + f.kind.len() + f.targets.iter().map(|t| t.len() + 24).sum::<usize>() + fields(&f.evidence)
        }
        Event::Node(n) => size_of::<NodeEvent>() + n.what.len() + fields(&n.detail),
        Event::Invoke(_) | Event::Ok(_) | Event::Fail(_) | Event::Unknown(_) | Event::Fate { .. } => 0,
    };
    bytes as u64
}

/// Estimates the heap size of one field. Nested fields are rare, so their size is estimated from their text.
fn memory_of_json(value: &serde_json::Value) -> usize {
    use serde_json::Value as Json;
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(|i| size_of::<Json>() + memory_of_json(i)).sum(),
        Json::Object(map) => map.iter().map(|(k, v)| k.len() + 120 + memory_of_json(v)).sum(),
    }
}

impl History {
    /// Reads a whole history.
    ///
    /// # Errors
    /// See [`ReadError`]. The line number identifies the event that breaks a rule.
    ///
    /// ```
    /// use heckle_history::operation::{History, Keep};
    /// let file = br#"{"schema":"heckle.history/1"}
    /// {"e":"invoke","op":1,"process":0,"t":5,"key":"k1","f":"read"}
    /// {"e":"ok","op":1,"t":9,"f":"read","value":null}
    /// "#;
    /// let history = History::read(&file[..], Keep::OpsOnly).unwrap();
    /// assert_eq!(history.ops.len(), 1);
    /// ```
    pub fn read(input: impl Read, keep: Keep) -> Result<Self, ReadError> {
        History::read_within(input, keep, crate::reader::MAX_BYTES)
    }

    /// Like `read`, with a limit on the number of bytes after decompression. Fault and node events are stored
    /// unchanged, so their memory is bounded by a share of the limit.
    ///
    /// # Errors
    /// As for [`read`](Self::read), and [`ReadError::TooLarge`] if a limit is exceeded.
    pub fn read_within(input: impl Read, keep: Keep, max_bytes: u64) -> Result<Self, ReadError> {
        History::read_all(Reader::within(input, max_bytes)?, keep)
    }

    /// Reads the rest of a history, within the limit of its reader.
    ///
    /// # Errors
    /// As for [`read_within`](Self::read_within).
    pub fn read_all(mut reader: Reader<'_>, keep: Keep) -> Result<Self, ReadError> {
        let (mut around, most_around) = (0u64, reader.max_bytes() / EVENT_MEMORY_DIVISOR);
        let mut builder = Builder::new(keep);
        builder.values = Some(Written::default());
        while let Some(event) = reader.next_event()? {
            around += memory_of(&event);
            if around > most_around {
                let what = format!(
                    "fault and node events take over {most_around} bytes of memory, 1/{EVENT_MEMORY_DIVISOR} of --max-bytes, which raises the bound"
                );
                return Err(ReadError::TooLarge { line: reader.line(), what });
            }
            builder.add(event).map_err(|what| ReadError::at(reader.line(), what))?;
        }
        let (mut header, names, warnings, (completeness, end_record)) = reader.into_parts();
        // The window in the header is the planned one.
        let ended = end_record.as_ref().and_then(|end| end.load_ended_ns);
        if let (Some((start, end)), Some(ended)) = (&mut header.load_window, ended) {
            *end = ended.clamp(*start, (*end).max(*start));
        }
        Ok(History { completeness, end_record, ..builder.finish(header, names, warnings) })
    }

    /// Pairs events that are already in memory, with the details of each op.
    ///
    /// # Errors
    /// Returns the index of the event that breaks a rule, and the rule.
    pub fn from_events(header: Header, names: Names, events: impl IntoIterator<Item = Event>) -> Result<Self, (usize, String)> {
        let mut builder = Builder::new(Keep::Details);
        for (i, event) in events.into_iter().enumerate() {
            builder.add(event).map_err(|what| (i, what))?;
        }
        Ok(builder.finish(header, names, vec![]))
    }

    /// Returns, for each key, the indices of its ops in `ops`, in invocation order.
    pub fn by_key(&self) -> Vec<Vec<u32>> {
        let mut keys = vec![vec![]; self.names.key_count()];
        for (i, op) in (0u32..).zip(&self.ops) {
            keys[op.key.0 as usize].push(i);
        }
        keys
    }
}

/// Pairs events one by one. The live judge uses it too.
pub struct Builder {
    history: History,
    keep: Keep,
    processes: Processes,
    by_id: FxHashMap<OpId, u32>,
    next_dense: u64,
    /// Enforces the rule of the file format that values are unique; `None` for events from other sources.
    values: Option<Written>,
}

/// The values written so far. The recorder takes values from one counter, so storing the maximum is sufficient until a
/// value does not exceed it.
#[derive(Default)]
struct Written {
    highest: Option<i64>,
    all: Option<FxHashSet<i64>>,
}

impl Written {
    /// Adds a value; returns `false` if it was already present. `before` are the ops so far.
    fn add(&mut self, value: i64, before: &[Operation]) -> bool {
        if self.all.is_none() && self.highest.is_none_or(|h| h < value) {
            self.highest = Some(value);
            return true;
        }
        let earlier = || before.iter().filter_map(|o| o.call.writes()).map(|v| v.0).collect();
        self.all.get_or_insert_with(earlier).insert(value)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum ProcessState {
    #[default]
    Idle,
    Busy(OpId),
    Retired(OpId),
}

/// The state of each process. The recorder numbers processes 0, 1, 2 …; these are stored in a list.
#[derive(Default)]
struct Processes {
    dense: Vec<ProcessState>,
    others: FxHashMap<ProcessId, ProcessState>,
}

/// Maximum number of entries in the list of processes beyond the number of ops, whatever process numbers a file uses.
const SPARE_PROCESSES: usize = 1_024;

impl Processes {
    /// Returns the state of a process, after `ops` invokes.
    fn state(&mut self, process: ProcessId, ops: usize) -> &mut ProcessState {
        let place = process.0 as usize;
        // A process stays in the collection in which it was first stored.
        if place >= self.dense.len() && place < ops + SPARE_PROCESSES && self.others.is_empty() {
            self.dense.resize(place + 1, ProcessState::Idle);
        }
        match self.dense.get_mut(place) {
            Some(state) => state,
            None => self.others.entry(process).or_default(),
        }
    }
}

impl Builder {
    /// Creates an empty history.
    pub fn new(keep: Keep) -> Self {
        Builder {
            history: History::default(),
            keep,
            processes: Processes::default(),
            by_id: FxHashMap::default(),
            next_dense: 0,
            values: None,
        }
    }

    /// Adds the next event.
    ///
    /// # Errors
    /// Returns the rule that the event breaks, in words.
    pub fn add(&mut self, event: Event) -> Result<(), String> {
        self.history.end = self.history.end.max(event.t());
        match event {
            Event::Invoke(i) => self.invoke(i),
            Event::Ok(c) => {
                let seen = c.seen;
                self.complete(c, Outcome::Ok(seen))
            }
            Event::Fail(c) => self.complete(c, Outcome::Failed),
            Event::Unknown(c) => self.complete(c, Outcome::Unknown),
            Event::Fault(f) => {
                self.history.faults.push(f);
                Ok(())
            }
            Event::Fate { op, t, fate } => self.fate(op, t, fate),
            Event::Node(n) => {
                self.history.node_events.push(n);
                Ok(())
            }
        }
    }

    fn invoke(&mut self, i: Invoke) -> Result<(), String> {
        let place = u32::try_from(self.history.ops.len()).map_err(|_| "over 2^32 ops in one history".to_owned())?;
        self.register(i.op, place)?;
        if let (Some(values), Some(value)) = (&mut self.values, i.call.writes())
            && !values.add(value.0, &self.history.ops)
        {
            return Err(format!(
                "op {} writes {value}, which an earlier op writes too; values are unique in this format, name another with --format",
                i.op
            ));
        }
        let state = self.processes.state(i.process, self.history.ops.len());
        match *state {
            ProcessState::Idle => *state = ProcessState::Busy(i.op),
            ProcessState::Busy(other) => {
                return Err(format!(
                    "process {} invokes op {} while its op {other} is open; a process has one op at a time",
                    i.process, i.op
                ));
            }
            ProcessState::Retired(other) => {
                return Err(format!(
                    "process {} invokes op {} after the unknown outcome of its op {other}; another process takes over there",
                    i.process, i.op
                ));
            }
        }
        if self.keep == Keep::Details {
            let (client, sent_to, intent, attempt, payload) = (i.client, i.node, i.intent, i.attempt, i.payload);
            self.history.details.push(Detail { client, sent_to, intent, attempt, payload, ..Detail::default() });
        }
        self.history.ops.push(Operation {
            op: i.op,
            invoked: i.t,
            completed: Nanos::NEVER,
            intended: i.intended.unwrap_or(i.t),
            call: i.call,
            outcome: Outcome::Open,
            process: i.process,
            key: i.key,
            node: i.node,
            path: i.path,
        });
        Ok(())
    }

    /// Records the index of op `id`. The recorder numbers ops 0, 1, 2 …, in which case a counter is sufficient.
    fn register(&mut self, id: OpId, place: u32) -> Result<(), String> {
        if self.by_id.is_empty() && id.0 == self.next_dense && id.0 == u64::from(place) {
            self.next_dense += 1;
            return Ok(());
        }
        if self.by_id.is_empty() {
            self.by_id = (0..place).map(|p| (OpId(u64::from(p)), p)).collect();
        }
        match self.by_id.insert(id, place) {
            Some(_) => Err(format!("op {id} is invoked twice")),
            None => Ok(()),
        }
    }

    fn place_of(&self, id: OpId) -> Option<u32> {
        if self.by_id.is_empty() { (id.0 < self.next_dense).then_some(id.0 as u32) } else { self.by_id.get(&id).copied() }
    }

    fn complete<S>(&mut self, c: Completion<S>, outcome: Outcome) -> Result<(), String> {
        let Some(place) = self.place_of(c.op) else { return Err(format!("op {} completes without an invoke", c.op)) };
        let op = &mut self.history.ops[place as usize];
        if op.outcome != Outcome::Open {
            return Err(format!("op {} completes twice", c.op));
        }
        if let Outcome::Ok(seen) = outcome
            && !answers(op.call, seen)
        {
            return Err(format!("op {} was invoked as a {} and completes as something else", c.op, op.call.name()));
        }
        op.completed = c.t;
        op.outcome = outcome;
        op.node = c.node.or(op.node);
        let next = match outcome {
            Outcome::Unknown => ProcessState::Retired(c.op),
            Outcome::Ok(_) | Outcome::Failed | Outcome::Open => ProcessState::Idle,
        };
        let process = op.process;
        *self.processes.state(process, self.history.ops.len()) = next;
        if self.keep == Keep::Details {
            let detail = &mut self.history.details[place as usize];
            detail.reason = c.reason;
            detail.diagnostics = c.diagnostics;
        }
        Ok(())
    }

    fn fate(&mut self, id: OpId, t: Nanos, fate: Fate) -> Result<(), String> {
        let Some(place) = self.place_of(id) else { return Err(format!("fate of op {id}, which was never invoked")) };
        match self.history.ops[place as usize].outcome {
            Outcome::Unknown => {}
            Outcome::Open => return Err(format!("fate of op {id}, which is still open")),
            Outcome::Ok(_) | Outcome::Failed => return Err(format!("fate of op {id}, whose outcome is already known")),
        }
        // A later answer replaces one that gives no information. Two answers that give information must agree.
        if let Some((old, _)) = self.history.fates.get(&place)
            && matches!(old, Fate::Applied | Fate::NotApplied)
        {
            if matches!(fate, Fate::Applied | Fate::NotApplied) && fate != *old {
                return Err(format!("op {id} has two fates that contradict each other"));
            }
            return Ok(());
        }
        self.history.fates.insert(place, (fate, t));
        Ok(())
    }

    /// Returns the op with this id, in its current state.
    pub fn op(&self, id: OpId) -> Option<&Operation> {
        self.place_of(id).map(|p| &self.history.ops[p as usize])
    }

    /// Returns the history of all added events.
    pub fn finish(self, header: Header, names: Names, warnings: Vec<String>) -> History {
        History { header, names, warnings, ..self.history }
    }
}

fn answers(call: Call, seen: Seen) -> bool {
    match seen {
        Seen::Value(_) => matches!(call, Call::Read),
        Seen::Written => matches!(call, Call::Write { .. }),
        Seen::Applied | Seen::ConditionNotMet(_) => matches!(call, Call::Cas { .. }),
    }
}

//! What is stored under a key: the value, and the table that makes operations exactly-once.

use crate::ballot::Ballot;
use crate::ids::{OpId, Value};
use std::mem::size_of;
use std::sync::Arc;

/// A chosen row at a replica.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    /// The ballot at which it was **chosen**, not the one that first proposed it: with the latter,
    /// an older update that is accepted somewhere could look newer than the row and revive.
    pub learned: Ballot,
    /// The content, shared.
    pub data: Arc<RowData>,
}

impl Row {
    /// The row of a key that was never written.
    #[must_use]
    pub fn absent() -> Self {
        Self { learned: Ballot::ZERO, data: Arc::new(RowData::default()) }
    }
}

/// The content of a row. Every update, refresh and snapshot carries all of it: a replica that is
/// brought up to date by one update must know the earlier operation ids too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RowData {
    /// How many updates led to this row; 0 for a key that was never written.
    pub version: u64,
    /// The register's value.
    pub value: Option<Value>,
    /// Which operations are in it.
    pub dedupe: Dedupe,
}

/// What is proposed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Update {
    /// Changes nothing. Accepted by a quorum it is a fence: no update below it can be chosen any
    /// more (CASSANDRA-12126).
    Empty,
    /// A whole new row.
    Row(Arc<RowData>),
}

/// An update that a replica has accepted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Accepted {
    /// The ballot at which it was accepted.
    pub ballot: Ballot,
    /// The update.
    pub update: Update,
}

/// Per client the newest applied operation, and the ids that were declared aborted. Oldest entries
/// first; both kinds bounded, each by a limit of its own.
///
/// **Eviction.** The entries stand in the order of their stamps, which rise along the chain of rows.
/// The oldest is evicted first, and the watermark is its stamp. An operation whose first own
/// proposal has a stamp above the watermark cannot be among the evicted: its entry would carry a
/// stamp at or above that first one. At or below the watermark nothing is known, and a retry is
/// refused. So the bound costs certainty only to operations that are older than all remembered
/// ones, and never refuses a fresh one: an order by client number or sequence would.
///
/// **Aborts** have a watermark of their own, since they must stop requests that have not run at
/// all: a frame that lay in a stopped node's socket runs as if it were new, long after its id was
/// declared aborted and forgotten. Such a frame is recognized by its birth: every request may carry a
/// ballot `born`, the same in all copies of the operation and in the question for its fate, and
/// the stamp of the abort is above it. So an id whose abort was forgotten has
/// `born` below the watermark of aborts, and is refused ([`Found::TooOld`]). Requests that say no
/// `born` count as born at the beginning. Were an abort to share the entry or the watermark of its
/// client's later operations,
///   abort c1.5; c1.6 applied, in its place; c1.6 evicted; the late frame of c1.5
/// would be applied after all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Dedupe {
    /// Oldest first. At most one applied entry a client, and one for each id declared aborted.
    pub entries: Vec<DedupeEntry>,
    /// Stamp of the newest of the evicted applied entries; 0 if none was evicted.
    pub watermark_us: u64,
    /// Stamp of the newest of the evicted aborts; 0 if none was evicted.
    pub aborted_watermark_us: u64,
}

/// How many entries a table keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DedupeLimits {
    /// Of applied operations, one a client.
    pub applied: usize,
    /// Of ids declared aborted.
    pub aborted: usize,
}

/// The newest operation of one client in a row, or an id declared aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DedupeEntry {
    /// The operation.
    pub op: OpId,
    /// Hash of what was asked: the same id with another hash is a client's error. 0 for an abort,
    /// which does not know what was asked.
    pub request_hash: u64,
    /// Its stamp, microseconds: not below the time of the ballot at which it was proposed, nor below
    /// any ballot that its coordinator had made or seen by then, and above the stamps of the row that
    /// it was proposed on. Operations proposed together share one. (A ballot that was promised ahead
    /// is older than the operation: its time alone could lie below what a client gives as the birth
    /// of a retry, and the retry would pass for remembered after it was forgotten.)
    pub proposed_us: u64,
    /// What became of it.
    pub fate: OpFate,
}

/// What a row says about an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpFate {
    /// It is in the row, or in one before it.
    Applied,
    /// It was declared aborted and may never be applied.
    Aborted,
}

impl Dedupe {
    /// The newest operation in the row: the one whose update led to it.
    #[must_use]
    pub fn newest(&self) -> Option<&DedupeEntry> {
        self.entries.last()
    }

    /// What the table says about an operation. `proposed_us` is a time at or below the stamps of all
    /// its own updates that can have been proposed; `None` if none was. `born_us` is the time of the
    /// ballot that its requests were born at; 0 if they do not say.
    #[must_use]
    pub fn find(&self, op: OpId, request_hash: u64, proposed_us: Option<u64>, born_us: u64) -> Found {
        // Newest first: an operation being retried is more often near the end.
        if self.entries.iter().rev().any(|entry| entry.op == op && entry.fate == OpFate::Aborted) {
            return Found::Known(OpFate::Aborted);
        }
        let applied = |entry: &&DedupeEntry| entry.fate == OpFate::Applied && entry.op.client == op.client;
        match self.entries.iter().rev().find(applied) {
            Some(entry) if entry.op.seq == op.seq => {
                if entry.request_hash == request_hash {
                    Found::Known(OpFate::Applied)
                } else {
                    Found::OtherRequest
                }
            }
            Some(entry) if entry.op.seq > op.seq => Found::Superseded,
            Some(_) | None => match proposed_us {
                Some(us) if self.watermark_us > 0 && us <= self.watermark_us => Found::Evicted,
                Some(_) | None if self.aborted_watermark_us > 0 && born_us <= self.aborted_watermark_us => Found::TooOld,
                Some(_) | None => Found::Absent,
            },
        }
    }

    /// The table with one more operation, within the limits.
    #[must_use]
    pub fn with(&self, entry: DedupeEntry, limits: DedupeLimits) -> Dedupe {
        let replaced = |held: &DedupeEntry| {
            held.fate == entry.fate
                && match entry.fate {
                    OpFate::Applied => held.op.client == entry.op.client,
                    OpFate::Aborted => held.op == entry.op,
                }
        };
        let limit = match entry.fate {
            OpFate::Applied => limits.applied,
            OpFate::Aborted => limits.aborted,
        };
        let others = || self.entries.iter().filter(|held| !replaced(held));
        let alike = others().filter(|held| held.fate == entry.fate).count();
        let mut surplus = (alike + 1).saturating_sub(limit);
        let mut next = Dedupe {
            entries: Vec::with_capacity(self.entries.len() + 1),
            watermark_us: self.watermark_us,
            aborted_watermark_us: self.aborted_watermark_us,
        };
        for held in others() {
            if held.fate == entry.fate && surplus > 0 {
                surplus -= 1;
                let watermark = match held.fate {
                    OpFate::Applied => &mut next.watermark_us,
                    OpFate::Aborted => &mut next.aborted_watermark_us,
                };
                *watermark = (*watermark).max(held.proposed_us);
            } else {
                next.entries.push(*held);
            }
        }
        next.entries.push(entry);
        next
    }

    /// The table without the applied entries first proposed at or before `cutoff_us`; `None` if it
    /// has none that may go. Goes no further than to the first abort: without aborts that go by
    /// time, a client that says no birth of its requests is not refused for good, and the last
    /// entry of a table that has any stays that of its version.
    #[must_use]
    pub fn expired(&self, cutoff_us: u64) -> Option<Dedupe> {
        let old = self.entries.iter().take_while(|entry| entry.proposed_us <= cutoff_us && entry.fate == OpFate::Applied);
        let (count, newest_us) = old.fold((0, 0), |(count, newest_us): (usize, u64), entry| (count + 1, newest_us.max(entry.proposed_us)));
        (count > 0).then(|| Dedupe {
            entries: self.entries[count..].to_vec(),
            watermark_us: self.watermark_us.max(newest_us),
            aborted_watermark_us: self.aborted_watermark_us,
        })
    }

    /// Bytes that the table takes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let watermark = |us: u64| if us > 0 { size_of::<u64>() } else { 0 };
        (self.entries.len() * size_of::<DedupeEntry>() + watermark(self.watermark_us) + watermark(self.aborted_watermark_us)) as u64
    }
}

/// What a dedupe table says about an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is not in the row.
    Absent,
    /// It is in the row, with this fate.
    Known(OpFate),
    /// Its id is in the row, for a different request.
    OtherRequest,
    /// A later operation of the same client is in the row, so its own entry is gone if it had one.
    Superseded,
    /// It may have been in the row; entries of that age were evicted.
    Evicted,
    /// It may have been declared aborted; aborts of that age were evicted.
    TooOld,
}

//! The content of a key: the value, and the table that makes operations exactly-once.

use crate::ballot::Ballot;
use crate::ids::{OpId, Value};
use std::mem::size_of;
use std::sync::Arc;

/// A chosen row at a replica.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    /// The ballot at which the row was **chosen**, not the one at which it was first proposed: with the latter, an
    /// older update that some replica has accepted could look newer than the row and be revived.
    pub learned: Ballot,
    /// The content, shared.
    pub data: Arc<RowData>,
}

impl Row {
    /// The row of a key that has never been written.
    #[must_use]
    pub fn absent() -> Self {
        Self { learned: Ballot::ZERO, data: Arc::new(RowData::default()) }
    }
}

/// The content of a row. Every update, refresh and snapshot carries all of it: a replica that is brought up to date
/// by a single update must also get the earlier operation ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RowData {
    /// Number of updates that led to this row. 0 for a key that has never been written.
    pub version: u64,
    /// The register's value.
    pub value: Option<Value>,
    /// The operations that the row contains.
    pub dedupe: Dedupe,
}

/// The content of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Update {
    /// Changes nothing. Once accepted by a quorum, it is a fence: no update below it can be chosen any longer
    /// (CASSANDRA-12126).
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

/// The newest applied operation of each client, and the ids declared aborted. Oldest entries come first. Each kind
/// has its own limit.
///
/// **Eviction.** The entries are ordered by their stamps, which rise along the chain of rows. The oldest entry is
/// evicted first, and the watermark is its stamp. An operation whose first proposal has a stamp above the watermark
/// cannot have been evicted, since its entry would have that stamp or a higher one. At or below the watermark nothing
/// is known, and a retry is refused. So the limit costs certainty only for operations older than all remembered ones,
/// and a new operation is never refused. Ordering by client or sequence number would not guarantee that.
///
/// **Aborts** have a separate watermark, since they must stop requests that have not yet run at all: a frame that
/// waited in a stopped node's socket is processed as if it were new, long after its id was declared aborted and
/// forgotten. Such a frame is recognized by its birth: every request may carry a ballot `born`, which is the same in
/// all copies of the operation and in the fate query, and the stamp of the abort is above it. So an id whose abort was
/// forgotten has a `born` below the abort watermark, and is refused ([`Lookup::TooOld`]). Requests without `born`
/// count as born at time zero. If an abort shared an entry or a watermark with its client's later operations,
///   abort c1.5; c1.6 applied, in its place; c1.6 evicted; the late frame of c1.5
/// would still be applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Dedupe {
    /// Oldest first. At most one applied entry per client, and one entry for each id declared aborted.
    pub entries: Vec<DedupeEntry>,
    /// Stamp of the newest evicted entry of an applied operation. 0 if none was evicted.
    pub watermark_us: u64,
    /// Stamp of the newest evicted abort. 0 if none was evicted.
    pub aborted_watermark_us: u64,
}

/// Maximum number of entries in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DedupeLimits {
    /// Entries of applied operations, one per client.
    pub applied: usize,
    /// Entries of ids declared aborted.
    pub aborted: usize,
}

/// The newest operation of one client in a row, or an id declared aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DedupeEntry {
    /// The operation.
    pub op: OpId,
    /// Hash of the request. The same id with a different hash is a client error. 0 for an abort, since the fate query
    /// does not contain the request.
    pub request_hash: u64,
    /// Stamp of the operation, in microseconds. It is not below the time of the ballot at which the operation was
    /// proposed, nor below any ballot that its coordinator had generated or seen by then. It is above all stamps of
    /// the row on which the operation was proposed. Operations proposed together share a stamp. (A ballot promised in
    /// advance is older than the operation. Its time alone could be below the birth that a client gives for a retry,
    /// and the row would claim to remember an operation it has forgotten.)
    pub proposed_us: u64,
    /// The fate of the operation.
    pub fate: OpFate,
}

/// The fate of an operation according to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpFate {
    /// The operation is in this row, or in an earlier one.
    Applied,
    /// The operation was declared aborted and must never be applied.
    Aborted,
}

impl Dedupe {
    /// The newest operation in the row: the one that created it.
    #[must_use]
    pub fn newest(&self) -> Option<&DedupeEntry> {
        self.entries.last()
    }

    /// Looks up an operation. `proposed_us` is a time no later than the stamp of any of its own updates that may have
    /// been proposed, or `None` if none was. `born_us` is the time of its birth ballot, or 0 if its requests have
    /// none.
    #[must_use]
    pub fn find(&self, op: OpId, request_hash: u64, proposed_us: Option<u64>, born_us: u64) -> Lookup {
        // Newest first: the entry of a retried operation is usually near the end.
        if self.entries.iter().rev().any(|entry| entry.op == op && entry.fate == OpFate::Aborted) {
            return Lookup::Known(OpFate::Aborted);
        }
        let applied = |entry: &&DedupeEntry| entry.fate == OpFate::Applied && entry.op.client == op.client;
        match self.entries.iter().rev().find(applied) {
            Some(entry) if entry.op.seq == op.seq => {
                if entry.request_hash == request_hash {
                    Lookup::Known(OpFate::Applied)
                } else {
                    Lookup::OtherRequest
                }
            }
            Some(entry) if entry.op.seq > op.seq => Lookup::Superseded,
            Some(_) | None => match proposed_us {
                Some(us) if self.watermark_us > 0 && us <= self.watermark_us => Lookup::Evicted,
                Some(_) | None if self.aborted_watermark_us > 0 && born_us <= self.aborted_watermark_us => Lookup::TooOld,
                Some(_) | None => Lookup::Absent,
            },
        }
    }

    /// Returns the table with one more operation, trimmed to the limits.
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

    /// Returns the table without the applied entries first proposed at or before `cutoff_us`, or `None` if nothing
    /// can be removed. Stops at the first abort: aborts do not expire by time, so that a client whose requests have
    /// no birth is not refused forever. Stopping there also ensures that the last entry of a non-empty table is
    /// always the one of the operation that created the row.
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

    /// Size of the table in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let watermark = |us: u64| if us > 0 { size_of::<u64>() } else { 0 };
        (self.entries.len() * size_of::<DedupeEntry>() + watermark(self.watermark_us) + watermark(self.aborted_watermark_us)) as u64
    }
}

/// The result of looking up an operation in a dedupe table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// The operation is not in the row.
    Absent,
    /// The operation is in the row, with this fate.
    Known(OpFate),
    /// The operation's id is in the row, for a different request.
    OtherRequest,
    /// A later operation of the same client is in the row, so any entry of this one is gone.
    Superseded,
    /// The operation may have been in the row: entries of that age were evicted.
    Evicted,
    /// The operation may have been declared aborted: aborts of that age were evicted.
    TooOld,
}

//! Checks objects other than registers, one key at a time. If values are unique, a scan replaces the search.
//!
//! Each scan finds an order of the ops or a contradiction between a few of them. Otherwise it leaves the key *open* for
//! the search and names the op that prevents a decision. Orders and contradictions are certificates, which [`verify`]
//! checks without using any code of the scans. For n ops and m elements in all answers together:
//!
//! | object | decided | cost | left open |
//! |---|---|---|---|
//! | set | always, if nothing is removed | n log n + m | `remove` |
//! | list-append | always, if no two ops append the same value | n log n + m | repeated values |
//! | queue | always, if no two ops enqueue the same value | n log n | repeated values; empty answers that depend on unknown dequeues |
//! | lock | always, if every op names its owner (or every op its token) and no owner calls two ops concurrently | n log n | see `lock` |
//! | counter | always, if all increments are equal | n log n | different increments, within their bounds |
//!
//! Unknown ops may have happened at any time after their invoke, or not at all.

mod certificate; // a verdict's proof as data
mod counter; // sums within bounds
mod counts; // counts of acknowledged updates and their fates
mod judge; // judges a key: scan, verifier, second opinion, search
mod line; // places blocks of ops on a timeline
mod list; // reads are prefixes of each other, so the longest one gives the order
mod lock; // holds, and fencing tokens
mod narrow; // reduces a contradiction for brute force
mod queue; // first in, first out
mod set; // reads that only grow
mod verify; // the verifier
mod words; // explains a contradiction in prose

pub use certificate::{Certificate, Rule};
pub use counts::Counts;
pub use judge::judge_key;
pub use verify::verify;

use crate::search::{ModelKind, SearchOp, SearchRequest};

/// The ops of one key of a foreign history.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The model, and every op that may have happened, by ascending id.
    pub request: SearchRequest,
    /// For each op, the number of its process.
    pub processes: Vec<u32>,
    /// Ops that are known not to have happened.
    pub failed: Vec<SearchOp>,
}

/// The conclusion of a scan.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Decided, with a proof that must be verified.
    Decided(Certificate),
    /// Not decided, with the reason.
    Undecided(String),
}

impl Answer {
    fn undecided(op: &SearchOp, why: &str) -> Answer {
        Answer::Undecided(format!("op {}: {why}", op.id))
    }

    fn invalid(rule: Rule) -> Answer {
        Answer::Decided(Certificate::Invalid(rule))
    }

    fn valid(order: Vec<u32>) -> Answer {
        Answer::Decided(Certificate::Valid(order))
    }
}

/// Scans one key.
pub fn scan(question: &Question) -> Answer {
    match question.request.model {
        ModelKind::Set => set::scan(question),
        ModelKind::ListAppend => list::scan(question),
        ModelKind::Queue => queue::scan(question),
        ModelKind::Counter => counter::scan(question),
        ModelKind::Mutex | ModelKind::OwnerMutex | ModelKind::FencedMutex => lock::scan(question),
        ModelKind::CasRegister | ModelKind::Text => {
            Answer::Undecided(format!("a {} is not judged by a scan", question.request.model.word()))
        }
    }
}

/// The end of time, used as the completion of an op that may never have happened.
const NEVER: u64 = u64::MAX;

/// Returns the latest time at which an op took effect, if it happened.
fn by(op: &SearchOp) -> u64 {
    op.completed.unwrap_or(NEVER)
}

/// Converts an index into the ops of a key to a `u32`.
fn place(index: usize) -> u32 {
    u32::try_from(index).expect("a key has fewer than 2^32 ops")
}

//! What is kept of each operation.

use heckle_paxos::{Call, Diagnostics, Key, OpId, Outcome};

/// One operation as its client saw it. Times are virtual and true.
#[derive(Debug, Clone)]
pub struct OpRecord {
    /// Its id; each client number stands for one sequential process.
    pub op: OpId,
    /// The register.
    pub key: Key,
    /// What was asked.
    pub call: Call,
    /// It went past Paxos: a write was put, a read was got.
    pub plain: bool,
    /// The node asked last, counted from 0.
    pub node: usize,
    /// When the client sent it first.
    pub invoked_ns: u64,
    /// When the client got the answer that counts, or gave up.
    pub completed_ns: Option<u64>,
    /// The answer; `None` if there was none (no answer means unknown).
    pub outcome: Option<Outcome>,
    /// How the answer came about.
    pub diagnostics: Option<Diagnostics>,
    /// How often it was sent again.
    pub resends: u32,
}

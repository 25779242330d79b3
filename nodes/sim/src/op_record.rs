//! The record of an operation.

use heckle_paxos::{Call, Diagnostics, Key, OpId, Outcome};

/// One operation from its client's point of view. Times are virtual and true.
#[derive(Debug, Clone)]
pub struct OpRecord {
    /// Id of the operation. Each client number stands for one sequential process.
    pub op: OpId,
    /// The register.
    pub key: Key,
    /// The call.
    pub call: Call,
    /// Whether the operation bypassed Paxos, as a put or a get.
    pub cheap: bool,
    /// The node to which the last request was sent, counted from 0.
    pub node: usize,
    /// When the client first sent the operation.
    pub invoked_ns: u64,
    /// When the client received a valid reply, or gave up.
    pub completed_ns: Option<u64>,
    /// The outcome in the reply. `None` if there was no reply, in which case the outcome is unknown.
    pub outcome: Option<Outcome>,
    /// Diagnostics in the reply.
    pub diagnostics: Option<Diagnostics>,
    /// Number of times the operation was resent.
    pub resends: u32,
}

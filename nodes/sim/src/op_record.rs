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
    /// The node that was asked last, counted from 0.
    pub node: usize,
    /// When the client first sent the operation.
    pub invoked_ns: u64,
    /// When the client received the valid reply, or gave up.
    pub completed_ns: Option<u64>,
    /// The outcome in the reply. `None` if there was no reply, so that the outcome is unknown.
    pub outcome: Option<Outcome>,
    /// Diagnostics in the reply.
    pub diagnostics: Option<Diagnostics>,
    /// Number of times that the operation was sent again.
    pub resends: u32,
}

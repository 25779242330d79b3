//! One operation on one node, and its reply. An adapter sends each operation once and never retries it. It reports an outcome as
//! proved only if there is proof.

use heckle_history::{Call, Diagnostics, Fate, OpId, Path, ProcessId, Seen};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// One operation to send.
#[derive(Debug, Clone)]
pub struct Op {
    /// Id of the operation in the history.
    pub id: OpId,
    /// The process that invokes it, which never has two open operations.
    pub process: ProcessId,
    /// Name of the key.
    pub key: Arc<str>,
    /// The call.
    pub call: Call,
    /// The path through the system, if the system has two.
    pub path: Path,
    /// The payload of the value to write.
    pub payload: Option<i64>,
    /// The payload of the expected value of a CAS.
    pub expected_payload: Option<i64>,
    /// Time limit of the client.
    pub timeout: Duration,
}

/// The reply to an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The outcome.
    pub outcome: Outcome,
    /// The payload of the value found.
    pub payload: Option<i64>,
    /// The reason, for any outcome other than ok.
    pub reason: Option<Box<str>>,
    /// Figures reported by the system about the operation, as listed by [`System::figures`](crate::System::figures).
    pub diagnostics: Option<Diagnostics>,
}

impl Reply {
    /// Creates a reply with only an outcome and a reason.
    pub fn because(outcome: Outcome, reason: impl Into<Box<str>>) -> Self {
        Reply { outcome, payload: None, reason: Some(reason.into()), diagnostics: None }
    }
}

/// The outcome reported by an adapter. If in doubt, it is unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// The operation happened, with this result.
    Ok(Seen),
    /// The operation is proved not to have happened, and never will.
    NotApplied,
    /// The operation may have happened, or may still happen.
    Unknown,
}

/// A query about an operation with an unknown outcome. Any connection can send it.
#[derive(Debug, Clone)]
pub struct FateQuery {
    /// The system's id of the operation: the figure [`OP_ID`](heckle_history::figures::OP_ID) of its reply.
    pub id: Box<str>,
    /// Name of the key.
    pub key: Arc<str>,
    /// A number unique among the queries and processes of the run.
    pub number: u64,
    /// Time limit of the query.
    pub timeout: Duration,
}

/// The future returned by a connection. It is not `Send`: connections stay on one thread.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// One client connection.
pub trait Connection {
    /// Sends one operation and waits for its reply or its timeout.
    fn call(&self, op: Op) -> Pending<'_, Reply>;

    /// Queries the fate of an operation. `None` if there is no answer in time. A system without fate queries gives its operations no
    /// ids, so none are sent.
    fn fate(&self, query: FateQuery) -> Pending<'_, Option<Fate>> {
        let _ = query;
        Box::pin(std::future::ready(None))
    }
}

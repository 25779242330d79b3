//! How the harness talks to a system under test. To add one: a launcher beside `cluster`, and an adapter here that
//! sends each op once, never retries by itself, and tells apart what is proved from what is not.

pub mod bundled;
pub mod value; // a value's bytes

use heckle_history::{Call, Diagnostics, Fate, OpId, ProcessId, Seen};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// One op, as an adapter is asked to send it.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Its id in the history.
    pub op: OpId,
    /// Who asks; never has two ops open.
    pub process: ProcessId,
    /// The key's name.
    pub key: std::sync::Arc<str>,
    /// What is asked.
    pub call: Call,
    /// What rides beside the value it writes.
    pub payload: Option<i64>,
    /// What rides beside the value a CAS expects.
    pub expected_payload: Option<i64>,
    /// When the client gives up.
    pub timeout: Duration,
}

/// A question about an op of unknown outcome, sent through any connection.
#[derive(Debug, Clone)]
pub struct Question {
    /// What the system calls the op: the `op_id` that its answer's diagnostics told.
    pub id: Box<str>,
    /// The key's name.
    pub key: std::sync::Arc<str>,
    /// No other question or process of the run has this number.
    pub number: u64,
    /// When the asker gives up.
    pub timeout: Duration,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What is known.
    pub known: Known,
    /// What came beside the value that was seen.
    pub payload: Option<i64>,
    /// Why, where it is not an ok.
    pub reason: Option<Box<str>>,
    /// What the coordinator told of its way.
    pub diagnostics: Option<Box<Diagnostics>>,
}

/// What an adapter may claim. When in doubt: unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Known {
    /// It happened, and saw this.
    Ok(Seen),
    /// It is proved not to have happened.
    NotApplied,
    /// It may have happened, or may still.
    Unknown,
}

/// One client connection.
pub trait Connection {
    /// Sends one op and waits for its answer or its timeout.
    fn call(&self, ask: Ask) -> Pin<Box<dyn Future<Output = Answer> + '_>>;

    /// Asks what became of an op; none without an answer in time. A system that cannot tell gives its ops no id, and
    /// is not asked.
    fn fate(&self, question: Question) -> Pin<Box<dyn Future<Output = Option<Fate>> + '_>> {
        let _ = question;
        Box::pin(std::future::ready(None))
    }
}

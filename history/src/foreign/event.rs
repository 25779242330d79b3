//! One event of a foreign file.

use super::process::Process;
use serde_json::Value as Json;

/// Type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The op was invoked.
    Invoke,
    /// The op happened.
    Ok,
    /// The op did not happen.
    Fail,
    /// The op may have happened.
    Info,
}

impl Kind {
    /// Parses the name used by Jepsen.
    pub fn parse(word: &str) -> Option<Kind> {
        match word {
            "invoke" => Some(Kind::Invoke),
            "ok" => Some(Kind::Ok),
            "fail" => Some(Kind::Fail),
            "info" => Some(Kind::Info),
            _ => None,
        }
    }
}

/// One event of a foreign file.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignEvent {
    /// Line number of the event.
    pub line: u64,
    /// Process of the event.
    pub process: Process,
    /// Type of the event.
    pub kind: Kind,
    /// The function.
    pub f: String,
    /// Key of the op.
    pub key: Option<Json>,
    /// The argument or answer; `None` if the line has no such field.
    pub value: Option<Json>,
    /// Time of the event, if the file has times.
    pub time: Option<u64>,
}

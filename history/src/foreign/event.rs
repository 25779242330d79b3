//! One event of a foreign file.

use super::process::Process;
use serde_json::Value as Json;

/// The type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The op was invoked.
    Invoke,
    /// It happened.
    Ok,
    /// It did not happen.
    Fail,
    /// It may have happened.
    Info,
}

impl Kind {
    /// Parses Jepsen's name.
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
    /// Its line.
    pub line: u64,
    /// Its process.
    pub process: Process,
    /// Its type.
    pub kind: Kind,
    /// The function.
    pub f: String,
    /// On which key.
    pub key: Option<Json>,
    /// The argument or answer; `None` if the line has no such field.
    pub value: Option<Json>,
    /// The time, if the file has one.
    pub time: Option<u64>,
}

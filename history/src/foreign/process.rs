//! The calling process, in the notation of other tools.

use serde_json::{Number, Value as Json};
use std::fmt;

/// A process of a foreign history: a number, or any other scalar as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Process {
    /// An integer; `3.0` is also accepted.
    Number(i64),
    /// Anything else, as JSON: `"c0"`, `0.5`, `true`. This way `"0"` and `0` are different processes.
    Name(Box<str>),
}

/// The process or nemesis to which a line belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    Nemesis,
    Process(Process),
}

/// Name of the nemesis, as a keyword or as text.
const NEMESIS: &str = "nemesis";

impl Caller {
    /// Parses the value of `:process`.
    pub(super) fn parse(value: Option<&Json>) -> Result<Caller, String> {
        match value {
            None => Err("an event without :process".to_owned()),
            Some(Json::Null) => Err("an event whose :process is null; only :nemesis is the nemesis".to_owned()),
            Some(Json::String(name)) if name == NEMESIS => Ok(Caller::Nemesis),
            Some(Json::Array(_) | Json::Object(_)) => Err("an event whose :process is a collection; a process is a scalar".to_owned()),
            Some(scalar) => {
                let whole = scalar.as_i64().or_else(|| scalar.as_number().and_then(whole));
                Ok(Caller::Process(whole.map_or_else(|| Process::Name(scalar.to_string().into()), Process::Number)))
            }
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Process::Number(number) => write!(f, "{number}"),
            Process::Name(name) => f.write_str(name),
        }
    }
}

/// Floats above this limit cannot represent consecutive integers.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Returns the integer represented by a float such as `1.0`, because some tools write all JSON numbers as floats.
pub(super) fn whole(number: &Number) -> Option<i64> {
    let float = number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < EXACT)?;
    Some(float as i64)
}

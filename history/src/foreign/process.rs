//! Who calls, as other tools name it.

use serde_json::{Number, Value as Json};
use std::fmt;

/// A process of a foreign history: a number, or any other scalar by its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Process {
    /// A whole number; `3.0` is one too.
    Number(i64),
    /// Anything else, as JSON: `"c0"`, `0.5`, `true`. So `"0"` is another process than `0`.
    Name(Box<str>),
}

/// Whose line it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    Nemesis,
    Process(Process),
}

/// The one word that stands for the nemesis, as a keyword or as a text.
const NEMESIS: &str = "nemesis";

impl Caller {
    /// From the value of `:process`.
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

/// Floats beyond this cannot tell neighbouring whole numbers apart.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The whole number that a float such as `1.0` stands for: JSON written by tools that know only floats has many.
pub(super) fn whole(number: &Number) -> Option<i64> {
    let float = number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < EXACT)?;
    Some(float as i64)
}

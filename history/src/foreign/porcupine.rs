//! `porcupine-log`: the two notations of Porcupine's test data.
//!
//! ```text
//! INFO  jepsen.util - 3 :invoke :cas [1 2]
//! {:process 0, :type :invoke, :f :get, :key "7", :value nil}
//! ```
//! The first is an etcd register, where a failed CAS found another value than it expected. Lines of other loggers
//! are passed over, as Porcupine does, and counted.

use super::events::{FailedCas, ForeignEvent, Kind, pair, unpair};
use super::jepsen::{event, word};
use super::{Foreign, edn, lines};
use crate::reader::ReadError;
use std::fmt::Write;

const LOGGER: &str = "jepsen.util - ";

/// Reads a history.
///
/// # Errors
/// What is wrong, with its line.
pub fn read(text: &str) -> Result<Foreign, ReadError> {
    let (mut events, mut skipped) = (vec![], 0u64);
    for line in lines(text) {
        let (number, line) = line?;
        let event = match line.split_once(LOGGER) {
            Some((_, rest)) => logged(number, rest)?,
            None if line.trim_start().starts_with('{') => {
                let form = edn::Reader::new(line, number).next_form().map_err(|(line, what)| ReadError::at(line, what))?;
                form.map(|(number, form)| event(number, &form)).transpose()?.flatten()
            }
            None => None,
        };
        match event {
            Some(event) => events.push(event),
            None => skipped += u64::from(!line.trim().is_empty()),
        }
    }
    if events.is_empty() && skipped > 0 {
        return Err(ReadError::at(1, "no line of this file is an event of a porcupine log; is it another format?"));
    }
    let warnings = if skipped > 0 { vec![format!("{skipped} lines that are no events of clients were passed over")] } else { vec![] };
    pair(events, FailedCas::WasRefused, warnings)
}

/// `3 :invoke :cas [1 2]`; `None` for the nemesis and for other messages of the logger.
fn logged(line: u64, rest: &str) -> Result<Option<ForeignEvent>, ReadError> {
    // Between fields stand one tab or several blanks, as the version of Jepsen has it.
    let field = |text: &'_ str| -> Option<(usize, usize)> {
        let start = text.len() - text.trim_start().len();
        let end = text[start..].find(char::is_whitespace).map_or(text.len(), |i| start + i);
        (start < end).then_some((start, end))
    };
    let mut rest = rest;
    let mut words = [""; 3];
    for word in &mut words {
        let Some((start, end)) = field(rest) else { return Ok(None) };
        (*word, rest) = (&rest[start..end], &rest[end..]);
    }
    let [process, kind, f] = words;
    let Ok(process) = process.parse::<i64>() else { return Ok(None) };
    let Some(kind) = kind.strip_prefix(':').and_then(Kind::parse) else { return Ok(None) };
    let f = f.strip_prefix(':').unwrap_or(f).to_owned();
    let form = edn::Reader::new(rest, line).next_form().map_err(|(line, what)| ReadError::at(line, what))?;
    let value = form.map_or(serde_json::Value::Null, |(_, value)| value);
    Ok(Some(ForeignEvent { line, process, kind, f, key: None, value, time: None }))
}

/// Writes a register's history in the etcd notation. It has no times: the order of the lines is all it keeps.
pub fn write(foreign: &Foreign) -> String {
    let mut out = String::new();
    for (event, _) in unpair(foreign) {
        let _ = write!(out, "INFO  {LOGGER}{}\t:{}\t:{}\t", event.process, word(event.kind), event.f);
        edn::write(&event.value, &mut out);
        out.push('\n');
    }
    out
}

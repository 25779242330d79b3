//! `knossos-json`: the same events as JSON objects, one after the other or in one array.

use super::Foreign;
use super::events::{FailedCas, pair, unpair};
use super::jepsen::{event, word};
use crate::reader::ReadError;
use serde_json::{Value as Json, json};

/// Reads a history.
///
/// # Errors
/// What is wrong, with its line.
pub fn read(text: &str) -> Result<Foreign, ReadError> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Json>();
    let (mut events, mut skipped) = (vec![], 0u64);
    let (mut line, mut counted) = (1u64, 0);
    loop {
        let start = stream.byte_offset();
        // The line of a value is where it begins, behind the blanks before it.
        let begins = start + text[start..].len() - text[start..].trim_start().len();
        line += text[counted..begins].bytes().filter(|&b| b == b'\n').count() as u64;
        counted = begins;
        let Some(next) = stream.next() else { break };
        let value = next.map_err(|e| ReadError::at(line + (e.line() as u64).saturating_sub(line), format!("not JSON: {e}")))?;
        let maps = match value {
            Json::Array(maps) => maps,
            one => vec![one],
        };
        for map in maps {
            match event(line, &map)? {
                Some(event) => events.push(event),
                None => skipped += 1,
            }
        }
    }
    let warnings = if skipped > 0 { vec![format!("{skipped} events of the nemesis were passed over")] } else { vec![] };
    pair(events, FailedCas::DidNotHappen, warnings)
}

/// Writes a history of one key, as [`jepsen`](super::jepsen) does.
pub fn write(foreign: &Foreign) -> String {
    let mut out = String::new();
    for (event, index) in unpair(foreign) {
        let line = json!({
            "process": event.process, "type": word(event.kind), "f": event.f, "value": event.value, "index": index, "time": event.time,
        });
        out.push_str(&line.to_string());
        out.push('\n');
    }
    out
}

//! `jepsen-edn`: Jepsen's `history.edn`, a map an event, one after the other or in one vector.

use super::Foreign;
use super::edn;
use super::events::{FailedCas, ForeignEvent, Kind, pair, unpair};
use crate::reader::ReadError;
use serde_json::{Map, Value as Json};
use std::fmt::Write;

/// Reads a history.
///
/// # Errors
/// What is wrong, with its line.
pub fn read(text: &str) -> Result<Foreign, ReadError> {
    let mut reader = edn::Reader::new(text, 1);
    let (mut events, mut skipped) = (vec![], 0u64);
    while let Some((line, form)) = reader.next_form().map_err(|(line, what)| ReadError::at(line, what))? {
        let maps = match form {
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

/// An event from a map; `None` for one of the nemesis, whose process is no number.
pub(super) fn event(line: u64, form: &Json) -> Result<Option<ForeignEvent>, ReadError> {
    let at = |what: String| ReadError::at(line, what);
    let Json::Object(map) = form else { return Err(at("an event is a map with :process, :type and :f".to_owned())) };
    let Some(process) = map.get("process") else { return Err(at("an event without :process".to_owned())) };
    let Some(process) = process.as_i64() else { return Ok(None) };
    let kind =
        text(map, "type").and_then(Kind::parse).ok_or_else(|| at("an event's :type is one of :invoke, :ok, :fail, :info".to_owned()))?;
    let f = text(map, "f").ok_or_else(|| at("an event without :f".to_owned()))?.to_owned();
    let key = match map.get("key") {
        None | Some(Json::Null) => None,
        Some(Json::String(key)) => Some(key.clone()),
        Some(other) => Some(other.to_string()),
    };
    let time = match map.get("time") {
        None | Some(Json::Null) => None,
        Some(time) => Some(time.as_u64().ok_or_else(|| at(":time is not a whole number of nanoseconds".to_owned()))?),
    };
    Ok(Some(ForeignEvent { line, process, kind, f, key, value: map.get("value").cloned().unwrap_or(Json::Null), time }))
}

fn text<'m>(map: &'m Map<String, Json>, name: &str) -> Option<&'m str> {
    map.get(name).and_then(Json::as_str)
}

pub(super) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Invoke => "invoke",
        Kind::Ok => "ok",
        Kind::Fail => "fail",
        Kind::Info => "info",
    }
}

/// Writes a history of one key: a refused CAS that tells what it found as a read, since Knossos drops `:fail`.
pub fn write(foreign: &Foreign) -> String {
    let mut out = String::new();
    for (event, index) in unpair(foreign) {
        let _ = write!(out, "{{:type :{}, :f :{}, :value ", word(event.kind), event.f);
        edn::write(&event.value, &mut out);
        let _ = writeln!(out, ", :time {}, :process {}, :index {index}}}", event.time.unwrap_or(0), event.process);
    }
    out
}

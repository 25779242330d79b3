//! `jepsen-edn`: Jepsen's `history.edn`, one map per event, as a sequence or in one vector.

use super::edn;
use super::event::{ForeignEvent, Kind};
use super::events::{EventCollector, FailedCas};
use super::process::Caller;
use super::unpair::unpair;
use super::values::normalize;
use super::{Foreign, ReadOptions};
use crate::reader::ReadError;
use serde_json::{Map, Value as Json};
use std::fmt::Write;

/// Reads a history.
///
/// # Errors
/// If the text cannot be parsed; the error contains the line number.
pub fn read(text: &str, options: ReadOptions) -> Result<Foreign, ReadError> {
    let mut reader = edn::Reader::new(text, 1);
    let mut intake = EventCollector::new(options);
    while let Some((line, form)) = reader.next_form().map_err(|(line, what)| ReadError::at(line, what))? {
        event(&mut intake, line, form)?;
    }
    intake.finish(FailedCas::DidNotHappen)
}

/// Adds an event that was parsed from a map.
pub(super) fn event(intake: &mut EventCollector, line: u64, form: Json) -> Result<(), ReadError> {
    let Json::Object(mut map) = form else { return intake.skip(line, None, "an event is a map with :process, :type and :f") };
    let process = match Caller::parse(map.get("process")) {
        Ok(Caller::Process(process)) => process,
        Ok(Caller::Nemesis) => {
            intake.summary.nemesis += 1;
            return index(intake, line, &map);
        }
        Err(what) => return intake.skip(line, None, what),
    };
    index(intake, line, &map)?;
    let Some(kind) = text(&map, "type").and_then(Kind::parse) else {
        let found = map.get("type").map_or("nothing".to_owned(), Json::to_string);
        return intake.skip(line, Some(process), format!("an event's :type is one of :invoke, :ok, :fail, :info, not {found}"));
    };
    let Some(f) = text(&map, "f").map(str::to_owned) else { return intake.skip(line, Some(process), "an event without :f") };
    let time = match map.get("time") {
        None | Some(Json::Null) => None,
        Some(time) => {
            let whole = time.as_u64().filter(|t| i64::try_from(*t).is_ok());
            Some(whole.ok_or_else(|| ReadError::at(line, format!(":time is a whole number of nanoseconds, not {time}")))?)
        }
    };
    let mut field = |name: &str| {
        let mut value = map.remove(name)?;
        normalize(&mut value);
        Some(value)
    };
    let (key, value) = (field("key").filter(|key| !key.is_null()), field("value"));
    intake.event(ForeignEvent { line, process, kind, f, key, value, time });
    Ok(())
}

fn index(intake: &mut EventCollector, line: u64, map: &Map<String, Json>) -> Result<(), ReadError> {
    match map.get("index") {
        None | Some(Json::Null) => Ok(()),
        Some(index) => match index.as_i64() {
            Some(index) => intake.index(line, index),
            None => Err(ReadError::at(line, format!(":index is a whole number, not {index}"))),
        },
    }
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

/// Writes a history of one key. A refused CAS that reports the value found is written as a read, since Knossos drops `:fail`.
pub fn write(foreign: &Foreign) -> String {
    let mut out = String::new();
    for (event, index) in unpair(foreign) {
        let _ = write!(out, "{{:type :{}, :f :{}, :value ", word(event.kind), event.f);
        edn::write(event.value.as_ref().unwrap_or(&Json::Null), &mut out);
        let _ = writeln!(out, ", :time {}, :process {}, :index {index}}}", event.time.unwrap_or(0), event.process);
    }
    out
}

//! `porcupine-log`: the two notations of Porcupine's test data.
//!
//! ```text
//! INFO  jepsen.util - 3 :invoke :cas [1 2]
//! {:process 0, :type :invoke, :f :get, :key "7", :value nil}
//! ``` The first notation is for an etcd register, where a failed CAS found a value other than the one it expected.
//! Lines from other loggers are skipped, as in Porcupine, and counted.

use super::event::{ForeignEvent, Kind};
use super::events::{EventCollector, FailedCas};
use super::jepsen::{event, word};
use super::process::Caller;
use super::text::lines;
use super::unpair::unpair;
use super::values::normalize;
use super::{Foreign, ReadOptions, edn};
use crate::reader::ReadError;
use serde_json::Value as Json;
use std::fmt::Write;

const LOGGER: &str = "jepsen.util - ";

/// Reads a history.
///
/// # Errors
/// If the text cannot be parsed; the error contains the line number.
pub fn read(text: &str, options: ReadOptions) -> Result<Foreign, ReadError> {
    let mut intake = EventCollector::new(options);
    for line in lines(text) {
        let (number, line) = line?;
        if let Some((_, rest)) = line.split_once(LOGGER) {
            logged(&mut intake, number, rest)?;
        } else if line.trim_start().starts_with('{') {
            let form = edn::Reader::new(line, number).one_form().map_err(|(line, what)| ReadError::at(line, what))?;
            event(&mut intake, number, form.unwrap_or(Json::Null))?;
        } else {
            intake.summary.other_lines += u64::from(!line.trim().is_empty());
        }
    }
    if intake.is_empty() && intake.summary.nemesis == 0 && intake.summary.other_lines > 0 {
        return Err(ReadError::at(1, "no line of this file is an event of a porcupine log; is it another format?"));
    }
    intake.finish(FailedCas::WasRefused)
}

/// Parses a line such as `3 :invoke :cas [1 2]`. Other messages of the same logger have no keyword in second or third
/// place.
fn logged(intake: &mut EventCollector, line: u64, rest: &str) -> Result<(), ReadError> {
    // Fields are separated by one tab or several spaces, depending on the version of Jepsen.
    let field = |text: &'_ str| -> Option<(usize, usize)> {
        let start = text.len() - text.trim_start().len();
        let end = text[start..].find(char::is_whitespace).map_or(text.len(), |i| start + i);
        (start < end).then_some((start, end))
    };
    let (whole, mut rest) = (rest, rest);
    let mut words = [""; 3];
    for word in &mut words {
        let Some((start, end)) = field(rest) else { break };
        (*word, rest) = (&rest[start..end], &rest[end..]);
    }
    let [process, kind, f] = words;
    if !kind.starts_with(':') && !f.starts_with(':') {
        intake.summary.other_lines += 1;
        return Ok(());
    }
    let form = |text| edn::Reader::new(text, line).one_form().map_err(|(line, what)| ReadError::at(line, what));
    let process = match Caller::parse(Some(&form(process)?.unwrap_or(Json::Null))) {
        Ok(Caller::Process(process)) => process,
        Ok(Caller::Nemesis) => {
            intake.summary.nemesis += 1;
            return Ok(());
        }
        Err(what) => return intake.skip(line, None, what),
    };
    let Some(kind) = kind.strip_prefix(':').and_then(Kind::parse) else {
        let what = format!("`{}` is no event: it takes a process, one of :invoke :ok :fail :info, and a call", whole.trim());
        return intake.skip(line, Some(process), what);
    };
    let f = f.strip_prefix(':').unwrap_or(f).to_owned();
    if f.is_empty() {
        return intake.skip(line, Some(process), "an event without a call");
    }
    let mut value = form(rest)?;
    value.iter_mut().for_each(normalize);
    intake.event(ForeignEvent { line, process, kind, f, key: None, value, time: None });
    Ok(())
}

/// Writes a history of a register in the etcd notation. The format has no times and preserves only the order of the
/// lines.
pub fn write(foreign: &Foreign) -> String {
    let mut out = String::new();
    for (event, _) in unpair(foreign) {
        let _ = write!(out, "INFO  {LOGGER}{}\t:{}\t:{}\t", event.process, word(event.kind), event.f);
        edn::write(event.value.as_ref().unwrap_or(&Json::Null), &mut out);
        out.push('\n');
    }
    out
}

//! `knossos-json`: the same events as JSON objects, either as a sequence or in one array.

use super::events::{EventCollector, FailedCas};
use super::jepsen::{event, word};
use super::unpair::unpair;
use super::{Foreign, Process, ReadOptions};
use crate::reader::ReadError;
use serde_json::{Value as Json, json};

/// Reads a history.
///
/// # Errors
/// If the text cannot be parsed; the error contains the line number.
pub fn read(text: &str, options: ReadOptions) -> Result<Foreign, ReadError> {
    let mut stream = Stream { text, at: 0, line: 1, counted: 0 };
    let mut intake = EventCollector::new(options);
    while stream.peek().is_some() {
        if stream.peek() != Some('[') {
            let (line, value) = stream.value()?;
            event(&mut intake, line, value)?;
            continue;
        }
        // An array around the events is unwrapped so that each event has its own line number.
        stream.skip();
        let mut first = true;
        loop {
            match (stream.peek(), first) {
                (Some(']'), _) => break,
                (Some(','), false) => stream.skip(),
                (Some(_), true) => {}
                _ => return Err(ReadError::at(stream.line(), "not JSON: expected `,` or `]` after an event of the array")),
            }
            let (line, value) = stream.value()?;
            event(&mut intake, line, value)?;
            first = false;
        }
        stream.skip();
    }
    intake.finish(FailedCas::DidNotHappen)
}

/// A sequence of values with their line numbers.
struct Stream<'t> {
    text: &'t str,
    at: usize,
    line: u64,
    counted: usize,
}

impl Stream<'_> {
    /// Returns the next character that is not whitespace.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn skip(&mut self) {
        self.at += 1;
    }

    fn line(&mut self) -> u64 {
        self.line += self.text[self.counted..self.at].bytes().filter(|&b| b == b'\n').count() as u64;
        self.counted = self.at;
        self.line
    }

    fn value(&mut self) -> Result<(u64, Json), ReadError> {
        self.peek();
        let line = self.line();
        let mut values = serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter::<Json>();
        match values.next() {
            Some(Ok(value)) => {
                self.at += values.byte_offset();
                Ok((line, value))
            }
            Some(Err(e)) => Err(ReadError::at(line + (e.line() as u64).saturating_sub(1), format!("not JSON: {e}"))),
            None => Err(ReadError::at(line, "not JSON: the text ends where a value should stand")),
        }
    }
}

/// Writes a history of one key, in the same way as [`jepsen`](super::jepsen).
pub fn write(foreign: &Foreign) -> String {
    let mut out = String::new();
    for (event, index) in unpair(foreign) {
        let line = json!({
            "process": process(&event.process), "type": word(event.kind), "f": event.f, "value": event.value, "index": index, "time": event.time,
        });
        out.push_str(&line.to_string());
        out.push('\n');
    }
    out
}

fn process(process: &Process) -> Json {
    match process {
        Process::Number(number) => (*number).into(),
        Process::Name(name) => serde_json::from_str(name).unwrap_or_else(|_| Json::String(name.to_string())),
    }
}

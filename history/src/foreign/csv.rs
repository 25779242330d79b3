//! `csv`: one row per op, for spreadsheets and simple adapters.
//!
//! ```text
//! process,key,f,argument,outcome,result,invoked,completed
//! 3,k1,cas,"[16,17]",ok,true,1000,2000
//! 4,k1,cas,"[16,18]",refused,17,1100,2100
//! 5,k1,read,,unknown,,1200,
//! ```
//! Times are in nanoseconds. `argument` and `result` are JSON; an empty field is null. Outcomes are `ok`, `refused` (a
//! CAS that found `result`; empty if that is not known), `fail` and `unknown`. An op without `completed` never ended.
//! Rows may be in any order. A process has at most one op open at a time. Numbers may be written as `1.0`.

use super::process::{Caller, whole};
use super::summary::{OrderSource, Summary};
use super::values::normalize;
use super::{Foreign, ForeignOp, ForeignOutcome, KeyFrom, KeySource, Process, ReadOptions};
use crate::ids::Nanos;
use crate::reader::ReadError;
use rustc_hash::FxHashMap;
use serde_json::Value as Json;
use std::fmt::Write;

/// The header line.
pub const HEADER: &str = "process,key,f,argument,outcome,result,invoked,completed";

/// Reads a history.
///
/// # Errors
/// If the text cannot be parsed; the error contains the line number.
pub fn read(text: &str, options: ReadOptions) -> Result<Foreign, ReadError> {
    let mut rows = Rows { text, at: 0, line: 1 };
    match rows.next_row()? {
        Some((_, header)) if header.join(",") == HEADER => {}
        _ => return Err(ReadError::at(1, format!("the first line is not `{HEADER}`"))),
    }
    if options.key_from == KeyFrom::Pair {
        return Err(ReadError::at(1, "csv has a column `key`; --key-from pair does not apply"));
    }
    let mut summary = Summary { keys: KeySource::Field, order: OrderSource::Columns, ..Summary::default() };
    let mut ops = vec![];
    while let Some((line, row)) = rows.next_row()? {
        if row.len() == 1 && row[0].trim().is_empty() {
            continue;
        }
        if row.first().is_some_and(|process| process.trim() == "nemesis") {
            summary.nemesis += 1;
            continue;
        }
        match op(line, &row) {
            Ok(op) => ops.push(op),
            Err(what) if options.lenient => summary.skip(line, what),
            Err(what) => return Err(ReadError::at(line, what)),
        }
    }
    ops.sort_by_key(|o: &ForeignOp| o.invoked);
    one_at_a_time(&ops)?;
    summary.events = ops.len() as u64;
    Ok(Foreign { ops, warnings: summary.warnings(), summary })
}

/// Checks that a process has at most one op open at a time, and none after an unknown outcome.
fn one_at_a_time(ops: &[ForeignOp]) -> Result<(), ReadError> {
    let mut last: FxHashMap<&Process, &ForeignOp> = FxHashMap::default();
    let mut sorted: Vec<&ForeignOp> = ops.iter().collect();
    sorted.sort_by_key(|op| (op.invoked, op.completed.unwrap_or(Nanos::NEVER)));
    for op in sorted {
        if let Some(before) = last.insert(&op.process, op) {
            if before.completed.is_none_or(|t| t > op.invoked) {
                let what = format!("process {} invokes while its op of line {} is open", op.process, before.line);
                return Err(ReadError::at(op.line, what));
            }
            if before.outcome == ForeignOutcome::Unknown {
                let what = format!(
                    "process {} goes on after its unknown outcome on line {}; another process takes over there",
                    op.process, before.line
                );
                return Err(ReadError::at(op.line, what));
            }
        }
    }
    Ok(())
}

fn op(line: u64, row: &[String]) -> Result<ForeignOp, String> {
    let [process, key, f, argument, outcome, result, invoked, completed] = row else {
        return Err(format!("{} fields instead of 8", row.len()));
    };
    let json = |name: &str, text: &str| {
        let mut value =
            if text.is_empty() { Json::Null } else { serde_json::from_str(text).map_err(|e| format!("`{name}` is not JSON: {e}"))? };
        normalize(&mut value);
        Ok::<Json, String>(value)
    };
    let invoked = time("invoked", invoked)?;
    let completed = if completed.trim().is_empty() { None } else { Some(time("completed", completed)?) };
    if completed.is_some_and(|c| c < invoked) {
        return Err("it completes before it is invoked".to_owned());
    }
    let outcome = match outcome.as_str() {
        "unknown" => ForeignOutcome::Unknown,
        _ if completed.is_none() => return Err(format!("outcome `{outcome}` without `completed`")),
        "ok" => ForeignOutcome::Ok(json("result", result)?),
        "refused" => ForeignOutcome::Refused(if result.is_empty() { None } else { Some(json("result", result)?) }),
        "fail" => ForeignOutcome::Failed,
        other => return Err(format!("outcome `{other}` is none of ok, refused, fail, unknown")),
    };
    Ok(ForeignOp {
        line,
        process: caller(process.trim())?,
        key: if key.is_empty() { "k1".to_owned() } else { key.clone() },
        f: f.clone(),
        argument: json("argument", argument)?,
        invoked: Nanos(invoked),
        completed: completed.map(Nanos),
        outcome,
    })
}

/// Parses a time, written as an integer or as a float with an integer value.
fn time(name: &str, text: &str) -> Result<u64, String> {
    let text = text.trim();
    let float = || text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).and_then(|n| whole(&n));
    let time = text.parse::<i64>().ok().or_else(float).and_then(|t| u64::try_from(t).ok());
    time.ok_or_else(|| format!("`{name}` is a whole number of nanoseconds, not `{text}`"))
}

/// Parses a process: a number, or a name with or without quotes.
fn caller(text: &str) -> Result<Process, String> {
    if text.is_empty() {
        return Err("a row without `process`".to_owned());
    }
    let value = serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_owned()));
    match Caller::parse(Some(&value))? {
        Caller::Process(process) => Ok(process),
        Caller::Nemesis => Err("the nemesis has no ops".to_owned()),
    }
}

/// Splits rows according to RFC 4180: a quoted field may contain commas, doubled quotes and newlines.
struct Rows<'t> {
    text: &'t str,
    at: usize,
    line: u64,
}

impl Rows<'_> {
    fn next_row(&mut self) -> Result<Option<(u64, Vec<String>)>, ReadError> {
        if self.at == self.text.len() {
            return Ok(None);
        }
        let (line, mut row, mut field, mut quoted) = (self.line, vec![], String::new(), false);
        let mut rest = self.text[self.at..].char_indices().peekable();
        let mut end = self.text.len();
        while let Some((i, c)) = rest.next() {
            self.line += u64::from(c == '\n');
            match c {
                '"' if quoted && rest.peek().is_some_and(|(_, next)| *next == '"') => {
                    rest.next();
                    field.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut field)),
                '\n' if !quoted => {
                    end = self.at + i + 1;
                    break;
                }
                '\r' if !quoted => {}
                c => field.push(c),
            }
        }
        if quoted && end == self.text.len() {
            return Err(ReadError::at(line, "a quoted field without its closing quote"));
        }
        self.at = end;
        row.push(field);
        Ok(Some((line, row)))
    }
}

/// Writes a history.
pub fn write(foreign: &Foreign) -> String {
    let mut out = format!("{HEADER}\n");
    for op in &foreign.ops {
        let (outcome, result) = match &op.outcome {
            ForeignOutcome::Ok(answer) => ("ok", Some(answer)),
            ForeignOutcome::Refused(found) => ("refused", found.as_ref()),
            ForeignOutcome::Failed => ("fail", None),
            ForeignOutcome::Unknown => ("unknown", None),
        };
        let json = |value: &Json| quote(&value.to_string());
        let argument = if op.argument.is_null() { String::new() } else { json(&op.argument) };
        let completed = op.completed.map_or(String::new(), |t| t.0.to_string());
        let _ = writeln!(
            out,
            "{},{},{},{argument},{outcome},{},{},{completed}",
            quote(&op.process.to_string()),
            quote(&op.key),
            quote(&op.f),
            result.map_or(String::new(), json),
            op.invoked.0
        );
    }
    out
}

fn quote(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

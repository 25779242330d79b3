//! `csv`: a row an op, for spreadsheets and for whoever writes an adapter in an afternoon.
//!
//! ```text
//! process,key,f,argument,outcome,result,invoked,completed
//! 3,k1,cas,"[16,17]",ok,true,1000,2000
//! 4,k1,cas,"[16,18]",refused,17,1100,2100
//! 5,k1,read,,unknown,,1200,
//! ```
//! Times are nanoseconds. `argument` and `result` are JSON; nothing is null. Outcomes are `ok`, `refused` (a CAS that
//! found `result`; empty if that is not known), `fail` and `unknown`; an op without `completed` never ended.

use super::{Foreign, ForeignOp, ForeignOutcome};
use crate::ids::Nanos;
use crate::reader::ReadError;
use serde_json::Value as Json;
use std::fmt::Write;

/// The first line.
pub const HEADER: &str = "process,key,f,argument,outcome,result,invoked,completed";

/// Reads a history.
///
/// # Errors
/// What is wrong, with its line.
pub fn read(text: &str) -> Result<Foreign, ReadError> {
    let mut rows = Rows { text, at: 0, line: 1 };
    match rows.next_row()? {
        Some((_, header)) if header.join(",") == HEADER => {}
        _ => return Err(ReadError::at(1, format!("the first line is not `{HEADER}`"))),
    }
    let mut ops = vec![];
    while let Some((line, row)) = rows.next_row()? {
        if row.len() == 1 && row[0].trim().is_empty() {
            continue;
        }
        ops.push(op(line, &row).map_err(|what| ReadError::at(line, what))?);
    }
    ops.sort_by_key(|o: &ForeignOp| o.invoked);
    Ok(Foreign { ops, warnings: vec![] })
}

fn op(line: u64, row: &[String]) -> Result<ForeignOp, String> {
    let [process, key, f, argument, outcome, result, invoked, completed] = row else {
        return Err(format!("{} fields instead of 8", row.len()));
    };
    let whole = |name: &str, text: &str| text.trim().parse::<u64>().map_err(|_| format!("`{name}` is no time in nanoseconds"));
    let json = |name: &str, text: &str| {
        if text.is_empty() { Ok(Json::Null) } else { serde_json::from_str(text).map_err(|e| format!("`{name}` is not JSON: {e}")) }
    };
    let invoked = whole("invoked", invoked)?;
    let completed = if completed.trim().is_empty() { None } else { Some(whole("completed", completed)?) };
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
        process: process.trim().parse().map_err(|_| "`process` is no whole number".to_owned())?,
        key: if key.is_empty() { "k1".to_owned() } else { key.clone() },
        f: f.clone(),
        argument: json("argument", argument)?,
        invoked: Nanos(invoked),
        completed: completed.map(Nanos),
        outcome,
    })
}

/// Rows by the rules of RFC 4180: a quoted field may hold commas, quotes in pairs, and newlines.
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
            op.process,
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

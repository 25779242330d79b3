//! Measures the time to read and judge a long history of sets and one of lists.

use heckle_checker::bench::objects::{ObjectShape, text};
use heckle_checker::judge::{Checker, Options};
use heckle_checker::search::{NoSearch, judge_questions, questions};
use heckle_checker::{Engine, Verdict};
use heckle_history::foreign::{Format, ReadOptions, read_with};
use serde::Serialize;
use std::time::Instant;

/// Maximum size of a generated history, in bytes.
const MAX_BYTES: u64 = 8 << 30;

/// One row of the table.
#[derive(Debug, Clone, Serialize)]
pub struct ObjectRow {
    /// The model.
    pub model: &'static str,
    /// Number of operations.
    pub ops: usize,
    /// Number of keys over which the operations are spread.
    pub keys: usize,
    /// Total number of elements in all answers.
    pub elements: u64,
    /// Size of the text, in megabytes.
    pub text_mb: f64,
    /// Time to read the text into operations with JSON values.
    pub read_ms: f64,
    /// Time to convert these operations to the calls of the model.
    pub parse_ms: f64,
    /// Time to judge these calls, including verification of the certificates.
    pub judge_ms: f64,
}

/// Measures both models at one length.
///
/// # Errors
/// If a generated history cannot be read, or the scan alone does not judge it valid.
pub fn measure(ops: usize) -> Result<Vec<ObjectRow>, String> {
    [ObjectShape::lists(ops), ObjectShape::sets(ops)].into_iter().map(measure_shape).collect()
}

fn measure_shape(shape: ObjectShape) -> Result<ObjectRow, String> {
    let model = shape.model.word();
    let (text, elements) = text(shape);
    let began = Instant::now();
    let options = ReadOptions { max_bytes: MAX_BYTES, ..ReadOptions::default() };
    let foreign = read_with(Format::KnossosJson, text.as_bytes(), options).map_err(|e| e.to_string())?;
    let read = began.elapsed();
    let text_mb = text.len() as f64 / 1e6;
    drop(text);
    let began = Instant::now();
    let (questions, _) = questions(&foreign, shape.model, None).map_err(|e| e.to_string())?;
    let parse = began.elapsed();
    drop(foreign);
    let began = Instant::now();
    let options = Options { checker: Checker::Chain, ..Options::new(&NoSearch) };
    let judged = judge_questions(&questions, &options, &NoSearch);
    let judge = began.elapsed();
    if judged.verdict != Verdict::Valid || judged.checker != Engine::Scan {
        return Err(format!("a valid history of {} ops of a {model} was judged {}", shape.ops, judged.verdict));
    }
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let keys = questions.len();
    Ok(ObjectRow { model, ops: shape.ops, keys, elements, text_mb, read_ms: ms(read), parse_ms: ms(parse), judge_ms: ms(judge) })
}

/// Formats the rows as a table.
pub fn table(rows: &[ObjectRow]) -> String {
    let mut out = format!(
        "{:<12} {:>9} {:>6} {:>12} {:>8} {:>9} {:>9} {:>9} {:>7}\n",
        "model", "ops", "keys", "elements", "text MB", "read ms", "parse ms", "judge ms", "ns/op"
    );
    for row in rows {
        let ObjectRow { model, ops, keys, elements, text_mb, read_ms, parse_ms, judge_ms } = row;
        let ns = judge_ms * 1e6 / (*ops).max(1) as f64;
        out += &format!(
            "{model:<12} {ops:>9} {keys:>6} {elements:>12} {text_mb:>8.1} {read_ms:>9.1} {parse_ms:>9.1} {judge_ms:>9.1} {ns:>7.0}\n"
        );
    }
    out
}

//! Measures `heckle report` on a long run: the time to read its history, to judge it, and to draw its pictures and page.

use super::temp::TempFolder;
use crate::run::recheck;
use crate::run::report::read_history;
use heckle_checker::bench::{Shape, events, history};
use heckle_checker::judge::Checker;
use heckle_history::writer::Writer;
use heckle_history::{ClientId, Event, Header, Names, NodeIx};
use heckle_results::terms::Terms;
use heckle_results::{Results, RunFolder, artifacts, utc::UnixSeconds};
use serde::Serialize;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

/// Number of nodes in the run.
const NODES: u16 = 3;
/// Number of clients in the run, each with one concurrent process.
const CLIENTS: u32 = 16;

/// The figures of one run.
#[derive(Debug, Clone, Serialize)]
pub struct PageRow {
    /// Number of operations in the run.
    pub ops: usize,
    /// Time to read its history.
    pub read_ms: f64,
    /// Time to judge and measure it.
    pub judge_ms: f64,
    /// Time to draw and write pictures, tables and page.
    pub draw_ms: f64,
    /// Size of the page.
    pub page_bytes: u64,
}

impl PageRow {
    /// Returns the total time.
    pub fn total_ms(&self) -> f64 {
        self.read_ms + self.judge_ms + self.draw_ms
    }
}

/// Creates a run folder with a history of `ops` operations below `out`, writes its page, and removes the folder.
///
/// # Errors
/// If the folder cannot be written.
pub fn measure(ops: usize, out: &Path) -> Result<PageRow, String> {
    let out = TempFolder::below(out, "bench-report")?;
    let out = out.path();
    let at = |e: std::io::Error| format!("cannot write below {}: {e}; name a writable folder with --out", out.display());
    let folder = RunFolder::create(out, "bench-report", UnixSeconds(0), 0, &mut Results::default()).map_err(at)?;
    write(&folder.history(), ops).map_err(at)?;
    let began = Instant::now();
    let history = read_history(&folder.history())?;
    let read = began.elapsed();
    let (judged, mut results) = recheck::judge_run(history, &Terms::default(), Some(Checker::Auto), None)?;
    let judge = began.elapsed() - read;
    artifacts::derive(&folder, &judged.history, &mut results, 0).map_err(at)?;
    let draw = began.elapsed() - read - judge;
    let page_bytes = std::fs::metadata(folder.report()).map_err(at)?.len();
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    Ok(PageRow { ops, read_ms: ms(read), judge_ms: ms(judge), draw_ms: ms(draw), page_bytes })
}

/// Formats the rows as a table.
pub fn table(rows: &[PageRow]) -> String {
    let mut out = format!("{:>10} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "ops", "read ms", "judge ms", "draw ms", "all ms", "page KB");
    for row in rows {
        let (all, page) = (row.total_ms(), row.page_bytes as f64 / 1e3);
        let line = format!("{:>10} {:>9.0} {:>9.0} {:>9.0} {all:>9.0} {page:>9.0}\n", row.ops, row.read_ms, row.judge_ms, row.draw_ms);
        out.push_str(&line);
    }
    out
}

/// Writes a history in which every operation has a client and a node, as in a run.
fn write(path: &Path, ops: usize) -> std::io::Result<()> {
    let history = history(Shape { keys: 4, ..Shape::contended(ops, CLIENTS, 0.01) });
    let mut names: Names = history.names.clone();
    let nodes: Vec<NodeIx> = (1..=NODES).map(|n| names.node(&format!("n{n}"))).collect();
    let node = |number: u64| nodes[(number % u64::from(NODES)) as usize];
    let header = Header { op_timeout_ns: Some(1_000_000), ..Header::default() };
    let mut writer = Writer::new(BufWriter::new(std::fs::File::create(path)?), &header)?;
    for mut event in events(&history) {
        match &mut event {
            Event::Invoke(i) => {
                let client = i.process.0 % CLIENTS;
                (i.client, i.node, i.intended) = (Some(ClientId(client)), Some(node(client.into())), Some(i.t));
            }
            Event::Unknown(c) => c.reason = Some("timeout".into()),
            Event::Ok(_) | Event::Fail(_) | Event::Fault(_) | Event::Fate { .. } | Event::Node(_) => {}
        }
        writer.write(&event, &names)?;
    }
    writer.finish([].into())?.0.flush()
}

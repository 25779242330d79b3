//! Counts of all operations by time and latency, since a million points would hide the density.
//!
//! Operations are counted separately by outcome, kind and node, so that a filter applies to all operations, not only to the
//! ones that can be opened. Only non-empty cells are written. If there are too many, the columns are made wider.

use super::grid::Grid;
use super::{End, EndedHistory, kind};
use heckle_history::Nanos;
use serde::Serialize;
use std::collections::BTreeMap;

/// Maximum number of columns, about as many as fit into a chart.
const COLUMNS: u64 = 640;
/// Number of rows. With five decades between the fastest and the slowest operation, each row's latency is about 20 % higher than
/// that of the row below.
const ROWS: usize = 64;
/// Maximum number of cells, at about five bytes each.
const MAX_CELLS: usize = 200_000;
/// Maximum number of distinguished nodes; all others are counted as one.
const MAX_NODES: u16 = 16;

/// Counts by column and row.
#[derive(Debug, Serialize)]
pub(super) struct Density {
    column_s: f64,
    columns: usize,
    rows: usize,
    /// Lower edge of the lowest row.
    low_us: f64,
    /// Upper edge of each row divided by its lower edge.
    ratio: f64,
    parts: Vec<Part>,
}

/// Counts of the operations with the same outcome, kind and node.
#[derive(Debug, Serialize)]
struct Part {
    end: End,
    kind: u8,
    /// Number of the node, absent if it is not known. The last number stands for all remaining nodes.
    node: Option<u16>,
    /// `column * rows + row` of each cell, as the difference from the previous one.
    cells: Vec<u32>,
    counts: Vec<u32>,
}

type Key = (End, u8, Option<u16>);

pub(super) fn of(ends: EndedHistory<'_>) -> Density {
    let mut wanted = COLUMNS;
    loop {
        let density = with_columns(ends, wanted);
        let cells: usize = density.parts.iter().map(|p| p.cells.len()).sum();
        if cells <= MAX_CELLS || wanted < 16 {
            return density;
        }
        wanted /= 2;
    }
}

fn with_columns(ends: EndedHistory<'_>, wanted: u64) -> Density {
    let ops = &ends.history.ops;
    let took = |op| ends.took(op).max(Nanos(1_000)).0 as f64;
    let (low, high) = ops.iter().map(took).fold((f64::MAX, 0f64), |(low, high), t| (low.min(t), high.max(t)));
    let (low, high) = if ops.is_empty() { (1e3, 1e6) } else { (low, high) };
    // Slightly larger than the range, so that the slowest operation is inside the top row.
    let ratio = ((high * 1.001 / low).powf(1.0 / ROWS as f64)).max(1.01);
    let grid = Grid::new(ends.history.end, wanted);
    let mut parts: BTreeMap<Key, Vec<u32>> = BTreeMap::new();
    for op in ops {
        let row = (((took(op) / low).ln() / ratio.ln()) as usize).min(ROWS - 1);
        let key = (End::of(op), kind(op), op.node.map(|n| n.0.min(MAX_NODES - 1)));
        let counts = parts.entry(key).or_insert_with(|| vec![0; grid.count * ROWS]);
        counts[grid.place(op.intended) * ROWS + row] += 1;
    }
    let parts = parts.into_iter().map(|((end, kind, node), counts)| part(end, kind, node, &counts)).collect();
    Density { column_s: grid.length.as_secs_f64(), columns: grid.count, rows: ROWS, low_us: low / 1e3, ratio, parts }
}

fn part(end: End, kind: u8, node: Option<u16>, all: &[u32]) -> Part {
    let (mut cells, mut counts, mut before) = (vec![], vec![], 0);
    for (place, count) in (0u32..).zip(all).filter(|(_, count)| **count > 0) {
        cells.push(place - before);
        counts.push(*count);
        before = place;
    }
    Part { end, kind, node, cells, counts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, Sample};

    #[test]
    fn every_operation_is_in_one_cell() {
        let history = sample::history(Sample::default());
        let density = of(EndedHistory { history: &history });
        let counted: u32 = density.parts.iter().flat_map(|p| &p.counts).sum();
        assert_eq!(counted as usize, history.ops.len());
        for part in &density.parts {
            let last: u32 = part.cells.iter().sum();
            assert!((last as usize) < density.columns * ROWS);
        }
    }

    #[test]
    fn the_number_of_cells_is_bounded() {
        let history = sample::history(Sample { seconds: 60, rate_per_s: 4_000, ..Sample::default() });
        let cells: usize = of(EndedHistory { history: &history }).parts.iter().map(|p| p.cells.len()).sum();
        assert!(cells <= MAX_CELLS, "{cells}");
    }
}

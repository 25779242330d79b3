//! Medians, their table and their JSON.

use super::{Repetition, Row, Setup};
use crate::bench::etcd::median;
use heckle_server::store_bench::{SEGMENT_BYTES, SEGMENTS_BEFORE_SNAPSHOT, Workload};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;

const MIB: f64 = (1 << 20) as f64;

/// All measurements.
#[derive(Debug, Clone)]
pub struct Measurements {
    pub(super) setup: Setup,
    pub(super) rows: Vec<Row>,
}

/// The medians of a row.
struct Medians {
    p50_us: f64,
    p99_us: f64,
    longest_us: f64,
    /// Bytes written to disk per byte of records.
    wrote: Option<f64>,
    disk_mib: f64,
    recovery_ms: f64,
    recovered_records: f64,
}

impl Row {
    fn median(&self, figure: impl Fn(&Repetition) -> f64) -> f64 {
        median(self.repetitions.iter().map(figure).collect())
    }

    fn medians(&self) -> Medians {
        let us = |ns: u64| ns as f64 / 1e3;
        let wrote = |r: &Repetition| r.written.disk_wrote.map(|wrote| wrote as f64 / r.written.record_bytes.max(1) as f64);
        let all_wrote: Option<Vec<f64>> = self.repetitions.iter().map(wrote).collect();
        Medians {
            p50_us: self.median(|r| us(r.written.p50_ns)),
            p99_us: self.median(|r| us(r.written.p99_ns)),
            longest_us: self.median(|r| us(r.written.max_ns)),
            wrote: all_wrote.map(median),
            disk_mib: self.median(|r| r.disk_bytes as f64 / MIB),
            recovery_ms: self.median(|r| r.recovery_ms),
            recovered_records: self.median(|r| r.recovered_records as f64),
        }
    }
}

impl Measurements {
    /// Formats the table as text.
    #[must_use]
    pub fn text(&self) -> String {
        let (setup, workload) = (&self.setup, Workload::new(1, 1));
        let mut text = format!(
            "medians of {}, {} batches each, one process; {} keys written before, {} bytes a value\n\n",
            setup.repetitions, setup.batches, workload.keys, workload.value_bytes
        );
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<7} {:>7} {:>9} {:>9} {:>11} {:>11} {:>9} {:>10} {:>12}",
            "store", "records", "p50 us", "p99 us", "longest us", "syncs/batch", "wrote", "disk MiB", "recovery ms"
        );
        for row in &self.rows {
            let m = row.medians();
            let number = |figure: Option<f64>, digits: usize| figure.map_or("-".to_owned(), |f| format!("{f:.digits$}"));
            let _ = writeln!(
                text,
                "{:<7} {:>7} {:>9.0} {:>9.0} {:>11.0} {:>11} {:>9} {:>10.1} {:>12.1}",
                row.store.name(),
                row.per_batch,
                m.p50_us,
                m.p99_us,
                m.longest_us,
                number(row.syncs_per_batch.as_ref().ok().copied(), 2),
                number(m.wrote, 1),
                m.disk_mib,
                m.recovery_ms
            );
        }
        text + &self.notes()
    }

    fn notes(&self) -> String {
        let mut text = String::from("\n");
        let state = self.rows.iter().map(|row| row.state_bytes as f64 / MIB).fold(0.0, f64::max);
        let _ = writeln!(text, "records: in a batch; wrote: bytes that the disk wrote meanwhile, for whomever, for each byte of records");
        let _ = writeln!(text, "disk: blocks of all files as the process was killed; a snapshot of the state takes {state:.1} MiB at most");
        let gathered = SEGMENT_BYTES as f64 * SEGMENTS_BEFORE_SNAPSHOT as f64 / MIB;
        let _ = writeln!(text, "recovery: of the killed process's folder, files in memory, compared with every record written");
        let _ = writeln!(text, "compaction: the log and what fjall gathers, after {gathered:.0} MiB (a node: sixteen times that)");
        let snapshots: u64 = self.rows.iter().flat_map(|row| &row.repetitions).map(|r| r.written.snapshots).sum();
        let gathering = self.rows.iter().flat_map(|row| &row.repetitions).map(|r| r.written.longest_gathering_ns).max().unwrap_or(0);
        let _ = writeln!(
            text,
            "snapshots of the log: {snapshots} in all; gathering one blocks the event loop for {:.1} ms at most",
            gathering as f64 / 1e6
        );
        if let Some(why) = self.rows.iter().find_map(|row| row.syncs_per_batch.as_ref().err()) {
            let _ = writeln!(text, "syncs are not counted: {why}");
        }
        text
    }

    /// Returns all repetitions and the medians as JSON.
    #[must_use]
    pub fn json(&self) -> Json {
        let repetition = |r: &Repetition| json!({"written": r.written, "disk_bytes": r.disk_bytes, "recovery_ms": r.recovery_ms, "recovered_records": r.recovered_records});
        let rows = self.rows.iter().map(|row| {
            let m = row.medians();
            json!({
                "store": row.store.name(), "records_per_batch": row.per_batch, "state_bytes": row.state_bytes,
                "p50_us": m.p50_us, "p99_us": m.p99_us, "longest_us": m.longest_us,
                "syncs_per_batch": row.syncs_per_batch.as_ref().ok(), "syncs_not_counted": row.syncs_per_batch.as_ref().err(),
                "wrote_per_record_byte": m.wrote, "disk_mib": m.disk_mib, "recovery_ms": m.recovery_ms,
                "recovered_records": m.recovered_records,
                "repetitions": row.repetitions.iter().map(repetition).collect::<Vec<_>>(),
            })
        });
        let workload = Workload::new(1, 1);
        json!({
            "bench": "store", "repetitions": self.setup.repetitions, "batches": self.setup.batches, "keys": workload.keys,
            "value_bytes": workload.value_bytes, "rows": rows.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_server::store_bench::{Candidate, Written};

    fn repetition(p50_us: u64) -> Repetition {
        let written = Written {
            records: 8,
            record_bytes: 1_000,
            p50_ns: p50_us * 1_000,
            p99_ns: 900_000,
            max_ns: 2_000_000,
            disk_wrote: Some(4_500),
            snapshots: 1,
            longest_gathering_ns: 2_500_000,
        };
        Repetition { written, disk_bytes: 3 << 20, recovery_ms: 12.5, recovered_records: 77 }
    }

    #[test]
    fn prints_medians_and_omits_missing_figures() {
        let row = Row {
            store: Candidate::WriteAheadLog,
            per_batch: 8,
            state_bytes: 5 << 20,
            repetitions: vec![repetition(90), repetition(300), repetition(100)],
            syncs_per_batch: Ok(1.25),
        };
        let setup = Setup { repetitions: 3, batches: 1, folder: "x".into() };
        let mut measured = Measurements { setup, rows: vec![row] };
        let text = measured.text();
        let line = "log           8       100       900        2000        1.25       4.5        3.0         12.5";
        for part in [line, "takes 5.0 MiB", "3 in all", "2.5 ms"] {
            assert!(text.contains(part), "the table lacks {part:?}:\n{text}");
        }
        assert!(!text.contains("not counted"), "{text}");
        measured.rows[0].syncs_per_batch = Err("there is no strace here".into());
        measured.rows[0].repetitions[1].written.disk_wrote = None;
        let text = measured.text();
        let line = "log           8       100       900        2000           -         -        3.0         12.5";
        for part in [line, "syncs are not counted: there is no strace here"] {
            assert!(text.contains(part), "the table lacks {part:?}:\n{text}");
        }
        let json = measured.json();
        assert_eq!((&json["rows"][0]["syncs_per_batch"], &json["rows"][0]["p50_us"]), (&Json::Null, &json!(100.0)), "{json:#}");
    }
}

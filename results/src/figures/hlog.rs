//! `latency.hlog`: an HdrHistogram interval log with one histogram per second and kind of operation, in nanoseconds from the due
//! time. Other HdrHistogram tools can read and plot it, and merge its intervals. Merging histograms is exact, while averaging
//! percentiles is not.

use crate::measure::Latencies;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use heckle_history::{History, Nanos, Outcome};
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

const SECOND: u64 = 1_000_000_000;

/// Returns the text of the log. Its times are relative to the start of the run, given as `started_unix_s`.
pub fn log(history: &History, started_unix_s: u64) -> Vec<u8> {
    let mut intervals: BTreeMap<(u64, &str), Latencies> = BTreeMap::new();
    for op in &history.ops {
        if let Outcome::Ok(_) = op.outcome {
            let slot = (op.intended.0 / SECOND, op.name());
            intervals.entry(slot).or_insert_with(Latencies::new).add(op.completed.since(op.intended));
        }
    }
    let mut out = vec![];
    let mut serializer = V2DeflateSerializer::new();
    let base = UNIX_EPOCH + Duration::from_secs(started_unix_s);
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment("latency of ok ops in nanoseconds, from when they were due; tag: kind of op; interval: when it was due")
        .with_start_time(base)
        .with_base_time(base)
        .with_max_value_divisor(Nanos::from_ms(1).0 as f64)
        .begin_log_with(&mut out, &mut serializer)
        .expect("writing to memory does not fail");
    for ((second, kind), latencies) in &intervals {
        let tag = Tag::new(kind).expect("kinds of ops have neither commas nor spaces");
        writer
            .write_histogram(&latencies.histogram, Duration::from_secs(*second), Duration::from_secs(1), Some(tag))
            .expect("writing to memory does not fail");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn the_log_round_trips() {
        let history = crate::sample::history(crate::sample::Sample::default());
        let text = log(&history, 1_700_000_000);
        let mut total: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
        for entry in IntervalLogIterator::new(&text) {
            if let LogEntry::Interval(i) = entry.unwrap() {
                let bytes = base64::engine::general_purpose::STANDARD.decode(i.encoded_histogram()).unwrap();
                let one: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
                total.entry(i.tag().unwrap().as_str().to_owned()).or_insert_with(|| Histogram::new(3).unwrap()).add(one).unwrap();
            }
        }
        let ok = |kind: &'static str| history.ops.iter().filter(move |o| o.call.name() == kind && matches!(o.outcome, Outcome::Ok(_)));
        for kind in ["cas", "read", "write"] {
            assert_eq!(total[kind].len(), ok(kind).count() as u64, "{kind}");
            let slowest = ok(kind).map(|o| o.completed.since(o.intended).0).max().unwrap();
            assert!(total[kind].max().abs_diff(slowest) <= slowest / 500, "{kind}: {} for {slowest}", total[kind].max());
        }
        assert_eq!(total.len(), 3);
    }
}

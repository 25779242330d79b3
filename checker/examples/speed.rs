//! Prints the figures of `heckle bench check` without the harness: `cargo run --release -p heckle-checker --example
//! speed`.
//! An example is not part of the pure library, so it may use a clock.
#![allow(clippy::disallowed_methods)]

use heckle_checker::bench::{self, Shape};
use heckle_checker::search::NoSearch;
use heckle_checker::{Checker, OnlineJudge, Options, judge};
use heckle_history::operation::Keep;
use heckle_history::writer::Writer;
use heckle_history::{Event, Header, History};
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sizes = [10_000, 100_000, 1_000_000, 10_000_000];
    match arguments.first().map(String::as_str) {
        Some("batch") => sizes.into_iter().take(limit(&arguments)).for_each(batch),
        Some("online") => sizes.into_iter().take(limit(&arguments)).for_each(online),
        Some("file") => file(number(&arguments, 1).unwrap_or(1_000_000)),
        Some("stale") => stale(),
        _ => eprintln!("usage: speed batch|online [sizes] | file OPS | stale"),
    }
}

fn limit(arguments: &[String]) -> usize {
    arguments.get(1).and_then(|n| n.parse().ok()).unwrap_or(3)
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn resident_mb(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kb = status.lines().find_map(|l| l.strip_prefix(field)).and_then(|l| l.trim().trim_end_matches(" kB").trim().parse::<f64>().ok());
    kb.unwrap_or(0.0) / 1024.0
}

fn options() -> Options<'static> {
    Options { checker: Checker::Chain, ..Options::new(&NoSearch) }
}

fn batch(ops: usize) {
    let history = bench::history(Shape::contended(ops, 50, 0.05));
    let before = resident_mb("VmRSS:");
    let start = Instant::now();
    let judgement = judge(&history, &options());
    println!(
        "batch {ops} ops: {} in {:.1} ms; history {before:.0} MB, peak {:.0} MB",
        judgement.linearizability.verdict,
        ms(start),
        resident_mb("VmHWM:")
    );
}

fn online(ops: usize) {
    let history = bench::history(Shape::contended(ops, 50, 0.05));
    let events: Vec<Event> = bench::events(&history).collect();
    let start = Instant::now();
    let mut online = OnlineJudge::new();
    let detected = events.iter().filter_map(|e| online.feed(e, &history.names)).count();
    let took = ms(start);
    println!(
        "online {} events: {detected} violations, {took:.1} ms, {:.2} M events/s, {:?}",
        events.len(),
        events.len() as f64 / took / 1e3,
        online.counters()
    );
}

fn number(arguments: &[String], place: usize) -> Option<usize> {
    arguments.get(place).and_then(|n| n.parse().ok())
}

/// Generates a compressed history of four keys.
fn compressed(ops: usize) -> Vec<u8> {
    let history = bench::history(Shape { keys: 4, ..Shape::contended(ops, 50, 0.05) });
    let mut writer = Writer::new(Vec::new(), &Header::default()).expect("a Vec takes every write");
    for event in bench::events(&history) {
        writer.write(&event, &history.names).expect("a Vec takes every write");
    }
    writer.finish([].into()).expect("a Vec takes every write").0
}

fn file(ops: usize) {
    let file = compressed(ops);
    let start = Instant::now();
    let history = History::read(&file[..], Keep::OpsOnly).expect("just written");
    let read = ms(start);
    let judgement = judge(&history, &options());
    println!(
        "file {ops} ops, {:.0} MB: {}, read {read:.0} ms, in all {:.0} ms",
        file.len() as f64 / 1e6,
        judgement.linearizability.verdict,
        ms(start)
    );
}

fn stale() {
    let shape = Shape { stale_read: true, ..Shape::contended(1_000, 10, 0.05) };
    let history = bench::history(shape);
    let start = Instant::now();
    let judgement = judge(&history, &options());
    println!(
        "1,000 ops with a stale read: {} in {:.2} ms: {}",
        judgement.linearizability.verdict,
        ms(start),
        judgement.linearizability.violations[0].explanation.summary
    );
}

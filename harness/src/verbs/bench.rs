//! `heckle bench`: the tables of the README, measured when they are asked for. Figures are of this machine, now.

use crate::cli::{BenchArgs, BenchWhat};
use crate::relay;
use heckle_checker::bench::{Shape, events, history};
use heckle_checker::judge::{Checker, Options, judge};
use heckle_checker::online::OnlineJudge;
use heckle_checker::search::NoSearch;
use heckle_history::{Event, History};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs the verb.
pub(super) fn main(args: &BenchArgs) -> ExitCode {
    let done = match args.what {
        BenchWhat::Faults => faults(),
        BenchWhat::Check => check(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => super::broken("bench", &e),
    }
}

/// Asked delay and loss against measured.
fn faults() -> Result<(), String> {
    let rows = relay::bench::measure().map_err(|e| format!("the relay could not be measured: {e}"))?;
    print!("{}", relay::bench::table(&rows));
    Ok(())
}

/// The judge: batch and online at growing lengths, and porcupine-rs beside it.
fn check(args: &BenchArgs) -> Result<(), String> {
    println!(
        "{:>10} {:>10} {:>9} {:>12} {:>14} {:>10} {:>22}",
        "ops", "batch ms", "ns/op", "online ms", "events/s", "live most", "unseen unknown writes"
    );
    for ops in [10_000, 100_000, 1_000_000, 10_000_000] {
        if ops > args.max_ops {
            break;
        }
        let history = history(Shape::contended(ops, 50, 0.05));
        let began = Instant::now();
        let judged = judge(&history, &Options { checker: Checker::Chain, ..Options::new(&NoSearch) });
        let batch = began.elapsed();
        if judged.linearizability.verdict != heckle_checker::Verdict::Valid {
            return Err(format!("a valid history of {ops} ops was judged {}", judged.linearizability.verdict));
        }
        let (online, events, live, unseen) = online(&history)?;
        println!(
            "{ops:>10} {:>10.1} {:>9.0} {:>12.1} {:>14.0} {live:>10} {unseen:>22}",
            batch.as_secs_f64() * 1e3,
            batch.as_secs_f64() * 1e9 / ops as f64,
            online.as_secs_f64() * 1e3,
            events as f64 / online.as_secs_f64(),
        );
    }
    println!();
    versus_search(args.search_for.0)
}

fn online(history: &History) -> Result<(Duration, u64, u64, u64), String> {
    let events: Vec<Event> = events(history).collect();
    let mut judge = OnlineJudge::new();
    let began = Instant::now();
    for event in &events {
        if let Some(violation) = judge.feed(event, &history.names) {
            return Err(format!("the online judge refuses a valid history: {}", violation.explanation.summary));
        }
    }
    Ok((began.elapsed(), events.len() as u64, judge.counters().live_values_max, judge.counters().unobserved_unknown_writes))
}

/// A short history with one stale read, where search has to try everything.
fn versus_search(limit: Duration) -> Result<(), String> {
    let shape = Shape { stale_read: true, ..Shape::contended(1_000, 10, 0.05) };
    let history = history(shape);
    println!("1,000 ops, 10 processes, 5 % unknown, one stale read:");
    let began = Instant::now();
    let judged = judge(&history, &Options { checker: Checker::Chain, ..Options::new(&NoSearch) });
    println!("  chain         {:>10.3} ms  {}", began.elapsed().as_secs_f64() * 1e3, judged.linearizability.verdict);
    let search = crate::search::ChildProcess { time: limit, ..crate::search::ChildProcess::default() };
    let began = Instant::now();
    let judged = judge(&history, &Options { checker: Checker::Porcupine, ..Options::new(&search) });
    let note = judged.linearizability.keys.iter().find_map(|k| k.note.clone()).unwrap_or_default();
    println!("  porcupine-rs  {:>10.3} ms  {} {note}", began.elapsed().as_secs_f64() * 1e3, judged.linearizability.verdict);
    Ok(())
}

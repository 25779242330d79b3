//! `heckle bench`: measures the tables of the README on this machine.

use crate::bench::etcd::memory::{MIN_LOAD, MemorySetup};
use crate::bench::{self, etcd as against_etcd, soak};
use crate::cli::{BenchArgs, BenchTarget};
use crate::exit;
use heckle_checker::bench::{Shape, events, history};
use heckle_checker::judge::{Checker, Options, judge};
use heckle_checker::online::OnlineJudge;
use heckle_checker::search::NoSearch;
use heckle_history::{Event, History};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Default length of each load of `bench etcd`.
const ETCD_LOAD: Duration = Duration::from_secs(3);
/// Maximum length of a history of `bench objects`, in ops: the text of one with 10,000,000 ops takes gigabytes.
const OBJECT_OPS: usize = 1_000_000;
/// Lengths of the histories of `bench check`, in ops.
const CHECK_OPS: [usize; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
/// Maximum length of a run of `bench report`, in ops.
const PAGE_OPS: usize = 1_000_000;
/// Default length of each load of `bench load`.
const GENERATOR_LOAD: Duration = Duration::from_secs(3);
/// Default length of the load of `bench memory`.
const MEMORY_LOAD: Duration = Duration::from_secs(600);

/// Compares the checkers on random histories until the time is up.
fn differential(args: &BenchArgs) -> Result<u8, String> {
    let (seed, from) = (args.seed, args.from_case);
    let setup = soak::Setup { seed, from, cases: args.cases.unwrap_or(u64::MAX), time: args.soak_for.0, folder: args.out.out.clone() };
    let soaked = soak::run(&setup, &heckle_checker::differential::Engines::default())?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&soaked).expect("plain data has a JSON form"));
    } else {
        out!("{}", soaked.text());
    }
    if soaked.cases == 0 {
        errln!("no history was compared");
        return Ok(exit::INCONCLUSIVE);
    }
    Ok(if soaked.mismatches.is_empty() { exit::OK } else { exit::VIOLATION })
}

/// Runs the verb.
pub(super) fn main(args: &BenchArgs) -> ExitCode {
    let done = match args.what {
        BenchTarget::Faults => faults().map(|()| exit::OK),
        BenchTarget::Check if args.differential => differential(args),
        BenchTarget::Check => check(args).map(|()| exit::OK),
        BenchTarget::Objects => objects(args).map(|()| exit::OK),
        BenchTarget::Load => load(args),
        BenchTarget::Report => report(args).map(|()| exit::OK),
        BenchTarget::Etcd => etcd(args).map(|()| exit::OK),
        BenchTarget::Core => core(args),
        BenchTarget::Store => store(args).map(|()| exit::OK),
        BenchTarget::Memory => memory(args),
        BenchTarget::Hostile => hostile(args),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(e) => super::broken("bench", &e),
    }
}

/// Compares the requested with the actual delay and loss of the relay.
fn faults() -> Result<(), String> {
    let rows = bench::relay::measure().map_err(|e| format!("the relay could not be measured: {e}"))?;
    out!("{}", bench::relay::table(&rows));
    Ok(())
}

/// Measures histories of sets and lists at increasing lengths.
fn objects(args: &BenchArgs) -> Result<(), String> {
    warn_of_debug_build();
    let mut rows = vec![];
    for ops in [10_000, 100_000, OBJECT_OPS].into_iter().take_while(|ops| *ops <= args.max_ops) {
        rows.extend(bench::objects::measure(ops)?);
    }
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&rows).expect("plain data has a JSON form"));
    } else {
        out!("{}", bench::objects::table(&rows));
    }
    Ok(())
}

/// Measures the load generator, with a gate.
fn load(args: &BenchArgs) -> Result<u8, String> {
    warn_of_debug_build();
    let rate = args.rate.map(f64::from);
    let load_for = args.load_for.map_or(GENERATOR_LOAD, |span| span.0);
    let setup = bench::load::Setup { rate, load_for, clients: args.clients, folder: args.out.out.clone() };
    let report = bench::load::measure(&setup, &|what| errln!("{what}"))?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&report).expect("plain data has a JSON form"));
    } else {
        out!("{}", report.text());
    }
    if report.is_met(rate) {
        return Ok(exit::OK);
    }
    errln!("{} operations a second are not sent on time", rate.unwrap_or(bench::load::TARGET_PER_S));
    Ok(exit::GATE)
}

/// Measures the pages of increasingly long runs.
fn report(args: &BenchArgs) -> Result<(), String> {
    warn_of_debug_build();
    let sizes = [10_000, 100_000, PAGE_OPS].into_iter().take_while(|ops| *ops <= args.max_ops);
    let rows = sizes.map(|ops| bench::page::measure(ops, &args.out.out)).collect::<Result<Vec<_>, _>>()?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&rows).expect("plain data has a JSON form"));
    } else {
        out!("{}", bench::page::table(&rows));
    }
    Ok(())
}

fn warn_of_debug_build() {
    if cfg!(debug_assertions) {
        errln!("this is not a release build: figures of CPU-bound parts mean little");
    }
}

/// Compares the bundled server with etcd.
fn etcd(args: &BenchArgs) -> Result<(), String> {
    if cfg!(not(feature = "etcd")) {
        errln!("without etcd: {}", against_etcd::GRPC_MISSING);
    }
    let setup = against_etcd::Setup {
        repetitions: args.repetitions.max(1),
        load_for: args.load_for.map_or(ETCD_LOAD, |span| span.0),
        folder: args.out.out.clone(),
    };
    let measured = against_etcd::measure(&setup, &|what| errln!("{what}"))?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&measured.json()).expect("plain data has a JSON form"));
    } else {
        out!("{}", measured.text());
    }
    Ok(())
}

/// Compares the node's log with other stores.
fn store(args: &BenchArgs) -> Result<(), String> {
    if cfg!(not(feature = "stores")) {
        errln!("the write-ahead log alone: {}", bench::store::STORES_MISSING);
    }
    warn_of_debug_build();
    let setup = bench::store::Setup { repetitions: args.repetitions.max(1), batches: args.batches, folder: args.out.out.clone() };
    let measured = bench::store::measure(&setup, &|what| errln!("{what}"))?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&measured.json()).expect("plain data has a JSON form"));
    } else {
        out!("{}", measured.text());
    }
    Ok(())
}

/// Measures the memory of nodes under full load, with a gate.
fn memory(args: &BenchArgs) -> Result<u8, String> {
    let load_for = args.load_for.map_or(MEMORY_LOAD, |span| span.0);
    if load_for < MIN_LOAD || args.keys == 0 {
        errln!("heckle bench: memory needs a key or more, and a load of {} s or more: --keys 100 --load-for 10m", MIN_LOAD.as_secs());
        return Ok(exit::USAGE);
    }
    let measured = against_etcd::memory::measure(&MemorySetup { load_for, keys: args.keys, folder: args.out.out.clone() })?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&measured.json()).expect("plain data has a JSON form"));
    } else {
        out!("{}", measured.text());
    }
    if measured.is_flat() {
        return Ok(exit::OK);
    }
    errln!("memory is not seen to be flat");
    Ok(exit::GATE)
}

/// Attacks nodes and reports how they withstand it.
fn hostile(args: &BenchArgs) -> Result<u8, String> {
    let scale = if args.short { bench::hostile::Scale::Short } else { bench::hostile::Scale::Full };
    let report = bench::hostile::run(&args.out.out, scale, &|what| errln!("{what}"))?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&report).expect("plain data has a JSON form"));
    } else {
        out!("{}", report.text());
    }
    for (code, why) in report.failures() {
        errln!("exit {code}: {why}");
    }
    Ok(report.exit_code())
}

/// Measures the core of this build, or compares two builds.
fn core(args: &BenchArgs) -> Result<u8, String> {
    let Some(other) = &args.against else {
        let cost = bench::core::measure()?;
        if args.json {
            outln!("{}", serde_json::to_string(&cost).expect("plain data has a JSON form"));
        } else {
            let with = if cost.mutants_compiled_in { "compiled in, off" } else { "not compiled in" };
            outln!("one write in three replicas: {:.0} ns, {:.1} steps; planted bugs {with}", cost.ns_per_op, cost.steps_per_op);
        }
        return Ok(exit::OK);
    };
    let compared = bench::core::compare(other)?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&compared).expect("plain data has a JSON form"));
    } else {
        let median = |all: &[bench::core::CoreCost]| {
            let ns: Vec<f64> = all.iter().map(|c| c.ns_per_op).collect();
            heckle_results::median(&ns).unwrap_or(0.0)
        };
        outln!("one write in three replicas, medians of {}, measured in turn", bench::core::PAIRS);
        for (name, all) in [("this build", &compared.this), ("the other", &compared.other)] {
            let with = if all[0].mutants_compiled_in { "planted bugs compiled in, off" } else { "planted bugs not compiled in" };
            outln!("  {name:<12} {:>8.0} ns  {with}", median(all));
        }
        let (low, high) = compared.middle_half;
        outln!("  ratio {:.3}, middle half of the pairs {low:.3} to {high:.3}", compared.ratio);
    }
    if compared.is_within_noise() {
        return Ok(exit::OK);
    }
    errln!("this build costs {:.1} % more than the other", (compared.ratio - 1.0) * 100.0);
    Ok(exit::GATE)
}

/// Measures the checkers, batch and online, at increasing lengths, and then porcupine-rs.
fn check(args: &BenchArgs) -> Result<(), String> {
    outln!(
        "{:>10} {:>10} {:>9} {:>12} {:>14} {:>10} {:>22}",
        "ops",
        "batch ms",
        "ns/op",
        "online ms",
        "events/s",
        "live most",
        "unseen unknown writes"
    );
    for ops in CHECK_OPS.into_iter().take_while(|ops| *ops <= args.max_ops) {
        let history = history(Shape::contended(ops, 50, 0.05));
        let began = Instant::now();
        let judged = judge(&history, &Options { checker: Checker::Chain, ..Options::new(&NoSearch) });
        let batch = began.elapsed();
        if judged.linearizability.verdict != heckle_checker::Verdict::Valid {
            return Err(format!("a valid history of {ops} ops was judged {}", judged.linearizability.verdict));
        }
        let (online, events, live, unseen) = judge_online(&history)?;
        outln!(
            "{ops:>10} {:>10.1} {:>9.0} {:>12.1} {:>14.0} {live:>10} {unseen:>22}",
            batch.as_secs_f64() * 1e3,
            batch.as_secs_f64() * 1e9 / ops as f64,
            online.as_secs_f64() * 1e3,
            events as f64 / online.as_secs_f64(),
        );
    }
    let files = CHECK_OPS.into_iter().take_while(|ops| *ops <= args.max_ops);
    let files = files.map(|ops| bench::check_file::measure(ops, &args.out.out)).collect::<Result<Vec<_>, _>>()?;
    out!("{}", bench::check_file::table(&files));
    outln!();
    compare_with_search(args.search_for.0)
}

fn judge_online(history: &History) -> Result<(Duration, u64, u64, u64), String> {
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

/// Compares chain checker and search on a short history with one stale read, for which a search must try every order.
fn compare_with_search(limit: Duration) -> Result<(), String> {
    let shape = Shape { stale_read: true, ..Shape::contended(1_000, 10, 0.05) };
    let history = history(shape);
    outln!("1,000 ops, 10 processes, 5 % unknown, one stale read:");
    let began = Instant::now();
    let judged = judge(&history, &Options { checker: Checker::Chain, ..Options::new(&NoSearch) });
    outln!("  chain         {:>10.3} ms  {}", began.elapsed().as_secs_f64() * 1e3, judged.linearizability.verdict);
    let search = crate::search::ChildProcess { time: limit, ..crate::search::ChildProcess::default() };
    let began = Instant::now();
    let judged = judge(&history, &Options { checker: Checker::Porcupine, ..Options::new(&search) });
    let note = judged.linearizability.keys.iter().find_map(|k| k.note.clone()).unwrap_or_default();
    outln!("  porcupine-rs  {:>10.3} ms  {} {note}", began.elapsed().as_secs_f64() * 1e3, judged.linearizability.verdict);
    Ok(())
}

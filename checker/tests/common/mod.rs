//! Shared by the tests: small random histories, and an oracle that reads a history without using the checker's code.
#![allow(dead_code, unreachable_pub, unused_imports)]

pub use heckle_checker::differential::{DrawParams, events, question, random, show};
use heckle_history::event::{Header, Invoke};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{Event, History, Names, ProcessId};

/// Number of random histories that a test draws: `HECKLE_DIFF_CASES`, or `default`.
pub fn cases(default: u64) -> u64 {
    std::env::var("HECKLE_DIFF_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// Returns the random generator of case `n` of a test. A failure prints the case so that it can be repeated alone.
pub fn stream(test: &str, n: u64) -> Pcg64 {
    Seed(n).stream(test)
}

/// Pairs events without the rules on processes, because random histories break them.
pub fn paired(events: &[Event]) -> History {
    let mut names = Names::default();
    names.key("k1");
    let mut builder = heckle_history::operation::Builder::new(heckle_history::operation::Keep::OpsOnly);
    for event in events {
        let event = match event.clone() {
            // Every op gets its own process.
            Event::Invoke(i) => Event::Invoke(Invoke { process: ProcessId(i.op.0 as u32), ..i }),
            other => other,
        };
        builder.add(event).expect("random histories are well-formed");
    }
    builder.finish(Header::default(), names, vec![])
}

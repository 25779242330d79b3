//! What the tests share: small random histories, and an oracle that reads a history without the checker's help.
#![allow(dead_code, unreachable_pub, unused_imports)]

pub use heckle_checker::differential::{Spice, events, question, random, show};
use heckle_history::event::{Header, Invoke};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{Event, History, Names, ProcessId};

/// How many random histories a test draws: `HECKLE_DIFF_CASES`, or `default`.
pub fn cases(default: u64) -> u64 {
    std::env::var("HECKLE_DIFF_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// The generator of case `n` of a test; printed by a failure, it replays that case alone.
pub fn stream(test: &str, n: u64) -> Pcg64 {
    Seed(n).stream(test)
}

/// Pairs events without the rules on processes, which random lies break.
pub fn paired(events: &[Event]) -> History {
    let mut names = Names::default();
    names.key("k1");
    let mut builder = heckle_history::operation::Builder::new(heckle_history::operation::Keep::OpsOnly);
    for event in events {
        let event = match event.clone() {
            // Every op gets a process of its own.
            Event::Invoke(i) => Event::Invoke(Invoke { process: ProcessId(i.op.0 as u32), ..i }),
            other => other,
        };
        builder.add(event).expect("random histories are well-formed");
    }
    builder.finish(Header::default(), names, vec![])
}

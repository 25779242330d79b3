//! The checker: pure checks of a recorded history.
//!
//! Nothing in this crate reads a clock, a file or a socket: a verdict is a function of the history and the given
//! limits. Three questions are kept separate: what the history proves ([`judge`](judge::judge)), whether it is good
//! evidence ([`checks::vacuity`], [`coverage`]), and in what context a violation occurred ([`explain`]). Modules in
//! reading order:
#![forbid(unsafe_code)]
#![warn(clippy::iter_over_hash_type)]

pub mod bench; // large histories for measuring the checkers
pub mod checks; // availability, recovery, liveness, durability, acknowledged, crash, vacuity
pub mod coverage; // whether enough happened to make a valid verdict meaningful
mod window; // the load window of a history
pub mod fairness; // shares, waiting times and starvation of clients
pub mod explain; // explains a violation as text, events and a timeline
pub mod differential; // the engines compared on random histories
pub mod judge; // judges a whole history: selects the engine for each key
pub mod linearizable; // one key of unique values: chain checker, certificates, their verifier, reasons
pub mod online; // the same check event by event, in bounded memory
pub mod objects; // one key of a set, list, queue, lock or counter: scans, certificates, their verifier
pub mod search; // search for all other keys: models, porcupine-rs in a child process, brute force
pub mod verdict; // the types of a verdict: verdict, violation, key report

pub use coverage::{Coverage, Rule, RuleResult};
pub use judge::{Checker, Judgement, Options, judge, judge_model};
pub use online::OnlineJudge;
pub use search::{InProcess, SearchAnswer, SearchReply, SearchRequest, SearchRunner};
pub use verdict::{Engine, Explanation, KeyReport, Linearizability, Verdict, Violation, ViolationKind};

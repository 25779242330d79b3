//! Judges: pure checks of a recorded history.
//!
//! Nothing in here reads a clock, a file or a socket: a verdict is a function of the history and of the budgets
//! handed in. Three things are kept apart: what the history proves ([`judge`](judge::judge)), what makes it good
//! evidence ([`checks::vacuity`], [`coverage`]), and what was near it ([`explain`]). Modules in reading order:
#![forbid(unsafe_code)]
#![warn(clippy::iter_over_hash_type)]

pub mod bench;
pub mod checks; // availability, recovery, liveness, durability, acknowledged, crash, vacuity
pub mod coverage; // did enough happen for a valid verdict to mean something
pub mod fairness; // who got how much, who waited how long, whether somebody starved
pub mod explain; // a violation in words, events and a picture
pub mod differential; // the engines compared on random histories
pub mod judge; // a whole history to a judgement: which engine judges which key
pub mod linearizable; // one key of unique values: chain checker, certificates, their verifier, reasons
pub mod online; // the same judgement event by event, in bounded memory
pub mod objects; // one key of a set, list, queue, lock or counter: scans, certificates, their verifier
pub mod search; // everything else: models, porcupine-rs in a child, brute force
pub mod verdict; // the words of a judgement: verdict, violation, key report // histories by the million, for measuring the checkers

pub use coverage::{Coverage, Rule, RuleResult};
pub use judge::{Checker, Judgement, Options, judge, judge_model};
pub use online::OnlineJudge;
pub use search::{InProcess, SearchAnswer, SearchReply, SearchRequest, SearchRunner};
pub use verdict::{Engine, Explanation, KeyReport, Linearizability, Verdict, Violation, ViolationKind};

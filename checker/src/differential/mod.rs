//! Compares three engines on the same small random histories: the chain checker with its certificate verifier, brute
//! force, and porcupine-rs. They share no code, so agreement on millions of histories makes errors unlikely.
//!
//! A case depends only on the seed and its number, so each case can be regenerated individually.

mod draw; // small random histories
mod forms; // converts a history to a question, to events and to text
mod objects; // sets, lists, queues, counters and locks: the scans compared with brute force

pub use draw::{DrawParams, random};
pub use forms::{events, question, show};
pub use objects::{MODELS, ObjectSpice, compare_object, correct_history, drop_outcomes, mark_failed, mutate, object_case, show_object};

use crate::judge::{Checker, Options, judge};
use crate::linearizable::certificate::Certificate;
use crate::search::{NoSearch, SearchAnswer, brute, porcupine};
use crate::verdict::Verdict;
use heckle_history::prng::Seed;
use heckle_history::{Event, History, ProcessId};
use rand::RngExt;

/// Maximum number of brute-force steps per case; the largest cases need several thousand.
const STEPS: u64 = 20_000_000;

/// One history to be compared.
#[derive(Debug, Clone)]
pub struct Case {
    /// Number of the case.
    pub number: u64,
    /// The history.
    pub history: History,
    /// Whether resolved fates are used.
    pub fates: bool,
}

/// Draws case `number` of a seed.
pub fn case(seed: Seed, number: u64) -> Case {
    let mut rng = seed.stream(&format!("differential {number}"));
    let fates = rng.random_bool(0.5);
    let ops = if rng.random_bool(0.2) { 16 } else { 10 };
    let silent = rng.random_bool(0.25);
    Case { number, history: random(&mut rng, DrawParams { ops, silent, fates }), fates }
}

/// Judges a history, with or without fates; returns an error if the engine contradicts itself.
pub type Engine = fn(&History, bool) -> Result<Verdict, String>;

/// The engines that are compared.
#[derive(Debug, Clone, Copy)]
pub struct Engines {
    /// The chain checker with a verified certificate. Only this engine may leave a case open, if a refusal does not
    /// report the value found.
    pub chain: Engine,
    /// Brute force.
    pub brute: Engine,
    /// porcupine-rs.
    pub porcupine: Engine,
}

impl Default for Engines {
    fn default() -> Self {
        Engines { chain, brute, porcupine }
    }
}

/// Judges with the chain checker. [`judge`] returns only certificates that the verifier accepted.
fn chain(history: &History, fates: bool) -> Result<Verdict, String> {
    let judged = judge(history, &Options { checker: Checker::Chain, use_fates: fates, ..Options::new(&NoSearch) });
    let report = &judged.linearizability;
    match report.verdict {
        Verdict::Unknown if report.keys.iter().any(|k| k.outside.is_none()) => {
            return Err(format!("unknown, though the history is inside the fragment: {:?}", report.keys));
        }
        Verdict::Unknown => return Ok(Verdict::Unknown),
        Verdict::Invalid if !report.violations.iter().all(|v| v.certified && !v.explanation.summary.is_empty()) => {
            return Err(format!("a contradiction that brute force does not refute again, or without words: {:?}", report.violations));
        }
        Verdict::Invalid | Verdict::Valid => {}
    }
    let proofs: Vec<bool> = judged.certificates.iter().map(|(_, c)| matches!(c, Certificate::Valid(_))).collect();
    if proofs != vec![report.verdict == Verdict::Valid; report.keys.len()] {
        return Err(format!("verdict {} with certificates {proofs:?}", report.verdict));
    }
    Ok(report.verdict)
}

fn brute(history: &History, fates: bool) -> Result<Verdict, String> {
    match brute::order(&question(history, fates), STEPS) {
        Some(Some(_)) => Ok(Verdict::Valid),
        Some(None) => Ok(Verdict::Invalid),
        None => Err(format!("no answer within {STEPS} steps")),
    }
}

fn porcupine(history: &History, fates: bool) -> Result<Verdict, String> {
    match porcupine::search(&question(history, fates)).answer {
        SearchAnswer::Valid => Ok(Verdict::Valid),
        SearchAnswer::Invalid => Ok(Verdict::Invalid),
        SearchAnswer::GaveUp => Err("gave up".to_owned()),
    }
}

/// Compares the engines on one case. Returns the verdict on which they agree, or [`Verdict::Unknown`] if the chain checker
/// leaves the case open.
///
/// # Errors
/// Returns the verdict of each engine if they disagree.
pub fn compare(case: &Case, engines: &Engines) -> Result<Verdict, String> {
    let of = |engine: Engine| engine(&case.history, case.fates);
    let (chain, brute, porcupine) = (of(engines.chain), of(engines.brute), of(engines.porcupine));
    match (&chain, &brute, &porcupine) {
        (Ok(Verdict::Unknown), Ok(a), Ok(b)) if a == b => Ok(Verdict::Unknown),
        (Ok(verdict), Ok(a), Ok(b)) if verdict == a && a == b => Ok(*verdict),
        _ => {
            let say = |said: &Result<Verdict, String>| said.as_ref().map_or_else(|e| format!("error: {e}"), ToString::to_string);
            Err(format!("chain checker {}, brute force {}, porcupine-rs {}", say(&chain), say(&brute), say(&porcupine)))
        }
    }
}

/// Returns a case as events for a file that can be read again. Every op gets a separate process, since the mutations of
/// a random history break the rules on processes.
pub fn file_events(case: &Case) -> Vec<Event> {
    let mut history = case.history.clone();
    for (op, process) in history.ops.iter_mut().zip(0u32..) {
        op.process = ProcessId(process);
    }
    if !case.fates {
        history.fates.clear();
    }
    events(&history)
}

//! Produces the contents of a run folder from a recorded history: judgement, figures, charts, results.
//!
//! Uses only that file, so that `heckle check` and `heckle report` produce the same results as `heckle run`.

use crate::load::live::Live;
use crate::read_ahead::ReadAhead;
use crate::search::{ChildProcess, SecondOpinions, TimedSearch};
use heckle_checker::checks::{self, CheckResult, acknowledged, crash};
use heckle_checker::coverage::{self, Rule};
use heckle_checker::judge::{Checker, Judgement, Options, judge};
use heckle_checker::search::SearchRunner;
use heckle_checker::verdict::Engine;
use heckle_checker::{Coverage, Verdict, explain};
use heckle_history::operation::{History, Keep};
use heckle_history::printable::printable;
use heckle_history::reader::{Decompressed, ReadError, Reader};
use heckle_history::writer::write_plain;
use heckle_history::{KeyId, Nanos};
use heckle_results::measure::{Measured, analyze};
use heckle_results::results_json::Violation;
use heckle_results::{Results, RunFolder, counterexample};
use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

/// Lists the fault and node events, one per line, for `heckle.log`.
pub fn log(history: &History) -> String {
    let mut lines: Vec<(Nanos, String)> = vec![];
    for f in &history.faults {
        let evidence = serde_json::to_string(&f.evidence).unwrap_or_default();
        lines.push((f.t, format!("fault {} {} {} {:?} {evidence}", f.id, f.kind, f.targets.join(" "), f.state)));
    }
    // State figures, recorded once a second, would drown out the other events.
    for n in history.node_events.iter().filter(|n| &*n.what != heckle_history::event::STATE) {
        let detail = serde_json::to_string(&n.detail).unwrap_or_default();
        lines.push((n.t, format!("node {} {} {detail}", history.names.node_name(n.node), n.what)));
    }
    lines.sort_by_key(|(t, _)| *t);
    lines.into_iter().map(|(t, line)| format!("{t} {}\n", printable(&line))).collect()
}

/// Options for judging a history.
#[derive(Debug, Clone, Copy)]
pub struct JudgeOptions {
    /// The engines to use.
    pub checker: Checker,
    /// Whether a history with too little evidence is unknown, instead of valid with a warning.
    pub strict: bool,
}

/// A history with all findings.
pub struct Judged {
    /// The history.
    pub history: History,
    /// The verdict on linearizability.
    pub judgement: Judgement,
    /// Results of the other checks.
    pub checks: Vec<CheckResult>,
    /// Nodes that crashed.
    pub crashes: Vec<crash::Crash>,
    /// Whether the coverage rules were met.
    pub coverage: Coverage,
    /// Figures measured from it.
    pub measured: Measured,
}

/// Reads a history of our own format, plain or zstd.
///
/// # Errors
/// Describes what is wrong with the file, and in which line.
pub fn read_history(path: &Path) -> Result<History, String> {
    read_history_within(path, crate::history_file::own_bytes(None)?)
}

/// Like [`read_history`], limited to `max_bytes` after decompression.
///
/// # Errors
/// Describes what is wrong with the file, and in which line.
pub fn read_history_within(path: &Path, max_bytes: u64) -> Result<History, String> {
    let size = std::fs::metadata(path).map_or(0, |m| m.len());
    if size > LARGE_BYTES {
        let mib = |bytes: u64| bytes >> 20;
        errln!(
            "{} has {} MiB; plain it takes some {} times as much memory, compressed up to {}; read up to {} MiB (--max-bytes)",
            path.display(),
            mib(size),
            MEMORY_PER_BYTE,
            10 * MEMORY_PER_BYTE,
            mib(max_bytes)
        );
    }
    let at = |e: ReadError| format!("{}, {e}", path.display());
    let text = Decompressed::new(crate::history_file::open(path)?).map_err(|e| at(e.into()))?;
    let reader = Reader::of_text(ReadAhead::new(text)?, max_bytes).map_err(at)?;
    History::read_all(reader, Keep::Details).map_err(at)
}

/// Size of a history from which its memory needs are announced before it is read.
const LARGE_BYTES: u64 = 256 << 20;

/// Memory of a history and its judge in bytes for each byte of text, rounded up.
const MEMORY_PER_BYTE: u64 = 4;

/// Judges `history` by `rules`. `live` displays the active engine.
pub fn judge_history(history: History, rules: &[Rule], how: JudgeOptions, live: Option<&Live>) -> Judged {
    let (search, within_limits) = (ChildProcess::default(), SecondOpinions::default());
    let second: &dyn SearchRunner = if how.checker == Checker::Both { &search } else { &within_limits };
    let second = TimedSearch::new(second, live);
    let limits = checks::Limits { strict_vacuity: how.strict, ..checks::Limits::default() };
    let measure = || (checks::all_but_acknowledged(&history, &limits), coverage::evaluate(&history, rules), analyze(&history));
    let (mut judgement, took, (others, coverage, measured)) = std::thread::scope(|scope| {
        // The figures do not depend on the verdict, so measure them in parallel. If no thread can be started,
        // they are measured afterwards.
        let measuring = std::thread::Builder::new().name("measure".into()).spawn_scoped(scope, measure);
        let began = Instant::now();
        let judgement = judge(&history, &Options { checker: how.checker, second: &second, ..Options::new(&search) });
        let took = began.elapsed();
        let measured = measuring.map_or_else(|_| measure(), |thread| thread.join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
        (judgement, took, measured)
    });
    judgement.linearizability.check_ms = Some(took.saturating_sub(second.total_time()).as_millis() as u64);
    judgement.linearizability.second_opinion_ms = second.was_used().then(|| second.total_time().as_millis() as u64);
    let certified = judgement.linearizability.keys.iter().filter(|key| key.verdict == Verdict::Valid && key.engine != Engine::Search);
    let proved: HashSet<KeyId> = certified.filter_map(|key| history.names.find_key(&key.key)).collect();
    let checks = checks::with_acknowledged(others, acknowledged::check_given(&history, &proved));
    let crashes = crash::crashes(&history);
    Judged { history, judgement, checks, crashes, coverage, measured }
}

impl Judged {
    /// Copies all findings into `results`.
    pub fn add_to(&self, results: &mut Results) {
        let detected_ms = results.linearizability.detected_ms;
        results.set_measured(&self.measured, &self.history);
        results.set_judgement(&self.judgement.linearizability, &self.checks, &self.coverage);
        results.linearizability.detected_ms = detected_ms;
        results.set_crashes(&self.crashes);
        results.warnings.extend(self.history.warnings.iter().cloned());
    }

    /// Writes the counterexamples: explanation, ops, certificate, page and picture.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_violations(&self, folder: &RunFolder) -> std::io::Result<()> {
        let drawn = counterexample::Subject { history: &self.history, measured: &self.measured, report: "../../report.html" };
        for violation in &self.judgement.linearizability.violations {
            let at = |file: &str| format!("violations/{}/{file}", violation.id);
            folder.write(&at("explain.txt"), explain::text(&self.history, violation).as_bytes())?;
            folder.write(&at("certificate.json"), explain::certificate_json(violation).as_bytes())?;
            let recorded = Violation::from(violation);
            folder.write(&at("timeline.html"), drawn.page(&recorded).as_bytes())?;
            if let Some(argument) = counterexample::of_violation(&self.history, &recorded) {
                folder.write(&at("counterexample.png"), &counterexample::png(&argument))?;
            }
            let mut minimal = vec![];
            let (header, events) = explain::minimal_events(&self.history, violation);
            write_plain(&mut minimal, &header, &self.history.names, &events)?;
            folder.write(&at("minimal.jsonl"), &minimal)?;
        }
        let mut results = Results { linearizability: (&self.judgement.linearizability).into(), ..Results::default() };
        results.set_crashes(&self.crashes);
        for (crash, recorded) in self.crashes.iter().zip(&results.crashes) {
            let at = |file: &str| format!("{}/{file}", recorded.path);
            let argument = counterexample::of_crash(&self.history, recorded);
            let words = format!("{}\n{}", crash::text(recorded.id, crash), explain::argument::text(&argument));
            folder.write(&at("explain.txt"), words.as_bytes())?;
            folder.write(&at("timeline.html"), drawn.crash_page(recorded).as_bytes())?;
            folder.write(&at("counterexample.png"), &counterexample::png(&argument))?;
        }
        Ok(())
    }
}

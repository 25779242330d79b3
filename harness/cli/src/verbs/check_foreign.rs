//! `heckle check --format`: judges another tool's history by the given model.

use super::run::engine;
use super::verdict::{exit_code, print_linearizability};
use crate::cli::CheckArgs;
use crate::history_file;
use crate::search::{ChildProcess, SecondOpinions, TimedSearch};
use heckle_checker::judge::{Checker, Options};
use heckle_checker::search::{ForeignJudgement, JudgeForeign, ModelKind, judge_foreign};
use heckle_history::foreign::{self, Foreign, ForeignOp, ForeignOutcome, Format, ReadOptions, Summary};
use heckle_history::printable::{block, printable};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// Runs the verb on a foreign file.
pub(super) fn main(args: &CheckArgs, format: &str, path: &Path) -> ExitCode {
    match check(args, format, path) {
        Ok((understood, judged)) => {
            if args.output.json {
                outln!("{}", json(&understood, &judged, path));
            } else {
                print_report(&understood, &judged, path);
            }
            exit_code(judged.verdict)
        }
        Err(e) => super::usage("check", &e),
    }
}

fn check(args: &CheckArgs, format: &str, path: &Path) -> Result<(InputSummary, ForeignJudgement), String> {
    let parsed: Format = format.parse()?;
    let model: ModelKind = args.model.as_deref().unwrap_or("cas-register").parse()?;
    let key_from = args.key_from.as_deref().unwrap_or("auto").parse().map_err(|e| format!("--key-from {e}"))?;
    // Text that is not JSON is interpreted as a string, so that `--initial a` needs no nested quotes.
    let initial = args.initial.as_ref().map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.clone().into()));
    let at = |e: heckle_history::reader::ReadError| format!("{}, {e}", path.display());
    let options = ReadOptions { max_bytes: history_file::foreign_bytes(args.max_bytes.as_deref())?, lenient: args.lenient, key_from };
    let history = foreign::read_with(parsed, history_file::open(path)?, options).map_err(at)?;
    let (search, second) = (ChildProcess::default(), SecondOpinions::default());
    let second = TimedSearch::new(&second, None);
    let options = Options { checker: args.checker.map_or(Checker::Auto, engine), second: &second, ..Options::new(&search) };
    let how = JudgeForeign { model, initial: initial.as_ref(), lenient: args.lenient, strict: args.strict, options };
    let mut understood = InputSummary::of(format, model, &history);
    let began = Instant::now();
    let mut judged = judge_foreign(history, &how).map_err(at)?;
    judged.linearizability.check_ms = Some(began.elapsed().saturating_sub(second.total_time()).as_millis() as u64);
    judged.linearizability.second_opinion_ms = second.was_used().then(|| second.total_time().as_millis() as u64);
    understood.values.clone_from(&judged.values);
    understood.initial = initial.as_ref().filter(|v| !v.is_null()).map(ToString::to_string);
    Ok((understood, judged))
}

/// How the file was interpreted. It is printed so that a user notices a wrong interpretation.
#[derive(Debug, serde::Serialize)]
struct InputSummary {
    format: String,
    model: String,
    keys: usize,
    keys_from: &'static str,
    processes: usize,
    order: &'static str,
    values: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial: Option<String>,
    lines_of_clients: u64,
    lines_of_the_nemesis: u64,
    lines_of_other_loggers: u64,
    lines_passed_over: u64,
    ops: BTreeMap<String, Count>,
}

/// Numbers of ops of one kind, by outcome.
#[derive(Debug, Default, serde::Serialize)]
struct Count {
    ok: u64,
    failed: u64,
    unknown: u64,
}

impl InputSummary {
    fn of(format: &str, model: ModelKind, foreign: &Foreign) -> InputSummary {
        let Summary { keys, order, events, nemesis, other_lines, passed, .. } = &foreign.summary;
        let mut ops: BTreeMap<String, Count> = BTreeMap::new();
        for op in &foreign.ops {
            let count = ops.entry(op.f.clone()).or_default();
            match &op.outcome {
                ForeignOutcome::Ok(_) | ForeignOutcome::Refused(_) => count.ok += 1,
                ForeignOutcome::Failed => count.failed += 1,
                ForeignOutcome::Unknown => count.unknown += 1,
            }
        }
        let distinct = |of: fn(&ForeignOp) -> String| foreign.ops.iter().map(of).collect::<BTreeSet<_>>().len();
        InputSummary {
            format: format.to_owned(),
            model: model.word().to_owned(),
            keys: distinct(|op| op.key.clone()),
            keys_from: keys.words(),
            processes: distinct(|op| op.process.to_string()),
            order: order.words(),
            values: String::new(),
            initial: None,
            lines_of_clients: *events,
            lines_of_the_nemesis: *nemesis,
            lines_of_other_loggers: *other_lines,
            lines_passed_over: *passed,
            ops,
        }
    }
}

fn json(understood: &InputSummary, judged: &ForeignJudgement, path: &Path) -> String {
    let mut linearizability = serde_json::to_value(&judged.linearizability).expect("plain data has a JSON form");
    for (violation, entry) in
        judged.linearizability.violations.iter().zip(linearizability["violations"].as_array_mut().into_iter().flatten())
    {
        entry["meaning"] = violation.kind.meaning().into();
    }
    let value = serde_json::json!({
        "schema": "heckle.check/1",
        "history": path.display().to_string(),
        "verdict": judged.verdict,
        "linearizability": linearizability,
        "understood": understood,
        "checked_ops": judged.checked,
        "counts": judged.counts,
        "warnings": judged.warnings,
    });
    serde_json::to_string_pretty(&value).expect("plain data has a JSON form")
}

fn print_report(understood: &InputSummary, judged: &ForeignJudgement, path: &Path) {
    let u = understood;
    judged.warnings.iter().for_each(|w| errln!("warning: {}", block(w)));
    outln!("history      {}: {} as {}", printable(&path.display().to_string()), u.format, u.model);
    let kinds = u.ops.iter().map(|(f, c)| format!("{} {} ok {} failed {} unknown", printable(f), c.ok, c.failed, c.unknown));
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    outln!("ops          {}", if kinds.is_empty() { "none" } else { &kinds });
    outln!("processes    {}, on {} keys: {}", u.processes, u.keys, u.keys_from);
    let initial = u.initial.as_ref().map_or(String::new(), |value| format!(", each key at first {value}"));
    outln!("values       {}{}", u.values, printable(&initial));
    outln!("lines        {} of clients, {}; {} of the nemesis", u.lines_of_clients, u.order, u.lines_of_the_nemesis);
    if u.lines_of_other_loggers + u.lines_passed_over > 0 {
        outln!("passed over  {} lines of other loggers, {} by --lenient", u.lines_of_other_loggers, u.lines_passed_over);
    }
    if !judged.counts.0.is_empty() {
        outln!("counted      {}", judged.counts.words());
    }
    print_linearizability(&judged.linearizability);
    outln!("\nverdict: {}", judged.verdict);
}

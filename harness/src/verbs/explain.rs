//! `heckle explain`: a counterexample in words.

use crate::cli::ExplainArgs;
use heckle_results::input;
use heckle_results::results_json::{Results, Verdict};
use heckle_results::{RunFolder, tell};
use std::process::ExitCode;

/// Runs the verb.
pub(super) fn main(args: &ExplainArgs) -> ExitCode {
    match explain(args) {
        Ok(text) => {
            outln!("{text}");
            ExitCode::SUCCESS
        }
        Err(e) => super::usage("explain", &e),
    }
}

fn explain(args: &ExplainArgs) -> Result<String, String> {
    let folder = RunFolder::find(&args.out.out, &args.run).map_err(|e| e.to_string())?;
    let results = folder.read_results().map_err(|e| e.to_string())?;
    if results.linearizability.violations.is_empty() {
        return Ok(nothing_to_explain(&results));
    }
    let known: Vec<String> = results.linearizability.violations.iter().map(|v| v.id.to_string()).collect();
    if !known.contains(&args.violation.to_string()) {
        let run = heckle_results::rerun::quote(&args.run);
        return Err(format!(
            "there is no violation {}; there are: {}; type `heckle explain {run} --violation {}`",
            args.violation,
            known.join(", "),
            known[0]
        ));
    }
    let path = folder.violation(args.violation).join("explain.txt");
    let text = input::text(&path, input::WORDS)
        .map_err(|e| format!("cannot read {}: {e}; `heckle check` judges the history again", path.display()))?;
    let timeline = folder.violation(args.violation).join("timeline.html");
    // A path is never broken: it is there to be copied.
    let told = tell::explanation(text.trim_end(), super::fitting());
    Ok(format!("{told}\ntimeline: {}\nnext: open {} in a browser", timeline.display(), folder.report().display()))
}

fn nothing_to_explain(results: &Results) -> String {
    match results.linearizability.verdict {
        Verdict::Valid => "there is nothing to explain: one order explains every answer".into(),
        Verdict::Unknown | Verdict::Invalid => format!("there is no counterexample: {}", results.reasons.join("; ")),
    }
}

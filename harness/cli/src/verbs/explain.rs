//! `heckle explain`: explains a run's verdict in words.

use crate::cli::ExplainArgs;
use crate::history_file;
use crate::run::recheck;
use heckle_history::printable::visible;
use heckle_results::results_json::Results;
use heckle_results::{RunFolder, explain, input, terminal_report};
use std::process::ExitCode;

/// Runs the verb.
pub(super) fn main(args: &ExplainArgs) -> ExitCode {
    match explanation(args) {
        Ok(text) => {
            outln!("{text}");
            ExitCode::SUCCESS
        }
        Err(e) => super::usage("explain", &e),
    }
}

fn explanation(args: &ExplainArgs) -> Result<String, String> {
    let folder = RunFolder::find(&args.out.out, &args.run).map_err(|e| e.to_string())?;
    // If there are no results, the verdict comes from the history.
    let results = match folder.read_results() {
        Ok(results) => results,
        Err(_) => recheck::of_folder(&folder, None, history_file::own_bytes(None)?)?.results,
    };
    if results.linearizability.violations.is_empty() && results.crashes.is_empty() {
        let explanation = terminal_report::explanation(explain::text(&results).trim_end(), super::line_width());
        return Ok(format!("{explanation}\n{}", last_lines(&folder, &results)));
    }
    let ids = results.linearizability.violations.iter().map(|v| v.id).chain(results.crashes.iter().map(|c| c.id));
    let known: Vec<String> = ids.map(|id| id.to_string()).collect();
    if !known.contains(&args.violation.to_string()) {
        let run = heckle_results::rerun::quote(&args.run);
        return Err(format!(
            "there is no violation {}; available: {}; type `heckle explain {run} --violation {}`",
            args.violation,
            known.join(", "),
            known[0]
        ));
    }
    let path = folder.violation(args.violation).join("explain.txt");
    let text = input::text(&path, input::WORDS)
        .map_err(|e| format!("cannot read {}: {e}; `heckle report` writes it anew from the history", path.display()))?;
    if results.crashes.iter().any(|c| c.id == args.violation) {
        // Log lines are not wrapped, so that they can be searched.
        let pictures = pictures(&folder, args.violation);
        return Ok(format!("{}\n\n{pictures}{}", visible(&text).trim_end(), last_lines(&folder, &results)));
    }
    let text = format!("{}\n\n{}", text.trim_end(), explain::proofs(&results));
    let explanation = terminal_report::explanation(text.trim_end(), super::line_width());
    Ok(format!("{explanation}\n{}{}", pictures(&folder, args.violation), last_lines(&folder, &results)))
}

/// Lists the pictures of a violation. Paths are not wrapped, so that they can be copied.
fn pictures(folder: &RunFolder, violation: u32) -> String {
    let at = folder.violation(violation);
    let line = |what: &str, file: &str| Some(at.join(file)).filter(|f| f.is_file()).map(|f| format!("{what}: {}\n", f.display()));
    [line("picture", "counterexample.png"), line("step through it", "timeline.html")].into_iter().flatten().collect()
}

fn last_lines(folder: &RunFolder, results: &Results) -> String {
    format!("verdict: {}\nnext: open {} in a browser", results.verdict.word().replace('_', " "), folder.report().display())
}

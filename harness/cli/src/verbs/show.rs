//! `heckle show` and `heckle list`: print runs and comparisons from their results alone.

use crate::cli::{ListArgs, ShowArgs};
use crate::run::report::read_history;
use heckle_results::compare::Comparison;
use heckle_results::compare::folder::CompareFolder;
use heckle_results::compare::text;
use heckle_results::summary::View;
use heckle_results::{RunFolder, index, measure, summary, terminal_report};
use std::process::ExitCode;

/// Maximum number of clients to show.
const CLIENTS: usize = 20;

/// `heckle show`.
pub(super) fn show(args: &ShowArgs) -> ExitCode {
    if args.slowest.is_some() || args.during || args.clients {
        return match history_view(args) {
            Ok(text) => {
                out!("{text}");
                ExitCode::SUCCESS
            }
            Err(e) => super::usage("show", &e),
        };
    }
    match CompareFolder::find(&args.out.out, &args.run).map_err(|e| e.to_string()).and_then(|f| f.map(|f| Ok((f.read()?, f))).transpose()) {
        Ok(None) => {}
        Ok(Some((comparison, _))) if args.voice.json => {
            outln!("{}", comparison.to_json().trim_end());
            return ExitCode::SUCCESS;
        }
        Ok(Some((comparison, folder))) => {
            let shown = folder.root().display().to_string();
            out!("{}", text::text(&comparison, View { folder: &shown, width: super::width(), colour: super::colour() }));
            return ExitCode::SUCCESS;
        }
        Err(e) => return super::usage("show", &e),
    }
    let found = RunFolder::find(&args.out.out, &args.run).and_then(|folder| folder.read_results().map(|r| (folder, r)));
    match found {
        Ok((_, results)) if args.voice.json => {
            outln!("{}", results.to_json());
            ExitCode::SUCCESS
        }
        Ok((folder, results)) => {
            out!("{}", super::summary_of(&folder, &results));
            ExitCode::SUCCESS
        }
        Err(e) => super::usage("show", &e.to_string()),
    }
}

/// The views that need the history.
fn history_view(args: &ShowArgs) -> Result<String, String> {
    let folder = RunFolder::find(&args.out.out, &args.run).map_err(|e| e.to_string())?;
    let history = read_history(&folder.history())?;
    let (measured, width) = (measure::analyze(&history), super::line_width());
    Ok(match args.slowest {
        Some(wanted) => terminal_report::slowest(&history, &measured, wanted, width),
        None if args.during => terminal_report::faults(&history, &measured, width),
        None => terminal_report::clients(&history, &measured, CLIENTS, width),
    })
}

/// `heckle list`.
pub(super) fn list(args: &ListArgs) -> ExitCode {
    match listed(args) {
        Ok(words) => {
            out!("{words}");
            ExitCode::SUCCESS
        }
        Err(e) => super::usage("list", &format!("cannot read the index below {}: {e}", args.out.out.display())),
    }
}

fn listed(args: &ListArgs) -> std::io::Result<String> {
    let out = &args.out.out;
    let pretty = |json: serde_json::Result<String>| json.expect("plain data has a JSON form") + "\n";
    if args.voice.json && !args.comparisons {
        return Ok(pretty(serde_json::to_string_pretty(&index::read(out)?)));
    }
    let named = |f: CompareFolder| (f.path_below(out).display().to_string(), f.read());
    let comparisons: Vec<(String, Result<Comparison, String>)> = CompareFolder::all(out)?.into_iter().map(named).collect();
    if args.voice.json {
        let line = |(path, read): &(String, Result<Comparison, String>)| match read {
            Ok(c) => serde_json::json!({
                "path": path,
                "name": c.name,
                "status": c.status,
                "exit_code": c.exit_code,
                "arms": c.arms.iter().map(|a| &a.name).collect::<Vec<_>>(),
                "pairs": c.design.pairs,
                "verdict": c.verdict,
            }),
            Err(why) => serde_json::json!({"path": path, "damaged": why}),
        };
        return Ok(pretty(serde_json::to_string_pretty(&comparisons.iter().map(line).collect::<Vec<_>>())));
    }
    let (width, colour) = (super::width(), super::colour());
    let of_comparisons = text::list(&comparisons, width, colour);
    if args.comparisons {
        return Ok(of_comparisons);
    }
    let runs = summary::list(&index::read(out)?, width, colour);
    // Users without comparisons do not need the hint.
    Ok(if comparisons.is_empty() { runs } else { format!("{runs}\n{of_comparisons}") })
}

//! `heckle list`: lists runs, suites, comparisons and sweeps, with filters. Runs that belong to a suite, comparison or sweep
//! are hidden without `--all`, since a nightly suite has hundreds.

use crate::cli::ListArgs;
use crate::exit;
use heckle_history::printable::printable;
use heckle_results::catalogue::{Catalogue, Entry};
use heckle_results::compare::Comparison;
use heckle_results::compare::folder::CompareFolder;
use heckle_results::compare::text;
use heckle_results::filter::{self, Filter, Kind};
use heckle_results::index::RunLine;
use heckle_results::utc::UnixSeconds;
use heckle_results::{groups, summary};
use serde_json::{Value as Json, json};
use std::io;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Maximum number of names in a hint.
const MAX_NAMES: usize = 12;

/// Runs the verb.
pub(super) fn main(args: &ListArgs) -> ExitCode {
    let filter = match filter_of(args) {
        Ok(filter) => filter,
        Err(e) => return super::usage("list", &e),
    };
    let listed = Catalogue::read(&args.out.out).and_then(|all| Ok((listed(args, &all, &filter)?, hint(&all, &filter))));
    match listed {
        Ok((words, hint)) => {
            out!("{words}");
            if !args.output.quiet {
                hint.iter().for_each(|line| errln!("{line}"));
            }
            ExitCode::from(exit::OK)
        }
        Err(e) => super::usage("list", &format!("cannot read the index below {}: {e}", args.out.out.display())),
    }
}

fn filter_of(args: &ListArgs) -> Result<Filter, String> {
    let now = UnixSeconds(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()));
    let since = args.since.as_deref().map(|text| filter::since(text, now)).transpose().map_err(|e| format!("--since {e}"))?;
    let kinds = match (args.comparisons, args.kind.is_empty(), args.output.json) {
        (true, _, _) => vec![Kind::Comparison],
        // Scripts expect runs.
        (false, true, true) => vec![Kind::Run],
        (false, true, false) => vec![],
        (false, false, _) => args.kind.clone(),
    };
    Ok(Filter { kinds, plans: args.plan.clone(), verdicts: args.verdict.clone(), since, all: args.all })
}

fn listed(args: &ListArgs, all: &Catalogue, filter: &Filter) -> io::Result<String> {
    let of = |kind: Kind| all.shown(filter).filter(move |e| e.kind == kind).collect::<Vec<&Entry>>();
    if args.output.json && !args.comparisons {
        return Ok(pretty(&all.shown(filter).map(as_json).collect::<Vec<_>>()));
    }
    let shown = of(Kind::Comparison);
    let out = &args.out.out;
    let named = |f: CompareFolder| (f.path_below(out).display().to_string(), f.read());
    let is_shown = |(path, _): &(String, Result<Comparison, String>)| shown.iter().any(|e| e.path == *path);
    let comparisons: Vec<_> = CompareFolder::all(out)?.into_iter().map(named).filter(is_shown).collect();
    if args.output.json {
        return Ok(pretty(&comparisons.iter().map(comparison_json).collect::<Vec<_>>()));
    }
    let (width, colour) = (super::width(), super::colour());
    let runs: Vec<RunLine> = of(Kind::Run).into_iter().filter_map(|e| e.run.clone()).collect();
    let mut parts = vec![];
    if !runs.is_empty() || all.entries.is_empty() && filter.kinds.is_empty() {
        parts.push(summary::list(&runs, width, colour));
    }
    for (kind, heading) in [(Kind::Suite, "suite"), (Kind::Sweep, "sweep")] {
        let entries = of(kind);
        if !entries.is_empty() {
            parts.push(groups::list(heading, &entries, width, colour));
        }
    }
    if !comparisons.is_empty() || args.comparisons && all.entries.is_empty() {
        parts.push(text::list(&comparisons, width, colour));
    }
    Ok(if parts.is_empty() { "nothing matches the filters\n".to_owned() } else { parts.join("\n") })
}

fn pretty(lines: &[Json]) -> String {
    serde_json::to_string_pretty(lines).expect("plain data has a JSON form") + "\n"
}

/// Converts an entry to JSON. A run has the fields of `runs.jsonl`. Other entries have only the fields common to all kinds.
fn as_json(entry: &Entry) -> Json {
    let Some(run) = &entry.run else { return json!(entry) };
    let mut line = json!(run);
    if let Some(part_of) = &entry.part_of {
        line["part_of"] = json!(part_of);
    }
    line
}

fn comparison_json((path, read): &(String, Result<Comparison, String>)) -> Json {
    match read {
        Ok(c) => json!({
            "path": path,
            "name": c.head.name,
            "status": c.head.status,
            "exit_code": c.head.exit_code,
            "arms": c.arms.iter().map(|a| &a.name).collect::<Vec<_>>(),
            "pairs": c.design.pairs,
            "verdict": c.head.verdict,
        }),
        Err(why) => json!({"path": path, "damaged": why}),
    }
}

/// Returns sentences for stderr that state what is missing from the list, and why.
fn hint(all: &Catalogue, filter: &Filter) -> Vec<String> {
    let mut lines = vec![];
    let hidden = all.hidden(filter);
    if hidden > 0 {
        let words = if hidden == 1 {
            "1 run of a suite, comparison or sweep is".to_owned()
        } else {
            format!("{hidden} runs of suites, comparisons and sweeps are")
        };
        lines.push(format!("{words} not shown; --all shows them"));
    }
    let only_plans = Filter { plans: filter.plans.clone(), all: true, ..Filter::default() };
    if !filter.plans.is_empty() && all.shown(&only_plans).next().is_none() && !all.entries.is_empty() {
        let names = all.names();
        let more = if names.len() > MAX_NAMES { ", …" } else { "" };
        let names: Vec<_> = names.iter().take(MAX_NAMES).map(|name| printable(name)).collect();
        lines.push(format!("nothing here has the name {}; there are {}{more}", printable(&filter.plans.join(" or ")), names.join(", ")));
    }
    lines
}

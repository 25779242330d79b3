//! `heckle trend`: writes a page with the history of a suite, and lists the figures that got worse.

use crate::cli::TrendArgs;
use crate::suite::book;
use heckle_history::printable::printable;
use heckle_results::atomic;
use heckle_results::run_folder::slug;
use heckle_results::suite::suite_json::SuiteResults;
use heckle_results::suite::{summary, trend, trend_html};
use std::path::Path;
use std::process::ExitCode;

/// Runs the verb.
pub(super) fn main(args: &TrendArgs) -> ExitCode {
    let out = args.out.out.as_path();
    let names = suite_names(out);
    let name = match (&args.name, names.as_slice()) {
        (Some(name), _) => name.clone(),
        (None, [one]) => one.clone(),
        (None, []) => {
            return super::usage("trend", &format!("there is no suite in {}; `heckle suite quick` makes one", out.display()));
        }
        (None, many) => return super::usage("trend", &format!("name the suite: there are {}", many.join(", "))),
    };
    let nights: Vec<SuiteResults> = book::suites(out, &name).into_iter().map(|(_, s)| s).collect();
    if nights.is_empty() {
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let near = if all.is_empty() { "there is none yet".to_owned() } else { crate::plan::file::did_you_mean(&name, &all) };
        return super::usage("trend", &format!("there is no suite `{name}` in {}; {near}", out.display()));
    }
    let tripped = trend::trips(&nights);
    let path = out.join(slug(&name)).join("trend.html");
    if let Err(e) = atomic::replace(&path, trend_html::page(&nights).as_bytes()) {
        return super::broken("trend", &e.to_string());
    }
    if args.output.json {
        let report = serde_json::json!({"suite": name, "nights": nights.len(), "trips": tripped, "page": path.display().to_string()});
        outln!("{}", serde_json::to_string_pretty(&report).expect("plain data has a JSON form"));
        return ExitCode::SUCCESS;
    }
    for night in &nights {
        let (look, words) = summary::verdict(night);
        outln!(
            "{}  {}  {}",
            night.started_utc,
            super::colour().paint(look, &words),
            printable(night.reasons.first().map_or("", String::as_str))
        );
    }
    for trip in &tripped {
        outln!("{}", summary::trip_words(trip));
    }
    if tripped.is_empty() {
        outln!("no figure tripped");
    }
    outln!("page      {}", path.display());
    ExitCode::SUCCESS
}

/// Returns the names of all suites below `out`, which are the folders that contain a folder with a `suite.json`.
fn suite_names(out: &Path) -> Vec<String> {
    let folders = |p: &Path| std::fs::read_dir(p).into_iter().flatten().flatten().map(|e| e.path()).collect::<Vec<_>>();
    let is_suite = |p: &Path| folders(p).iter().any(|f| f.join(heckle_results::suite::suite_json::FILE).is_file());
    let mut names: Vec<String> = folders(out)
        .into_iter()
        .filter(|p| !p.is_symlink() && is_suite(p))
        .filter_map(|p| p.file_name().map(|n| n.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

//! `heckle diff`: compares two runs.

use crate::cli::DiffArgs;
use heckle_results::input;
use heckle_results::results_json::Results;
use heckle_results::{RunFolder, diff};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Runs the verb.
pub(super) fn main(args: &DiffArgs) -> ExitCode {
    let diff = match compare(args) {
        Ok(diff) => diff,
        Err(e) => return super::usage("diff", &e),
    };
    if args.output.json {
        outln!("{}", serde_json::to_string_pretty(&diff).expect("plain data has a JSON form"));
    } else {
        out!("{}", diff.text(super::width(), super::colour()));
    }
    ExitCode::SUCCESS
}

fn compare(args: &DiffArgs) -> Result<diff::Diff, String> {
    let (a, settings_a) = read(args, &args.a)?;
    let (b, settings_b) = read(args, &args.b)?;
    Ok(diff::of(&a, &b, [&settings_a, &settings_b]))
}

/// Returns a run's results, and its plan's settings by their full names.
fn read(args: &DiffArgs, run: &str) -> Result<(Results, BTreeMap<String, String>), String> {
    let folder = RunFolder::find(&args.out.out, run).map_err(|e| e.to_string())?;
    let results = folder.read_results().map_err(|e| e.to_string())?;
    let path = folder.plan();
    let text =
        input::text(&path, input::PLAN).map_err(|e| format!("cannot read {}: {e}; the run has no plan to compare", path.display()))?;
    let plan: toml::Table = toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut settings = BTreeMap::new();
    flatten("", &toml::Value::Table(plan), &mut settings);
    Ok((results, settings))
}

fn flatten(name: &str, value: &toml::Value, into: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(fields) => {
            for (key, value) in fields {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(&name, value, into);
            }
        }
        toml::Value::String(text) => drop(into.insert(name.to_owned(), text.clone())),
        other => drop(into.insert(name.to_owned(), other.to_string())),
    }
}

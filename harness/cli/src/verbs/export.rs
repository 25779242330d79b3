//! `heckle export`: writes a history in another tool's format. It writes one file per key, since those tools do not support multiple
//! keys. The figures of a run are exported as Prometheus text.

use super::check::Target;
use crate::cli::ExportArgs;
use crate::run::report::read_history;
use heckle_history::foreign::{self, Format};
use heckle_history::printable::printable;
use heckle_results::prometheus::{self, NodeSample};
use heckle_results::run_folder::{file_name, slug};
use heckle_results::{RunFolder, input};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The format for a run's figures. All other formats are for histories.
const PROMETHEUS: &str = "prometheus";
/// Number of bytes to read from the end of a node's samples to find the last one.
const MAX_SAMPLE_BYTES: u64 = 1 << 20;

/// Runs the verb.
pub(super) fn main(args: &ExportArgs) -> ExitCode {
    let exported = if args.format == PROMETHEUS { export_prometheus(args) } else { export(args) };
    match exported {
        Ok(files) => {
            files.iter().for_each(|f| outln!("{f}"));
            ExitCode::SUCCESS
        }
        Err(e) => super::usage("export", &e),
    }
}

fn export(args: &ExportArgs) -> Result<Vec<String>, String> {
    let format: Format = args.format.parse().map_err(|e| format!("{e}; or {PROMETHEUS}, for the figures of a run"))?;
    let path = super::check::target(&args.target, &args.out.out)?.history();
    let history = read_history(&path)?;
    let to = folder(args)?;
    let file_of = |name: &str| to.join(format!("{}.{}", file_name(name), args.format));
    // Check before the first file is written, so that no export is left incomplete.
    let there = history.names.keys().map(|(_, name)| file_of(name)).find(|file| file.symlink_metadata().is_ok());
    if let (Some(file), false) = (there, args.force) {
        return Err(is_there(&file));
    }
    let mut written = BTreeSet::new();
    for (key, name) in history.names.keys() {
        let file = file_of(name);
        if args.force && !written.contains(&file) {
            let _ = std::fs::remove_file(&file);
        }
        create(&file, foreign::write(format, &history, key).as_ref())?;
        written.insert(file);
    }
    Ok(written.into_iter().map(|file| shown(&file)).collect())
}

/// Prints the figures, or writes them to a file if `--to` names a folder.
fn export_prometheus(args: &ExportArgs) -> Result<Vec<String>, String> {
    let target = super::check::target(&args.target, &args.out.out)?;
    let text = match &target {
        Target::File(path) => prometheus::of_history(&read_history(path)?),
        Target::Run(folder) => {
            let results = folder.read_results().map_err(|e| e.to_string())?;
            // Counts are still available without the history, which `heckle gc` may have removed.
            let history = folder.history();
            let history = if history.is_file() { Some(read_history(&history)?) } else { None };
            prometheus::of_run(&results, history.as_ref(), &last_samples(folder))
        }
    };
    if args.to.is_none() {
        out!("{text}");
        return Ok(vec![]);
    }
    let name = match &target {
        Target::File(path) => path.file_name().map_or_else(|| "history".to_owned(), |name| file_name(&name.to_string_lossy())),
        Target::Run(folder) => folder.run_id().to_owned(),
    };
    let file = folder(args)?.join(format!("{name}.prom"));
    if file.symlink_metadata().is_ok() {
        if !args.force {
            return Err(is_there(&file));
        }
        let _ = std::fs::remove_file(&file);
    }
    create(&file, text.as_bytes())?;
    Ok(vec![shown(&file)])
}

/// Returns the last sample of every node of a run.
fn last_samples(folder: &RunFolder) -> Vec<NodeSample> {
    let names =
        std::fs::read_dir(folder.path("nodes")).into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| slug(name) == *name).collect();
    names.sort();
    let sample = |name: String| {
        let text = input::end(&folder.node(&name).join("metrics.jsonl"), MAX_SAMPLE_BYTES);
        prometheus::last_sample(&text).map(|sample| (name, sample))
    };
    names.into_iter().filter_map(sample).collect()
}

/// Creates and returns the folder for the files.
fn folder(args: &ExportArgs) -> Result<PathBuf, String> {
    let to = args.to.clone().unwrap_or_else(|| ".".into());
    std::fs::create_dir_all(&to).map_err(|e| format!("cannot make {}: {e}", to.display()))?;
    Ok(to)
}

/// Creates a file. Fails if anything already exists at the path, so that nothing is written through a link.
fn create(file: &Path, bytes: &[u8]) -> Result<(), String> {
    let new = std::fs::File::create_new(file).and_then(|mut new| new.write_all(bytes));
    new.map_err(|e| format!("cannot write {}: {e}", file.display()))
}

fn is_there(file: &Path) -> String {
    format!("{} is there already: name another folder with --to, or add --force to replace it", file.display())
}

fn shown(file: &Path) -> String {
    printable(&file.display().to_string()).into_owned()
}

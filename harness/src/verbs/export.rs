//! `heckle export`: a history in another tool's format, one file a key, since those tools know no keys.

use crate::cli::ExportArgs;
use crate::run::report::read_history;
use heckle_history::foreign::{self, Format};
use std::process::ExitCode;

/// Runs the verb.
pub(super) fn main(args: &ExportArgs) -> ExitCode {
    match export(args) {
        Ok(files) => {
            files.iter().for_each(|f| outln!("{f}"));
            ExitCode::SUCCESS
        }
        Err(e) => super::usage("export", &e),
    }
}

fn export(args: &ExportArgs) -> Result<Vec<String>, String> {
    let format: Format = args.format.parse()?;
    let (path, _) = super::check::target(&args.target, &args.out.out)?;
    let history = read_history(&path)?;
    std::fs::create_dir_all(&args.to).map_err(|e| format!("cannot make {}: {e}", args.to.display()))?;
    let mut written = vec![];
    for (key, name) in history.names.keys() {
        let file = args.to.join(format!("{}.{}", heckle_results::run_folder::slug(name), args.format));
        std::fs::write(&file, foreign::write(format, &history, key)).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
        written.push(file.display().to_string());
    }
    Ok(written)
}

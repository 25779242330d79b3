//! `heckle export`: writes a history in another tool's format. It writes one file per key, since those tools do not support keys.

use crate::cli::ExportArgs;
use crate::run::report::read_history;
use heckle_history::foreign::{self, Format};
use heckle_history::printable::printable;
use heckle_results::run_folder::file_name;
use std::collections::BTreeSet;
use std::io::Write;
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
    let path = super::check::target(&args.target, &args.out.out)?.history();
    let history = read_history(&path)?;
    std::fs::create_dir_all(&args.to).map_err(|e| format!("cannot make {}: {e}", args.to.display()))?;
    let file_of = |name: &str| args.to.join(format!("{}.{}", file_name(name), args.format));
    // Checked before the first file is written, so that no export is left half done.
    let there = history.names.keys().map(|(_, name)| file_of(name)).find(|file| file.symlink_metadata().is_ok());
    if let (Some(file), false) = (there, args.force) {
        return Err(format!("{} is there already: name another folder with --to, or add --force to replace it", file.display()));
    }
    let mut written = BTreeSet::new();
    for (key, name) in history.names.keys() {
        let file = file_of(name);
        if args.force && !written.contains(&file) {
            let _ = std::fs::remove_file(&file);
        }
        // `create_new` fails if anything exists at the path, so nothing is written through a link.
        let new = std::fs::File::create_new(&file).and_then(|mut new| new.write_all(foreign::write(format, &history, key).as_ref()));
        new.map_err(|e| format!("cannot write {}: {e}", file.display()))?;
        written.insert(file);
    }
    Ok(written.into_iter().map(|file| printable(&file.display().to_string()).into_owned()).collect())
}

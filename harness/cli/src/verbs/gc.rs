//! `heckle gc`: frees disk space. Verdicts and figures of runs are always kept. Histories, plots and logs are removed, oldest
//! first. Without `--delete`, the candidates are only listed.

use crate::cli::GcArgs;
use crate::exit;
use heckle_history::printable::printable;
use heckle_results::gc::{self, Limits, StoredRun};
use heckle_results::index;
use heckle_results::utc::UnixSeconds;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

const DEFAULT_KEEP: usize = 50;
const DEFAULT_KEEP_FAILED: usize = 20;

/// Runs the verb.
pub(super) fn main(args: &GcArgs) -> ExitCode {
    let limits = match limits(args) {
        Ok(limits) => limits,
        Err(e) => return super::usage("gc", &e),
    };
    let out = args.out.out.as_path();
    let runs = match index::read(out) {
        Ok(runs) => runs,
        Err(e) => return super::broken("gc", &e.to_string()),
    };
    let runs: Vec<StoredRun> = runs.into_iter().map(|run| StoredRun { bytes: gc::size(&out.join(&run.path)), run }).collect();
    let chosen = gc::choose(&runs, limits);
    let (room, all): (u64, u64) = (chosen.iter().map(|h| h.bytes).sum(), runs.iter().map(|h| h.bytes).sum());
    if args.output.json {
        let list: Vec<_> =
            chosen.iter().map(|h| serde_json::json!({"run_id": h.run.run_id, "path": h.run.path, "bytes": h.bytes})).collect();
        let report = serde_json::json!({"deleted": args.delete, "bytes": room, "of_bytes": all, "runs": list});
        outln!("{}", serde_json::to_string_pretty(&report).expect("plain data has a JSON form"));
    } else if !args.output.quiet {
        for held in &chosen {
            outln!("{:>12}  {:<12} {}", held.bytes, held.run.verdict.word(), printable(&held.run.path));
        }
    }
    if args.delete {
        for held in &chosen {
            if let Err(e) = gc::strip(&out.join(&held.run.path)) {
                return super::broken("gc", &e.to_string());
            }
        }
    }
    if !args.output.json {
        let did = if args.delete { "freed" } else { "would be freed; add --delete to do it:" };
        outln!("{} of {} runs, {room} of {all} bytes {did} results, plans and summaries stay", chosen.len(), runs.len());
    }
    ExitCode::from(exit::OK)
}

fn limits(args: &GcArgs) -> Result<Limits, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    Ok(Limits {
        keep: args.keep.unwrap_or(DEFAULT_KEEP),
        keep_failed: args.keep_failed.unwrap_or(DEFAULT_KEEP_FAILED),
        before: args.older_than.map(|age| UnixSeconds(now.saturating_sub(age.0.as_secs()))),
        max_bytes: args.max_size.as_deref().map(gc::parse_size).transpose().map_err(|e| format!("--max-size {e}"))?,
    })
}

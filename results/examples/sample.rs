//! Writes the folders of two synthetic runs, one valid and one not, as `heckle run` does, of a synthetic comparison, as
//! `heckle compare` does, and of two synthetic sweeps, as `heckle sweep` does: `cargo run --release -p heckle-results --example sample -- FOLDER [OPS_PER_S] [FAULTS] [SECONDS]`.
//! For a million operations: `-- target/sample 10000 20 100`.

use heckle_results::compare::{self, conclude::conclude, decide::Ending, folder::CompareFolder};
use heckle_results::results_json::Results;
use heckle_results::run_folder::RunFolder;
use heckle_results::sample::{self, Sample};
use heckle_results::summary::{self, View};
use heckle_results::sweep;
use heckle_results::terminal::Colour;
use heckle_results::utc::UnixSeconds;
use heckle_results::{artifacts, index, sample_results};
use std::path::Path;

const STARTED: UnixSeconds = UnixSeconds(1_769_860_800);

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let out = args.next().unwrap_or_else(|| "target/sample".into());
    let mut number = |or| args.next().and_then(|a| a.parse().ok()).unwrap_or(or);
    let history = sample::history(Sample { rate_per_s: number(400), faults: number(3), seconds: number(30), ..Sample::default() });
    let results: [fn(&_) -> Results; 2] = [sample_results::valid, sample_results::violated];
    for make in results {
        let mut results = make(&history);
        let folder = RunFolder::create(Path::new(&out), "sample", STARTED, 0x5a3e, &mut results)?;
        #[allow(clippy::disallowed_methods, reason = "an example may time what it does")]
        let clock = std::time::Instant::now();
        artifacts::write_all(&folder, &history, &mut results, STARTED.0)?;
        let all = clock.elapsed();
        let page = std::fs::metadata(folder.report())?.len();
        eprintln!("{} ops: analysed, drawn and written in {all:?}; report.html has {page} bytes", history.ops.len());
        print!("{}", summary::text(&results, View { folder: &folder.root().display().to_string(), width: 100, colour: Colour::Ansi }));
    }
    let mut comparison = compare::sample::planned_comparison(&compare::sample::LEASE_ARMS, 10);
    let folder = CompareFolder::create(Path::new(&out), "sample-comparison", STARTED, 0x5a3e, &mut comparison)?;
    let mut comparison = conclude(comparison, compare::sample::measured_runs(&compare::sample::LEASE_ARMS, 10), Ending::AsPlanned);
    folder.write_all(&mut comparison)?;
    let shown = folder.root().display().to_string();
    print!("\n{}", compare::text::text(&comparison, View { folder: &shown, width: 120, colour: Colour::Ansi }));
    for mut sweep in [sweep::sample::sweep(&["classic", "fast", "etcd"], 3), sweep::sample::contention(&["off", "priority", "read"], 3)] {
        for run in sweep.runs.iter_mut().filter(|r| r.value.number > 1_000.0) {
            run.limited_by.push("machine_busy".into());
        }
        let name = sweep.head.name.clone();
        let folder = sweep::folder::SweepFolder::create(Path::new(&out), &name, STARTED, 0x5a3e, &mut sweep)?;
        let mut sweep = sweep::conclude::conclude(sweep, &sweep::conclude::Ending::AsPlanned);
        folder.write_all(&mut sweep)?;
        let shown = folder.root().display().to_string();
        print!("\n{}", sweep::text::text(&sweep, View { folder: &shown, width: 120, colour: Colour::Ansi }));
    }
    print!("\n{}", summary::list(&index::read(Path::new(&out))?, 100, Colour::Ansi));
    Ok(())
}

//! A differential test of the checkers: three checkers judge numbered random histories until the time is up. Register histories alternate
//! with histories of other objects, one model after another. The latter are judged by the scan of their model and by both searches.

use heckle_checker::Verdict;
use heckle_checker::differential::{Case, Engines, MODELS, case, compare, compare_object, file_events, object_case, show, show_object};
use heckle_history::Header;
use heckle_history::prng::Seed;
use heckle_history::writer::write_plain;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The cases to run, and the time limit.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Seed of the cases.
    pub seed: u64,
    /// Number of the first case.
    pub from: u64,
    /// Maximum number of cases.
    pub cases: u64,
    /// Time limit.
    pub time: Duration,
    /// Folder for histories on which the checkers disagree.
    pub folder: PathBuf,
}

/// The results.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SoakResult {
    /// Seed of the cases.
    pub seed: u64,
    /// Number of the first case.
    pub from: u64,
    /// Number of cases compared.
    pub cases: u64,
    /// Number of cases that all checkers judge valid.
    pub valid: u64,
    /// Number of cases that all checkers judge invalid.
    pub invalid: u64,
    /// Number of cases that the chain checker leaves to a search, and on which both searches agree.
    pub left_open: u64,
    /// Number of cases of objects other than registers in which scan and searches agree or the scan left the key undecided.
    pub objects: u64,
    /// Cases on which the checkers disagree.
    pub mismatches: Vec<Mismatch>,
}

/// A case on which the checkers disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Number of the case.
    pub case: u64,
    /// The verdict of each checker.
    pub what: String,
    /// File with the history: in the format of `heckle check` for a register, as text for other objects.
    pub file: PathBuf,
    /// The history as text.
    pub history: String,
}

/// Maximum number of steps of the brute-force search per object.
const MAX_STEPS: u64 = 20_000_000;

/// Number of mismatches after which the run stops.
const MAX_MISMATCHES: usize = 10;

/// Runs the cases on all processors.
///
/// # Errors
/// If a history cannot be written.
pub fn run(setup: &Setup, engines: &Engines) -> Result<SoakResult, String> {
    let (next, stop, began) = (AtomicU64::new(0), AtomicBool::new(false), Instant::now());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut part = SoakResult::default();
        while !stop.load(Relaxed) && began.elapsed() < setup.time {
            let place = next.fetch_add(1, Relaxed);
            if place >= setup.cases {
                break;
            }
            if let Err(e) = part.add(&case(Seed(setup.seed), setup.from.wrapping_add(place)), engines, setup) {
                stop.store(true, Relaxed);
                return Err(e);
            }
            if part.mismatches.len() >= MAX_MISMATCHES {
                stop.store(true, Relaxed);
            }
        }
        Ok(part)
    };
    let parts: Vec<Result<SoakResult, String>> = std::thread::scope(|scope| {
        let start = |_| std::thread::Builder::new().name("soak".to_owned()).spawn_scoped(scope, work);
        let workers: Vec<_> = (0..threads).map(start).collect();
        let join = |worker: std::io::Result<std::thread::ScopedJoinHandle<'_, _>>| match worker {
            Ok(worker) => worker.join().unwrap_or_else(|_| Err("a comparing thread panicked".to_owned())),
            Err(e) => Err(crate::limits::no_thread(&e)),
        };
        workers.into_iter().map(join).collect()
    });
    let mut all = SoakResult { seed: setup.seed, from: setup.from, ..SoakResult::default() };
    for part in parts {
        let part = part?;
        all.cases += part.cases;
        all.valid += part.valid;
        all.invalid += part.invalid;
        all.left_open += part.left_open;
        all.objects += part.objects;
        all.mismatches.extend(part.mismatches);
    }
    all.mismatches.sort_by_key(|m| m.case);
    Ok(all)
}

impl SoakResult {
    fn add(&mut self, case: &Case, engines: &Engines, setup: &Setup) -> Result<(), String> {
        self.cases += 1;
        match compare(case, engines) {
            Ok(Verdict::Valid) => self.valid += 1,
            Ok(Verdict::Invalid) => self.invalid += 1,
            Ok(Verdict::Unknown) => self.left_open += 1,
            Err(what) => {
                let file = setup.folder.join(format!("differential-{}-{}.jsonl", setup.seed, case.number));
                write(&file, case).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
                self.mismatches.push(Mismatch { case: case.number, what, file, history: show(&case.history) });
            }
        }
        self.add_object(case.number, setup)
    }

    fn add_object(&mut self, number: u64, setup: &Setup) -> Result<(), String> {
        let model = MODELS[(number % MODELS.len() as u64) as usize];
        let question = object_case(Seed(setup.seed), model, number);
        let Err(what) = compare_object(&question, MAX_STEPS) else {
            self.objects += 1;
            return Ok(());
        };
        let file = setup.folder.join(format!("differential-{}-{number}-{}.txt", setup.seed, model.word()));
        let history = show_object(&question);
        let written = std::fs::create_dir_all(&setup.folder).and_then(|()| std::fs::write(&file, &history));
        written.map_err(|e| format!("cannot write {}: {e}", file.display()))?;
        self.mismatches.push(Mismatch { case: number, what: format!("{}: {what}", model.word()), file, history });
        Ok(())
    }

    /// Formats the results as text.
    pub fn text(&self) -> String {
        use std::fmt::Write;
        let mut out = format!(
            "{} histories of seed {}, from case {} on: {} valid, {} invalid, {} left to a search; {} of other objects\n{} mismatches\n",
            self.cases,
            self.seed,
            self.from,
            self.valid,
            self.invalid,
            self.left_open,
            self.objects,
            self.mismatches.len()
        );
        for m in &self.mismatches {
            let _ = writeln!(out, "\ncase {}: {}\n{}", m.case, m.what, m.history);
            if m.file.extension().is_some_and(|e| e == "jsonl") {
                let _ = writeln!(out, "again:  heckle check {} --checker both", m.file.display());
            }
            let _ = writeln!(out, "   or:  heckle bench check --differential --seed {} --from-case {} --cases 1", self.seed, m.case);
        }
        out
    }
}

fn write(file: &Path, case: &Case) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    write_plain(std::fs::File::create(file)?, &Header::default(), &case.history.names, &file_events(case))
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::History;
    use heckle_history::operation::Keep;

    fn always_valid(_: &History, _: bool) -> Result<Verdict, String> {
        Ok(Verdict::Valid)
    }

    fn setup(cases: u64) -> Setup {
        let folder = std::env::temp_dir().join(format!("heckle-soak-{}-{cases}", std::process::id()));
        Setup { seed: 5, from: 100, cases, time: Duration::from_secs(600), folder }
    }

    #[test]
    fn planted_error_is_found_and_its_history_written() {
        let setup = setup(60);
        let engines = Engines { chain: always_valid, ..Engines::default() };
        let found = run(&setup, &engines).expect("a writable folder");
        assert!(!found.mismatches.is_empty(), "{found:?}");
        for mismatch in &found.mismatches {
            let file = std::fs::read(&mismatch.file).expect("the history is kept");
            let history = History::read(&file[..], Keep::OpsOnly).expect("it can be read");
            let case = case(Seed(setup.seed), mismatch.case);
            assert_eq!(history.ops.len(), case.history.ops.len());
            assert!(compare(&case, &engines).is_err() && compare(&case, &Engines::default()).is_ok());
            assert!(found.text().contains(&format!("--seed 5 --from-case {} --cases 1", mismatch.case)), "{}", found.text());
        }
        let _ = std::fs::remove_dir_all(&setup.folder);
    }

    #[test]
    fn same_seed_gives_same_counts() {
        let setup = setup(2_000);
        let first = run(&setup, &Engines::default()).expect("nothing is written");
        assert_eq!(first, run(&setup, &Engines::default()).expect("nothing is written"));
        assert_eq!((first.cases, first.objects, first.mismatches.len()), (2_000, 2_000, 0));
        assert!(first.valid > 20 && first.invalid > 20 && first.left_open > 0, "{first:?}");
        assert!(!setup.folder.exists());
    }
}

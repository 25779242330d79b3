//! The suite's folder: either a new one, or the folder of an interrupted or killed suite that is being resumed.

use super::matrix::{Matrix, Shard};
use crate::cluster::process::proc_state;
use crate::run::environment;
use heckle_history::printable::printable;
use heckle_history::prng::Seed;
use heckle_results::atomic;
use heckle_results::dated;
use heckle_results::input;
use heckle_results::results_json::{BuildInfo, Status};
use heckle_results::run_folder::slug;
use heckle_results::suite::suite_json::{self, Canary, Cell, Owner, SuiteResults};
use heckle_results::utc::UnixSeconds;
use std::fs;
use std::path::{Path, PathBuf};

/// An open suite.
pub struct SuiteState {
    /// The suite's folder.
    pub root: PathBuf,
    /// The results so far.
    pub suite: SuiteResults,
}

/// Options for opening a suite.
#[derive(Debug, Clone)]
pub struct OpenOptions<'a> {
    /// The parent folder of all runs.
    pub out: &'a Path,
    /// The matrix.
    pub matrix: &'a Matrix,
    /// The requested profile.
    pub profile: Option<&'a str>,
    /// The requested shard.
    pub shard: Option<Shard>,
    /// The seed; drawn if absent.
    pub seed: Option<Seed>,
    /// Start a new suite even if one was interrupted.
    pub fresh: bool,
    /// The current time.
    pub now: UnixSeconds,
    /// The commit that this program is built from.
    pub build: BuildInfo,
}

impl SuiteState {
    /// Resumes the newest unfinished suite of the same matrix, or creates a new one.
    ///
    /// # Errors
    /// If another process is working on the suite, or files cannot be written.
    pub fn open(begin: &OpenOptions<'_>) -> Result<SuiteState, String> {
        let unfinished = (!begin.fresh).then(|| SuiteState::unfinished(begin)).flatten();
        let mut book = match unfinished {
            Some(book) => {
                let Owner { pid, start_time } = book.suite.owner;
                let alive = proc_state(pid).is_some_and(|(state, t)| t == start_time && state != 'Z');
                if alive && pid != std::process::id() {
                    return Err(format!(
                        "process {pid} works on {} already: wait for it, or begin another with --fresh",
                        book.root.display()
                    ));
                }
                book
            }
            None => SuiteState::create(begin)?,
        };
        let me = std::process::id();
        book.suite.owner = Owner { pid: me, start_time: proc_state(me).map_or(0, |(_, t)| t) };
        book.suite.sittings += 1;
        book.suite.status = Status::Running;
        book.write()?;
        Ok(book)
    }

    fn unfinished(begin: &OpenOptions<'_>) -> Option<SuiteState> {
        let newest = suites(begin.out, &begin.matrix.name).into_iter().rev();
        let (profile, shard, hash) = (begin.profile.map(str::to_owned), begin.shard.map(|s| s.to_string()), begin.matrix.hash());
        let same = |s: &SuiteResults| (&s.profile, &s.shard, &s.plan_hash) == (&profile, &shard, &hash);
        let seed = |s: &SuiteResults| begin.seed.is_none_or(|asked| asked.to_string() == s.seed);
        let (root, suite) = newest.into_iter().find(|(_, suite)| same(suite) && seed(suite))?;
        (suite.status != Status::Done).then_some(SuiteState { root, suite })
    }

    fn create(begin: &OpenOptions<'_>) -> Result<SuiteState, String> {
        let seed = begin.seed.unwrap_or_else(|| Seed(rand::random()));
        let parent = begin.out.join(slug(&begin.matrix.name));
        let failed = |e: std::io::Error| format!("cannot keep a suite in {}: {e}; name a writable folder with --out", parent.display());
        let (suite_id, root) = dated::create(&parent, begin.now, rand::random(), "suites").map_err(failed)?;
        let cells = begin.matrix.cells.iter().map(|c| Cell {
            name: c.name.clone(),
            settings: c.labels.clone(),
            wanted: begin.matrix.repeat,
            ..Cell::default()
        });
        let canaries =
            begin.matrix.canaries.iter().map(|c| Canary { mutant: c.mutant.clone(), within_runs: c.within_runs, ..Canary::default() });
        let suite = SuiteResults {
            suite_id,
            name: begin.matrix.name.clone(),
            started_utc: begin.now.iso(),
            seed: seed.to_string(),
            profile: begin.profile.map(str::to_owned),
            shard: begin.shard.map(|s| s.to_string()),
            plan_hash: begin.matrix.hash(),
            build: begin.build.clone(),
            env: environment::gather(&root, begin.build.clone()).info(),
            cells: cells.collect(),
            canaries: canaries.collect(),
            ..SuiteResults::default()
        };
        Ok(SuiteState { root, suite })
    }

    /// Writes the results so far, atomically.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self) -> Result<(), String> {
        atomic::replace(&self.root.join(suite_json::FILE), self.suite.to_json().as_bytes())
            .map_err(|e| format!("cannot write the suite's folder: {e}"))
    }
}

/// Returns the suites with this name below `out`, oldest first. Unreadable suites are reported on stderr and left out.
pub fn suites(out: &Path, name: &str) -> Vec<(PathBuf, SuiteResults)> {
    let parent = out.join(slug(name));
    let entries = fs::read_dir(&parent).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|e| e.path()).filter(|p| p.join(suite_json::FILE).is_file()).collect();
    folders.sort();
    let read = |folder: PathBuf| {
        let path = folder.join(suite_json::FILE);
        let text = input::text(&path, input::SUITE).map_err(|e| e.to_string());
        match text.and_then(|t| SuiteResults::from_json(&t)) {
            Ok(suite) => Some((folder, suite)),
            Err(e) => {
                errln!("{} is left out: {}", printable(&path.display().to_string()), printable(&e));
                None
            }
        }
    };
    folders.into_iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::file;

    fn matrix() -> Matrix {
        let text = "schema = \"heckle.plan/1\"\nname = \"n\"\n[load]\nduration = \"2s\"\n[suite.axes]\nnodes = [3, 5]\n";
        Matrix::of(&file::parse(text, "p", crate::testing::SYSTEMS).expect("well-formed"), &crate::testing::of_matrix(), None, None)
            .expect("makes sense")
    }

    fn begin<'a>(out: &'a Path, matrix: &'a Matrix) -> OpenOptions<'a> {
        let build = BuildInfo::default();
        OpenOptions { out, matrix, profile: None, shard: None, seed: None, fresh: false, now: UnixSeconds(1_000), build }
    }

    struct Folder(PathBuf);
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn an_unfinished_suite_is_resumed_only_by_its_matrix() {
        let out = Folder(std::env::temp_dir().join(format!("heckle-book-{}", std::process::id())));
        let matrix = matrix();
        let begin = begin(&out.0, &matrix);
        let first = SuiteState::open(&begin).expect("a new folder");
        assert_eq!((first.suite.sittings, first.suite.cells.len()), (1, 2));

        let mut again = SuiteState::open(&begin).expect("taken up");
        assert_eq!((&again.root, again.suite.sittings, &again.suite.seed), (&first.root, 2, &first.suite.seed));
        let other = OpenOptions { shard: Some(Shard { index: 1, of: 2 }), ..begin.clone() };
        assert_ne!(SuiteState::open(&other).expect("another").root, first.root);
        assert_ne!(SuiteState::open(&OpenOptions { fresh: true, ..begin.clone() }).expect("another").root, first.root);

        again.suite.conclude(false);
        again.write().expect("writable");
        // The newest suite of the same matrix is resumed: the fresh one above, which is unfinished.
        let after = SuiteState::open(&begin).expect("taken up").root;
        assert_ne!(after, first.root);
    }

    #[test]
    fn a_suite_of_a_living_process_is_refused() {
        let out = Folder(std::env::temp_dir().join(format!("heckle-book-owned-{}", std::process::id())));
        let matrix = matrix();
        let begin = begin(&out.0, &matrix);
        let mut book = SuiteState::open(&begin).expect("a new folder");
        let parent = std::os::unix::process::parent_id();
        book.suite.owner = Owner { pid: parent, start_time: proc_state(parent).expect("alive").1 };
        book.write().expect("writable");
        let error = SuiteState::open(&begin).err().expect("refused");
        assert!(error.contains("works on") && error.contains("--fresh"), "{error}");
        // The same pid with another start time is another process: the owner is dead.
        book.suite.owner.start_time += 1;
        book.write().expect("writable");
        assert_eq!(SuiteState::open(&begin).expect("taken up").suite.sittings, 2);
    }
}

//! The suite's folder: made anew, or that of a suite that was interrupted or killed and is taken up again.

use super::matrix::{Matrix, Shard};
use crate::cluster::process::proc_state;
use crate::run::environment;
use heckle_history::printable::printable;
use heckle_history::prng::Seed;
use heckle_results::atomic;
use heckle_results::input;
use heckle_results::results_json::{BuildInfo, Status};
use heckle_results::run_folder::slug;
use heckle_results::suite::suite_json::{self, Canary, Cell, Owner, SuiteResults};
use heckle_results::utc::UnixSeconds;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders tried for a name in one second, at most.
const MAX_NAME_TRIES: u16 = 64;

/// An open suite.
pub struct Book {
    /// Its folder.
    pub root: PathBuf,
    /// What it has come to so far.
    pub suite: SuiteResults,
}

/// How a suite is begun.
#[derive(Debug, Clone)]
pub struct Begin<'a> {
    /// The folder of all runs.
    pub out: &'a Path,
    /// The matrix.
    pub matrix: &'a Matrix,
    /// The profile asked for.
    pub profile: Option<&'a str>,
    /// The shard asked for.
    pub shard: Option<Shard>,
    /// The seed; drawn if absent.
    pub seed: Option<Seed>,
    /// Begin anew, whatever was interrupted.
    pub fresh: bool,
    /// Now.
    pub now: UnixSeconds,
    /// The commit that this program is built from.
    pub build: BuildInfo,
}

impl Book {
    /// Takes up the newest unfinished suite of this very matrix, or begins one.
    ///
    /// # Errors
    /// If another process works on it, or files cannot be written.
    pub fn open(begin: &Begin<'_>) -> Result<Book, String> {
        let unfinished = (!begin.fresh).then(|| Book::unfinished(begin)).flatten();
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
            None => Book::create(begin)?,
        };
        let me = std::process::id();
        book.suite.owner = Owner { pid: me, start_time: proc_state(me).map_or(0, |(_, t)| t) };
        book.suite.sittings += 1;
        book.suite.status = Status::Running;
        book.write()?;
        Ok(book)
    }

    fn unfinished(begin: &Begin<'_>) -> Option<Book> {
        let newest = suites(begin.out, &begin.matrix.name).into_iter().rev();
        let (profile, shard, hash) = (begin.profile.map(str::to_owned), begin.shard.map(|s| s.to_string()), begin.matrix.hash());
        let same = |s: &SuiteResults| (&s.profile, &s.shard, &s.plan_hash) == (&profile, &shard, &hash);
        let seed = |s: &SuiteResults| begin.seed.is_none_or(|asked| asked.to_string() == s.seed);
        let (root, suite) = newest.into_iter().find(|(_, suite)| same(suite) && seed(suite))?;
        (suite.status != Status::Done).then_some(Book { root, suite })
    }

    fn create(begin: &Begin<'_>) -> Result<Book, String> {
        let seed = begin.seed.unwrap_or_else(|| Seed(rand::random()));
        let parent = begin.out.join(slug(&begin.matrix.name));
        let failed = |e: std::io::Error| format!("cannot keep a suite in {}: {e}; name a writable folder with --out", parent.display());
        fs::create_dir_all(&parent).map_err(failed)?;
        let nonce: u16 = rand::random();
        for attempt in 0..MAX_NAME_TRIES {
            let suite_id = format!("{}-{:04x}", begin.now.compact(), nonce.wrapping_add(attempt));
            let root = parent.join(&suite_id);
            match fs::create_dir(&root) {
                Ok(()) => {
                    let cells = begin.matrix.cells.iter().map(|c| Cell {
                        name: c.name.clone(),
                        settings: c.labels.clone(),
                        wanted: begin.matrix.repeat,
                        ..Cell::default()
                    });
                    let canaries = begin.matrix.canaries.iter().map(|c| Canary {
                        mutant: c.mutant.clone(),
                        within_runs: c.within_runs,
                        ..Canary::default()
                    });
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
                    return Ok(Book { root, suite });
                }
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed(e)),
            }
        }
        Err(format!("{MAX_NAME_TRIES} suites of this second are in {} already; start again in a second", parent.display()))
    }

    /// Keeps what is known so far, in one step.
    ///
    /// # Errors
    /// From the file system.
    pub fn write(&self) -> Result<(), String> {
        atomic::replace(&self.root.join(suite_json::FILE), self.suite.to_json().as_bytes())
            .map_err(|e| format!("cannot write the suite's folder: {e}"))
    }
}

/// The suites of one name below `out`, oldest first. One that cannot be read is told on stderr and left out.
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

    struct Folder(PathBuf);
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn an_unfinished_suite_is_taken_up_again_by_its_own_matrix_only() {
        let out = Folder(std::env::temp_dir().join(format!("heckle-book-{}", std::process::id())));
        let matrix = matrix();
        let begin = Begin {
            out: &out.0,
            matrix: &matrix,
            profile: None,
            shard: None,
            seed: None,
            fresh: false,
            now: UnixSeconds(1_000),
            build: BuildInfo::default(),
        };
        let first = Book::open(&begin).expect("a new folder");
        assert_eq!((first.suite.sittings, first.suite.cells.len()), (1, 2));

        let mut again = Book::open(&begin).expect("taken up");
        assert_eq!((&again.root, again.suite.sittings, &again.suite.seed), (&first.root, 2, &first.suite.seed));
        let other = Begin { shard: Some(Shard { index: 1, of: 2 }), ..begin.clone() };
        assert_ne!(Book::open(&other).expect("another").root, first.root);
        assert_ne!(Book::open(&Begin { fresh: true, ..begin.clone() }).expect("another").root, first.root);

        again.suite.conclude(false);
        again.write().expect("writable");
        // The newest of the same matrix counts; the fresh one above is not finished.
        let after = Book::open(&begin).expect("taken up").root;
        assert_ne!(after, first.root);
    }

    #[test]
    fn a_suite_that_another_process_works_on_is_left_alone() {
        let out = Folder(std::env::temp_dir().join(format!("heckle-book-owned-{}", std::process::id())));
        let matrix = matrix();
        let begin = Begin {
            out: &out.0,
            matrix: &matrix,
            profile: None,
            shard: None,
            seed: None,
            fresh: false,
            now: UnixSeconds(1_000),
            build: BuildInfo::default(),
        };
        let mut book = Book::open(&begin).expect("a new folder");
        let parent = std::os::unix::process::parent_id();
        book.suite.owner = Owner { pid: parent, start_time: proc_state(parent).expect("alive").1 };
        book.write().expect("writable");
        let error = Book::open(&begin).err().expect("refused");
        assert!(error.contains("works on") && error.contains("--fresh"), "{error}");
        // The same pid with another start time is another process: the owner is dead.
        book.suite.owner.start_time += 1;
        book.write().expect("writable");
        assert_eq!(Book::open(&begin).expect("taken up").suite.sittings, 2);
    }
}

//! Run folders: creating, finding and reading them.
//!
//! `<out>/<plan>/<UTC>-<4 hex>/` holds everything about a run; `<out>` also holds the index and the links `latest` and
//! `latest-failed`. `results.json` is written first, with status "running", so that even a killed harness leaves a folder that
//! can be identified.

use crate::alive;
use crate::atomic;
use crate::dated;
use crate::index::{self, RunLine};
use crate::input;
use crate::results_json::Results;
use crate::results_text::ParseError;
use crate::utc::UnixSeconds;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folder in which run folders are created unless `--out` specifies another.
pub const DEFAULT_OUT: &str = "results/runs";
/// Maximum number of runs listed in an error message.
const MAX_CANDIDATES: usize = 5;

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    root: PathBuf,
    /// The folder of all runs, if known.
    out: Option<PathBuf>,
    run_id: String,
}

/// Reason why a run cannot be found or read.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No run has that name.
    #[error("no run `{asked}` below {out}{}", candidates(.known))]
    NotFound {
        /// The name that was given.
        asked: String,
        /// The folder that was searched.
        out: String,
        /// Existing runs, newest first.
        known: Vec<String>,
    },
    /// Several runs have names with this prefix.
    #[error("`{asked}` is the beginning of {} runs below {out}{}", .known.len(), candidates(.known))]
    Ambiguous {
        /// The name that was given.
        asked: String,
        /// The folder that was searched.
        out: String,
        /// The matching runs, newest first.
        known: Vec<String>,
    },
    /// The folder is not a run folder.
    #[error("{0} holds no results.json and no history, so it is not the folder of a run; `heckle list` names runs")]
    NotARun(String),
    /// The file cannot be read.
    #[error("cannot read {0}")]
    Io(#[from] io::Error),
    /// The file is damaged.
    #[error("{path}: {source}")]
    Damaged {
        /// Path of the file.
        path: String,
        /// The parse error.
        source: ParseError,
    },
}

fn candidates(known: &[String]) -> String {
    match known {
        [] => "; there are no runs yet, `heckle run` makes one".into(),
        some => {
            let more = if some.len() > MAX_CANDIDATES { ", …" } else { "" };
            format!("; there {} {}{more}", if some.len() == 1 { "is" } else { "are" }, some[..some.len().min(MAX_CANDIDATES)].join(", "))
                + "; `heckle list` shows them all"
        }
    }
}

impl RunFolder {
    /// Creates the folder of a new run of `plan` and writes `results` into it as the first file, with `run_id` filled in. `nonce`
    /// distinguishes runs of the same second. If the name is taken, the next free nonce is used.
    ///
    /// # Errors
    /// If the file system reports an error.
    pub fn create(out: &Path, plan: &str, started: UnixSeconds, nonce: u16, results: &mut Results) -> io::Result<Self> {
        let (run_id, root) = dated::create(&out.join(slug(plan)), started, nonce, "runs")?;
        results.run_id.clone_from(&run_id);
        results.started_utc = started.iso();
        results.harness = alive::this_process();
        let folder = RunFolder { root, out: Some(out.to_owned()), run_id };
        folder.write_results(results)?;
        Ok(folder)
    }

    /// Opens the run folder at `root`.
    ///
    /// # Errors
    /// [`FindError::NotARun`] if it is not a run folder.
    pub fn open(root: &Path) -> Result<Self, FindError> {
        let is_run = ["results.json", "history.jsonl.zst", "history.jsonl"].iter().any(|f| root.join(f).is_file());
        if !is_run {
            return Err(FindError::NotARun(root.display().to_string()));
        }
        // Resolve links such as `latest`, so that the name is the run id.
        let root = root.canonicalize().map_err(|e| atomic::at(root, e))?;
        let run_id = root.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(RunFolder { root, out: None, run_id })
    }

    /// Finds the run named by `asked`: a folder, a run id, `plan/run`, an unambiguous prefix of either, `latest` or `latest-failed`.
    ///
    /// # Errors
    /// See [`FindError`]. Errors list the candidates.
    pub fn find(out: &Path, asked: &str) -> Result<Self, FindError> {
        let of = |path: &Path| RunFolder::open(path).map(|f| RunFolder { out: Some(out.to_owned()), ..f });
        if matches!(asked, "latest" | "latest-failed") {
            let link = out.join(asked);
            if link.exists() {
                return of(&link);
            }
        } else if !asked.is_empty() && Path::new(asked).is_dir() {
            return of(Path::new(asked));
        }
        let folders = index::folders(out)?;
        let name = |f: &PathBuf| f.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let path = |f: &PathBuf| f.strip_prefix(out).unwrap_or(f).to_string_lossy().into_owned();
        let matches: Vec<&PathBuf> = if asked.is_empty() || asked.starts_with("latest") {
            vec![]
        } else {
            let exact: Vec<_> = folders.iter().filter(|f| name(f) == asked || path(f) == asked).collect();
            if exact.is_empty() {
                folders.iter().filter(|f| name(f).starts_with(asked) || path(f).starts_with(asked)).collect()
            } else {
                exact
            }
        };
        let newest_first = |mut found: Vec<(String, String)>| -> Vec<String> {
            found.sort_by(|a, b| b.cmp(a));
            found.into_iter().map(|(_, path)| path).collect()
        };
        let (asked, shown) = (asked.to_owned(), out.display().to_string());
        match matches[..] {
            [one] => of(one),
            [] => {
                let known = newest_first(folders.iter().map(|f| (name(f), path(f))).collect());
                Err(FindError::NotFound { asked, out: shown, known })
            }
            _ => Err(FindError::Ambiguous { asked, out: shown, known: newest_first(matches.iter().map(|f| (name(f), path(f))).collect()) }),
        }
    }

    /// Replaces `results.json` atomically.
    ///
    /// # Errors
    /// If the file system reports an error.
    pub fn write_results(&self, results: &Results) -> io::Result<()> {
        atomic::replace(&self.results(), results.to_json().as_bytes())
    }

    /// Reads `results.json`.
    ///
    /// # Errors
    /// See [`FindError`]. The error for a damaged file includes line and column.
    pub fn read_results(&self) -> Result<Results, FindError> {
        let path = self.results();
        let text = input::text(&path, input::RESULTS).map_err(|e| atomic::at(&path, e))?;
        let mut results = Results::from_json(&text).map_err(|source| FindError::Damaged { path: path.display().to_string(), source })?;
        alive::update_status(&mut results, &self.root);
        Ok(results)
    }

    /// Finishes a run: writes the final results, the index line and the links.
    ///
    /// # Errors
    /// If the file system reports an error.
    pub fn finish(&self, results: &Results) -> io::Result<()> {
        self.write_results(results)?;
        let Some(out) = &self.out else { return Ok(()) };
        let path = self.root.strip_prefix(out).unwrap_or(&self.root);
        index::append(out, &RunLine::of(results, &path.to_string_lossy()))?;
        atomic::replace_link(&out.join("latest"), path)?;
        if results.exit_code != 0 { atomic::replace_link(&out.join("latest-failed"), path) } else { Ok(()) }
    }

    /// Writes one artifact atomically, creating the folders above it.
    ///
    /// # Errors
    /// If the file system reports an error.
    pub fn write(&self, artifact: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(artifact);
        let parent = path.parent().expect("below the run folder");
        fs::create_dir_all(parent).map_err(|e| atomic::at(parent, e))?;
        atomic::replace(&path, bytes)
    }

    /// Returns the run id.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Returns the path of the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder of all runs, if known.
    pub fn out(&self) -> Option<&Path> {
        self.out.as_deref()
    }

    /// Returns the path of a file in the folder, from its relative name.
    pub fn path(&self, artifact: &str) -> PathBuf {
        self.root.join(artifact)
    }

    /// Returns the path of `results.json`.
    pub fn results(&self) -> PathBuf {
        self.path("results.json")
    }

    /// Returns the path of `plan.resolved.toml`.
    pub fn plan(&self) -> PathBuf {
        self.path("plan.resolved.toml")
    }

    /// Returns the path of `env.json`.
    pub fn env(&self) -> PathBuf {
        self.path("env.json")
    }

    /// Returns the path of `rerun.sh`.
    pub fn rerun(&self) -> PathBuf {
        self.path("rerun.sh")
    }

    /// Returns the path of `history.jsonl.zst`, or of `history.jsonl` if only that exists.
    pub fn history(&self) -> PathBuf {
        let plain = self.path("history.jsonl");
        let packed = self.path("history.jsonl.zst");
        if plain.is_file() && !packed.is_file() { plain } else { packed }
    }

    /// Returns the path of `schedule.jsonl`, the planned faults.
    pub fn schedule(&self) -> PathBuf {
        self.path("schedule.jsonl")
    }

    /// Returns the path of `heckle.log`.
    pub fn log(&self) -> PathBuf {
        self.path("heckle.log")
    }

    /// Returns the path of `report.html`.
    pub fn report(&self) -> PathBuf {
        self.path("report.html")
    }

    /// Returns the path of `nodes/<name>`.
    pub fn node(&self, name: &str) -> PathBuf {
        self.path("nodes").join(name)
    }

    /// Returns the path of `violations/<id>`.
    pub fn violation(&self, id: u32) -> PathBuf {
        self.path("violations").join(id.to_string())
    }
}

/// Encodes any name as a unique file name: bytes other than letters, digits, `-`, `_` and `.` become `%` and two hex digits, as
/// does a leading `.`. A name that is too long for a file name is truncated, and a hash of the full name is appended.
pub fn file_name(name: &str) -> String {
    const MAX_LENGTH: usize = 180;
    let plain = |i: usize, b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_') || (b == b'.' && i > 0);
    let text: String =
        name.bytes().enumerate().map(|(i, b)| if plain(i, b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
    match text.len() {
        0 => "%".into(),
        1..=MAX_LENGTH => text,
        _ => format!("{}%-{}", &text[..MAX_LENGTH], crate::env_json::fingerprint(name)),
    }
}

/// Converts the name of a plan to a folder name: characters other than letters, digits, `-`, `_` and `.` become `-`, and the
/// result never refers to another folder, as `..` would.
pub fn slug(name: &str) -> String {
    let text: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).take(80).collect();
    let text = text.trim_matches(['.', '-']);
    if text.is_empty() { "run".into() } else { text.to_owned() }
}

//! What a suite came to: the types of `suite.json`, schema `heckle.suite/1`. It holds a line of every run, so that a trend
//! needs nothing else when the runs themselves are gone.

use crate::index::RunLine;
use crate::results_json::{BuildInfo, EnvInfo, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format this crate writes and reads.
pub const SCHEMA: &str = "heckle.suite/1";

/// The file's name.
pub const FILE: &str = "suite.json";

/// Everything a suite came to. Written anew after each run, so that a killed suite can be taken up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SuiteResults {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The name of its folder.
    pub suite_id: String,
    /// The plan's name.
    pub name: String,
    /// Whether it is over.
    pub status: Status,
    /// What `heckle suite` exits with.
    pub exit_code: i32,
    /// Why, in words; the first is the most important.
    pub reasons: Vec<String>,
    /// When it began.
    pub started_utc: String,
    /// Time spent on runs, over all sittings.
    pub wall_s: f64,
    /// What the seeds of its runs are made from.
    pub seed: String,
    /// The profile asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// `i/n`, where it is one part of several machines' work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Names the matrix: a suite is taken up again only by the same one.
    pub plan_hash: String,
    /// Time it may take, where it is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_s: Option<f64>,
    /// How many cells must have been run; half of them, where absent. Below it the suite is inconclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_cells: Option<u32>,
    /// How often it was started: 1, and one for each time it was taken up again.
    pub sittings: u32,
    /// The process that works on it, or did last.
    pub owner: Owner,
    /// The tool.
    pub build: BuildInfo,
    /// The machine.
    pub env: EnvInfo,
    /// The matrix.
    pub cells: Vec<Cell>,
    /// The planted bugs that must be caught.
    pub canaries: Vec<Canary>,
    /// Figures that are worse than in the nights before.
    pub trips: Vec<Trip>,
}

/// A process, known by pid and start time together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Owner {
    /// Process id.
    pub pid: u32,
    /// Clock ticks since boot.
    pub start_time: u64,
}

/// One point of the matrix.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Cell {
    /// `nodes=3,rounds=fast`, or `base` without axes.
    pub name: String,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// How many runs it is to have.
    pub wanted: u32,
    /// The runs made, retries included, in order.
    pub runs: Vec<SuiteRun>,
    /// Why runs are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
}

/// A planted bug that this night must catch, or it proves nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Canary {
    /// Which bug.
    pub mutant: String,
    /// It must be caught within this many runs.
    pub within_runs: u32,
    /// The runs made.
    pub runs: Vec<SuiteRun>,
    /// Why runs are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
}

/// One run of a suite.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SuiteRun {
    /// Which of the repeats, from 1.
    pub repeat: u32,
    /// Which try of it, from 1: only a failure of the harness or the machine is tried again.
    pub attempt: u32,
    /// Whether it counts: a try that was followed by another does not, and is shown all the same.
    pub counted: bool,
    /// The run; its path is relative to the folder of all runs.
    pub run: RunLine,
}

/// A figure that is worse than in the nights before.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Trip {
    /// In which cell.
    pub cell: String,
    /// Which figure, its unit in the name.
    pub metric: String,
    /// Median of the last nights.
    pub recent: f64,
    /// Median of the nights before those.
    pub baseline: f64,
    /// How many times worse: above 1, whichever way the figure goes.
    pub worse_by: f64,
    /// What the same night's paired runs against the older binary say; absent where none were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmation>,
}

/// Paired runs of this binary and an older one in the same night.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Confirmation {
    /// Pairs that count.
    pub pairs: u32,
    /// How many times worse this binary is.
    pub ratio: f64,
    /// The 95 % interval of that ratio.
    pub interval: (f64, f64),
    /// Whether it is a regression: the whole interval is above 1.
    pub regression: bool,
}

impl Default for SuiteResults {
    fn default() -> Self {
        SuiteResults {
            schema: SCHEMA.into(),
            suite_id: String::new(),
            name: String::new(),
            status: Status::Running,
            // What a reader of a half-made suite is to believe: inconclusive.
            exit_code: 2,
            reasons: vec![],
            started_utc: String::new(),
            wall_s: 0.0,
            seed: String::new(),
            profile: None,
            shard: None,
            plan_hash: String::new(),
            budget_s: None,
            min_cells: None,
            sittings: 0,
            owner: Owner::default(),
            build: BuildInfo::default(),
            env: EnvInfo::default(),
            cells: vec![],
            canaries: vec![],
            trips: vec![],
        }
    }
}

impl SuiteResults {
    /// As the text of a file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and numbers serialize") + "\n"
    }

    /// From the text of a file.
    ///
    /// # Errors
    /// In words, with line and column.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let suite: SuiteResults = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if suite.schema == SCHEMA {
            Ok(suite)
        } else {
            Err(format!("schema `{}` is not `{SCHEMA}`, the one this version reads", suite.schema))
        }
    }

    /// How many cells have a run that counts.
    pub fn cells_run(&self) -> usize {
        self.cells.iter().filter(|c| c.counted().count() > 0).count()
    }

    /// How many cells must have one.
    pub fn cells_needed(&self) -> usize {
        self.min_cells.map_or(self.cells.len().div_ceil(2), |asked| asked as usize)
    }

    /// How many runs of the matrix are missing, in cells that have some.
    pub fn runs_missing(&self) -> usize {
        let started = self.cells.iter().filter(|c| c.counted().count() > 0);
        started.map(|c| (c.wanted as usize).saturating_sub(c.counted().count())).sum()
    }

    /// Every run that was made.
    pub fn runs(&self) -> impl Iterator<Item = &SuiteRun> {
        self.cells.iter().flat_map(|c| &c.runs).chain(self.canaries.iter().flat_map(|c| &c.runs))
    }
}

impl Cell {
    /// The runs that count.
    pub fn counted(&self) -> impl Iterator<Item = &SuiteRun> {
        self.runs.iter().filter(|r| r.counted)
    }

    /// Whether all repeats are done.
    pub fn complete(&self) -> bool {
        self.counted().count() >= self.wanted as usize
    }

    /// The exit codes of the runs that count.
    pub fn codes(&self) -> Vec<u8> {
        self.counted().map(SuiteRun::code).collect()
    }
}

impl Canary {
    /// The run that caught it, counted from 1.
    pub fn caught_after(&self) -> Option<u32> {
        let counted = self.runs.iter().filter(|r| r.counted);
        counted.enumerate().find(|(_, r)| r.code() == 1).map(|(i, _)| i as u32 + 1)
    }

    /// Whether nothing more is to be run for it.
    pub fn complete(&self) -> bool {
        self.caught_after().is_some() || self.runs.iter().filter(|r| r.counted).count() >= self.within_runs as usize
    }
}

impl SuiteRun {
    /// Its exit code.
    pub fn code(&self) -> u8 {
        u8::try_from(self.run.exit_code).unwrap_or(4)
    }
}

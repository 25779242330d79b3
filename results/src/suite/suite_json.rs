//! The result of a suite: the types of `suite.json`, schema `heckle.suite/1`. It contains a line for every run, so that trends
//! can be computed without the run folders.

use crate::index::RunLine;
use crate::results_json::{BuildInfo, EnvInfo, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format that this crate writes and reads.
pub const SCHEMA: &str = "heckle.suite/1";

/// Name of the file.
pub const FILE: &str = "suite.json";

/// The complete result of a suite. It is rewritten after each run, so that a killed suite can be resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SuiteResults {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Id of the suite, the name of its folder.
    pub suite_id: String,
    /// Name of the plan.
    pub name: String,
    /// Whether the suite has ended.
    pub status: Status,
    /// The exit code of `heckle suite`.
    pub exit_code: i32,
    /// Reasons for the exit code, the most important first.
    pub reasons: Vec<String>,
    /// Start time of the suite.
    pub started_utc: String,
    /// Time spent on runs, over all sessions.
    pub wall_s: f64,
    /// The seed from which the seeds of its runs are derived.
    pub seed: String,
    /// The requested profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The shard `i/n`, if the suite is split over several machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Hash of the matrix. A suite can be resumed only with the same matrix.
    pub plan_hash: String,
    /// Limit on its duration, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_s: Option<f64>,
    /// Minimum number of cells that must have run; half of them if absent. With fewer, the suite is inconclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_cells: Option<u32>,
    /// Number of sessions: 1, plus one for each time it was resumed.
    pub sittings: u32,
    /// The process that is running the suite, or ran it last.
    pub owner: Owner,
    /// The build of the tool.
    pub build: BuildInfo,
    /// The machine of the suite.
    pub env: EnvInfo,
    /// The cells of the matrix.
    pub cells: Vec<Cell>,
    /// The planted bugs that must be caught.
    pub canaries: Vec<Canary>,
    /// Figures that are worse than in earlier suites.
    pub trips: Vec<TrendWarning>,
}

/// A process, identified by pid and start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Owner {
    /// Process id.
    pub pid: u32,
    /// Start time, in clock ticks since boot.
    pub start_time: u64,
}

/// One combination of values in the matrix.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Cell {
    /// Name of the cell, such as `nodes=3,rounds=fast`; `base` without axes.
    pub name: String,
    /// Settings of the cell.
    pub settings: BTreeMap<String, String>,
    /// Number of runs that it should have.
    pub wanted: u32,
    /// Its runs in order, including retries.
    pub runs: Vec<SuiteRun>,
    /// Why runs are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
}

/// A planted bug that the suite must catch. Otherwise the suite proves nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Canary {
    /// Name of the bug.
    pub mutant: String,
    /// Number of runs within which it must be caught.
    pub within_runs: u32,
    /// Its runs in order.
    pub runs: Vec<SuiteRun>,
    /// Why runs are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
}

/// One run of a suite.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SuiteRun {
    /// Number of the repeat, from 1.
    pub repeat: u32,
    /// Number of the attempt, from 1. Only failures of the harness or the machine are retried.
    pub attempt: u32,
    /// Whether the run counts. An attempt that was retried does not count, but is still shown.
    pub counted: bool,
    /// The line of the run; its path is relative to the folder of all runs.
    pub run: RunLine,
}

/// A warning: a figure that is worse than in earlier suites.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TrendWarning {
    /// Name of the cell.
    pub cell: String,
    /// Name of the figure, with its unit.
    pub metric: String,
    /// Median over the latest suites.
    pub recent: f64,
    /// Median over the suites before those.
    pub baseline: f64,
    /// Factor by which it is worse: above 1, whichever direction is worse for the figure.
    pub worse_by: f64,
    /// The result of paired runs against an older binary in the same suite; absent if there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmation>,
}

/// The result of paired runs of this binary and an older one in the same suite.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Confirmation {
    /// Number of pairs that count.
    pub pairs: u32,
    /// Factor by which this binary is worse.
    pub ratio: f64,
    /// The 95 % interval of that factor.
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
            // An unfinished suite counts as inconclusive.
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
    /// Returns the text of the file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and numbers serialize") + "\n"
    }

    /// Parses the text of the file.
    ///
    /// # Errors
    /// A message that includes line and column.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let suite: SuiteResults = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if suite.schema == SCHEMA {
            Ok(suite)
        } else {
            Err(format!("schema `{}` is not `{SCHEMA}`, the one this version reads", suite.schema))
        }
    }

    /// Returns the number of cells with at least one run that counts.
    pub fn cells_run(&self) -> usize {
        self.cells.iter().filter(|c| c.counted().count() > 0).count()
    }

    /// Returns the minimum number of cells that must have such a run.
    pub fn cells_needed(&self) -> usize {
        self.min_cells.map_or(self.cells.len().div_ceil(2), |asked| asked as usize)
    }

    /// Returns the number of missing runs in cells that have at least one run.
    pub fn runs_missing(&self) -> usize {
        let started = self.cells.iter().filter(|c| c.counted().count() > 0);
        started.map(|c| (c.wanted as usize).saturating_sub(c.counted().count())).sum()
    }

    /// Returns all runs of the suite.
    pub fn runs(&self) -> impl Iterator<Item = &SuiteRun> {
        self.cells.iter().flat_map(|c| &c.runs).chain(self.canaries.iter().flat_map(|c| &c.runs))
    }
}

impl Cell {
    /// Returns the runs that count.
    pub fn counted(&self) -> impl Iterator<Item = &SuiteRun> {
        self.runs.iter().filter(|r| r.counted)
    }

    /// Whether all repeats have run.
    pub fn complete(&self) -> bool {
        self.counted().count() >= self.wanted as usize
    }

    /// Returns the exit codes of the runs that count.
    pub fn codes(&self) -> Vec<u8> {
        self.counted().map(SuiteRun::code).collect()
    }
}

impl Canary {
    /// Returns the number of the run that caught the bug, counted from 1.
    pub fn caught_after(&self) -> Option<u32> {
        let counted = self.runs.iter().filter(|r| r.counted);
        counted.enumerate().find(|(_, r)| r.code() == 1).map(|(i, _)| i as u32 + 1)
    }

    /// Whether the canary needs no further runs.
    pub fn complete(&self) -> bool {
        self.caught_after().is_some() || self.runs.iter().filter(|r| r.counted).count() >= self.within_runs as usize
    }
}

impl SuiteRun {
    /// Returns the exit code of the run.
    pub fn code(&self) -> u8 {
        u8::try_from(self.run.exit_code).unwrap_or(4)
    }
}

//! Parts shared by the results of comparisons and sweeps.

use super::results_json::{BuildInfo, EnvInfo, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// The fields that `compare.json` and `sweep.json` share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExperimentHead {
    /// Name of the preset or the plan.
    pub name: String,
    /// Whether the experiment has ended. An experiment that is still `running` but has no process was killed. A killed sweep can be
    /// continued with `heckle sweep --resume`.
    pub status: Status,
    /// The exit code of the command.
    pub exit_code: i32,
    /// The conclusions, one sentence each, most severe first.
    pub verdict: Vec<String>,
    /// At most three sentences for readers who do not look at charts. Empty if the figures do not support any.
    pub answer: Vec<String>,
    /// Start time of the experiment, such as `2026-01-31T12:00:00Z`.
    pub started_utc: String,
    /// Duration of the experiment, without the time between sessions.
    pub wall_s: f64,
    /// The seed that determines the seeds and the order of all runs, in hexadecimal: `0x…`.
    pub seed: String,
    /// The command that repeats the experiment.
    pub again: String,
    /// The build of the tool.
    pub build: BuildInfo,
    /// Build profile: `release` or `debug`.
    pub build_profile: String,
    /// The machine of the experiment.
    pub env: EnvInfo,
    /// Paths of files in the folder, by name.
    pub artifacts: BTreeMap<String, String>,
}

impl Default for ExperimentHead {
    fn default() -> Self {
        ExperimentHead {
            name: String::new(),
            status: Status::Running,
            // An unfinished experiment counts as inconclusive.
            exit_code: 2,
            verdict: vec![],
            answer: vec![],
            started_utc: String::new(),
            wall_s: 0.0,
            seed: String::new(),
            again: String::new(),
            build: BuildInfo::default(),
            build_profile: String::new(),
            env: EnvInfo::default(),
            artifacts: BTreeMap::new(),
        }
    }
}

/// A violation of correctness in an arm.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Disqualified {
    /// Path of the run, relative to the folder of the experiment.
    pub path: String,
    /// The violation.
    pub why: String,
}

/// Returns the text of a result.
pub(crate) fn to_text(result: &impl Serialize) -> String {
    serde_json::to_string_pretty(result).expect("strings, numbers and maps with string keys serialize") + "\n"
}

/// Parses the text of a result, which must name the schema that this version reads.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, schema: &str, schema_of: fn(&T) -> &str) -> Result<T, String> {
    let read: T = serde_json::from_str(text).map_err(|e| e.to_string())?;
    match schema_of(&read) {
        found if found == schema => Ok(read),
        found => Err(format!("schema `{found}` is not `{schema}`, the one this version reads")),
    }
}

/// Formats an arm with the settings that it adds to those common to all arms: `fast (rounds=fast)`.
pub fn arm_words(name: &str, settings: &BTreeMap<String, String>) -> String {
    let stated: Vec<String> = settings.iter().map(|(k, v)| format!("{k}={v}")).collect();
    if stated.is_empty() { name.to_owned() } else { format!("{name} ({})", stated.join(" ")) }
}

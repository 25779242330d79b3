//! Expands axes into cells. Every mistake in a matrix is found here, before the first run of a long night.

use crate::plan::settings::{Expect, Settings, SuiteSettings};
use crate::plan::units::Span;
use crate::plan::{Plan, keys};
use crate::systems::Systems;
use std::collections::BTreeMap;
use toml::Value;

/// Maximum number of cells. A larger number indicates a mistake in an axis.
const MAX_CELLS: usize = 4_096;
/// Maximum number of runs of a cell or canary.
const MAX_REPEAT: u32 = 1_000;

/// A validated matrix.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// The plan's name.
    pub name: String,
    /// Number of runs of each cell.
    pub repeat: u32,
    /// Time limit of a session, if the plan or the command line sets one.
    pub budget: Option<Span>,
    /// The cells of this shard, by name.
    pub cells: Vec<CellPlan>,
    /// Planted bugs that must be caught. Every shard includes all of them, since each machine must prove that it catches them.
    pub canaries: Vec<CanaryPlan>,
}

/// Context for expanding a matrix.
pub struct ExpansionContext<'a> {
    /// The systems that a cell can name.
    pub systems: Systems,
    /// Completes the settings of a cell: a planted bug adds the plan that exposes it.
    ///
    /// # Errors
    /// If there is no such planted bug.
    pub complete: &'a dyn Fn(Settings) -> Result<Settings, String>,
}

/// One combination of values in the matrix.
#[derive(Debug, Clone)]
pub struct CellPlan {
    /// `nodes=5,rounds=fast`, or `base` without axes.
    pub name: String,
    /// Values of the axes, by key.
    pub labels: BTreeMap<String, String>,
    /// The complete plan of its runs, without the seed.
    pub settings: Settings,
    /// Estimated duration of a run, for a cell without previous runs.
    pub estimate: Span,
}

/// One planted bug.
#[derive(Debug, Clone)]
pub struct CanaryPlan {
    /// Name of the mutant.
    pub mutant: String,
    /// Number of runs within which it must be caught.
    pub within_runs: u32,
    /// The complete plan of its runs.
    pub settings: Settings,
    /// Estimated duration of a run.
    pub estimate: Span,
}

/// Part `index` of `of`, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Number of this part.
    pub index: u32,
    /// Number of parts.
    pub of: u32,
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parsed {
            Some((index, of)) if (1..=of).contains(&index) && of <= 1_000 => Ok(Shard { index, of }),
            _ => Err(format!("shard `{text}` is not of the form i/n with 1 <= i <= n, such as 2/3")),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl Matrix {
    /// Expands the matrix of `plan`, with the changes of `profile`, and keeps the part that belongs to `shard`.
    ///
    /// # Errors
    /// Describes what is wrong, and in which cell.
    pub fn of(plan: &Settings, known: &ExpansionContext<'_>, profile: Option<&str>, shard: Option<Shard>) -> Result<Matrix, String> {
        let suite = with_profile(plan.suite.clone().unwrap_or_default(), profile)?;
        let base = Settings { suite: None, canary: vec![], ..plan.clone() };
        let repeat = suite.repeat.unwrap_or(1);
        if !(1..=MAX_REPEAT).contains(&repeat) {
            return Err(format!("suite.repeat = {repeat} is not between 1 and {MAX_REPEAT}"));
        }
        let name = Plan::resolve(&base, known.systems)?.name;
        let mut cells = expand(&base, &suite, known)?;
        cells.sort_by(|a, b| a.name.cmp(&b.name));
        let mut folders = BTreeMap::new();
        for cell in &cells {
            let folder = super::run_name::run_name(&cell.name);
            if let Some(other) = folders.insert(folder.clone(), &cell.name) {
                return Err(format!("cells {other} and {} would share the folder `{folder}`: leave one out", cell.name));
            }
        }
        if let Some(Shard { index, of }) = shard {
            // Split by position in the sorted list: every machine computes the same split, and the parts are of equal size.
            cells = cells.into_iter().enumerate().filter(|(i, _)| *i as u32 % of == index - 1).map(|(_, c)| c).collect();
        }
        if plan.canary.len() > MAX_CELLS || suite.exclude.len() > MAX_CELLS {
            return Err(format!("a suite has at most {MAX_CELLS} [[canary]] and {MAX_CELLS} [[suite.exclude]] entries"));
        }
        let canaries = plan
            .canary
            .iter()
            .map(|c| build_canary(&base, known, &c.mutant, c.within_runs.unwrap_or(1), &c.set))
            .collect::<Result<_, _>>()?;
        Ok(Matrix { name, repeat, budget: suite.budget, cells, canaries })
    }

    /// Hashes the matrix without its seed: an interrupted suite is resumed only with the same matrix.
    pub fn hash(&self) -> String {
        let text = |settings: &Settings| toml::to_string(settings).expect("settings have a TOML form");
        let cells = self.cells.iter().map(|c| format!("{}\n{}", c.name, text(&c.settings)));
        let canaries = self.canaries.iter().map(|c| format!("{} {}\n{}", c.mutant, c.within_runs, text(&c.settings)));
        let all: String = std::iter::once(format!("{}", self.repeat)).chain(cells).chain(canaries).collect::<Vec<_>>().join("\n");
        format!("{:016x}", heckle_history::prng::Seed(0).part(&all).0)
    }
}

fn with_profile(mut suite: SuiteSettings, profile: Option<&str>) -> Result<SuiteSettings, String> {
    let Some(name) = profile else { return Ok(suite) };
    let Some(over) = suite.profile.get(name).cloned() else {
        let all: Vec<&str> = suite.profile.keys().map(String::as_str).collect();
        let there = if all.is_empty() {
            "the plan has none; write [suite.profile.NAME]".to_owned()
        } else {
            crate::plan::file::did_you_mean(name, &all)
        };
        return Err(format!("there is no profile `{name}`; {there}"));
    };
    suite.budget = over.budget.or(suite.budget);
    suite.repeat = over.repeat.or(suite.repeat);
    suite.axes.extend(over.axes);
    Ok(suite)
}

fn expand(base: &Settings, suite: &SuiteSettings, known: &ExpansionContext<'_>) -> Result<Vec<CellPlan>, String> {
    let mut points: Vec<Vec<(&str, &Value)>> = vec![vec![]];
    for (key, values) in &suite.axes {
        if values.is_empty() {
            return Err(format!("suite.axes.{key} is empty: an axis has one value or more"));
        }
        if points.len().saturating_mul(values.len()) > MAX_CELLS {
            return Err(format!("the matrix has over {MAX_CELLS} cells: shorten an axis"));
        }
        points = points.iter().flat_map(|p| values.iter().map(move |v| p.iter().copied().chain([(key.as_str(), v)]).collect())).collect();
    }
    for exclude in &suite.exclude {
        if let Some(key) = exclude.keys().find(|k| !suite.axes.contains_key(*k)) {
            let all: Vec<&str> = suite.axes.keys().map(String::as_str).collect();
            return Err(format!("[[suite.exclude]] names `{key}`, which is not an axis; {}", crate::plan::file::did_you_mean(key, &all)));
        }
    }
    let excluded = |point: &[(&str, &Value)]| {
        suite.exclude.iter().any(|e| !e.is_empty() && e.iter().all(|(key, v)| point.iter().any(|(k, value)| k == key && *value == v)))
    };
    let kept: Vec<_> = points.into_iter().filter(|p| !excluded(p)).collect();
    if kept.is_empty() {
        return Err("every cell of the matrix is excluded".into());
    }
    kept.into_iter().map(|point| build_cell(base, &point, known)).collect()
}

fn build_cell(base: &Settings, point: &[(&str, &Value)], known: &ExpansionContext<'_>) -> Result<CellPlan, String> {
    let labels: BTreeMap<String, String> = point.iter().map(|(k, v)| ((*k).to_owned(), format_value(v))).collect();
    let name =
        if point.is_empty() { "base".to_owned() } else { labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",") };
    let mut settings = base.clone();
    for (key, value) in point {
        settings = settings.overlaid(&keys::one(key, value, known.systems).map_err(|e| format!("suite.axes: {e}"))?);
    }
    let settings = (known.complete)(settings)?;
    let plan = Plan::resolve(&settings, known.systems).map_err(|e| format!("cell {name}: {e}"))?;
    Ok(CellPlan { name, labels, estimate: estimate(&plan), settings })
}

fn build_canary(
    base: &Settings,
    known: &ExpansionContext<'_>,
    mutant: &str,
    within_runs: u32,
    set: &BTreeMap<String, Value>,
) -> Result<CanaryPlan, String> {
    let of_canary = |e: String| format!("canary {mutant}: {e}");
    if !(1..=MAX_REPEAT).contains(&within_runs) {
        return Err(of_canary(format!("within_runs = {within_runs} is not between 1 and {MAX_REPEAT}")));
    }
    // A canary runs under the plan that exposes it, not under the nightly load.
    let mut settings = Settings { schema: base.schema.clone(), expect: Some(Expect::Valid), ..Settings::default() };
    settings.cluster.mutant = Some(mutant.to_owned());
    for (key, value) in set {
        settings = settings.overlaid(&keys::one(key, value, known.systems).map_err(of_canary)?);
    }
    let settings = (known.complete)(settings)?;
    let plan = Plan::resolve(&settings, known.systems).map_err(of_canary)?;
    Ok(CanaryPlan { mutant: mutant.to_owned(), within_runs, estimate: estimate(&plan), settings })
}

/// Returns the sum of warm-up, window and tail, plus the usual time for starting, final reads and judging.
fn estimate(plan: &Plan) -> Span {
    const OVERHEAD: std::time::Duration = std::time::Duration::from_secs(5);
    Span(plan.warmup.0 + plan.duration.0 + plan.quiet_tail.0 + OVERHEAD)
}

fn format_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(format_value).collect::<Vec<_>>().join("+"),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Table(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::file;

    fn matrix(text: &str, profile: Option<&str>, shard: Option<Shard>) -> Result<Matrix, String> {
        let text = format!("schema = \"heckle.plan/1\"\nname = \"n\"\n[load]\nduration = \"2s\"\n{text}");
        Matrix::of(&file::parse(&text, "p.toml", crate::testing::SYSTEMS)?, &crate::testing::of_matrix(), profile, shard)
    }

    fn names(text: &str, profile: Option<&str>, shard: Option<Shard>) -> Vec<String> {
        matrix(text, profile, shard).expect("makes sense").cells.into_iter().map(|c| c.name).collect()
    }

    const AXES: &str = "[suite.axes]\nbackoff = [\"none\", \"uniform\"]\nnodes = [3, 5]\n";

    #[test]
    fn axes_multiply_and_excludes_remove_cells() {
        assert_eq!(
            names(AXES, None, None),
            ["backoff=none,nodes=3", "backoff=none,nodes=5", "backoff=uniform,nodes=3", "backoff=uniform,nodes=5"]
        );
        let some = format!("{AXES}[[suite.exclude]]\nbackoff = \"none\"\nnodes = 5\n[[suite.exclude]]\nbackoff = \"uniform\"\n");
        assert_eq!(names(&some, None, None), ["backoff=none,nodes=3"]);
        assert_eq!(names("", None, None), ["base"]);
        let cells = matrix(AXES, None, None).expect("makes sense").cells;
        assert_eq!((cells[1].settings.cluster.nodes, cells[1].settings.cluster.of_system["backoff"].as_str()), (Some(5), Some("none")));
    }

    #[test]
    fn shards_cover_the_matrix_once() {
        let of = |index| names(AXES, None, Some(Shard { index, of: 3 }));
        let mut all: Vec<String> = [of(1), of(2), of(3)].concat();
        all.sort();
        assert_eq!(all, names(AXES, None, None));
        assert_eq!("2/3".parse(), Ok(Shard { index: 2, of: 3 }));
        for bad in ["0/3", "4/3", "3", "a/b"] {
            assert!(bad.parse::<Shard>().unwrap_err().contains("i/n"), "{bad}");
        }
    }

    #[test]
    fn a_profile_overrides_settings() {
        let text = format!("{AXES}[suite.profile.small]\nrepeat = 2\nbudget = \"1m\"\naxes = {{ nodes = [3] }}\n");
        assert_eq!(names(&text, Some("small"), None), ["backoff=none,nodes=3", "backoff=uniform,nodes=3"]);
        let small = matrix(&text, Some("small"), None).expect("makes sense");
        assert_eq!((small.repeat, small.budget), (2, Some(Span::ms(60_000))));
        assert!(matrix(&text, Some("smal"), None).unwrap_err().contains("did you mean `small`"));
    }

    #[test]
    fn mistakes_in_a_matrix_are_found() {
        let refused = |text: &str, part: &str| {
            let error = matrix(text, None, None).expect_err("refused");
            assert!(error.contains(part), "`{error}` does not say `{part}`");
        };
        refused("[suite.axes]\nbackof = [\"none\"]\n", "did you mean `backoff`");
        refused("[suite.axes]\nbackoff = [\"nome\"]\n", "cell backoff=nome");
        refused("[suite.axes]\nbackoff = []\n", "empty");
        refused(&format!("{AXES}[[suite.exclude]]\nnode = 3\n"), "not an axis");
        refused("[[canary]]\nmutant = \"answer-befor-write\"\n", "did you mean `answer-before-write`");
        refused("[[canary]]\nmutant = \"answer-before-write\"\nwithin_runs = 0\n", "within_runs");
        refused("[suite]\nrepeat = 0\n", "repeat");
        refused("[suite]\nrepet = 1\n", "did you mean `repeat`");
    }

    #[test]
    fn a_canary_uses_its_exposing_plan_and_changes_the_hash() {
        let text = format!("{AXES}[[canary]]\nmutant = \"answer-before-write\"\nwithin_runs = 2\n");
        let with = matrix(&text, None, None).expect("makes sense");
        assert_eq!(with.canaries[0].settings.faults.kinds, Some(vec!["kill-all".to_owned()]));
        assert_eq!(with.hash(), matrix(&text, None, None).expect("makes sense").hash());
        assert_ne!(with.hash(), matrix(AXES, None, None).expect("makes sense").hash());
    }
}

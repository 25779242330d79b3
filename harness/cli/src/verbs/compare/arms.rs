//! The arms of a comparison, read from flags, plan or preset. Each arm is applied to the common settings and checked against the
//! others before the first run. Arms differ only in the settings that they state.

use crate::cli::CompareArgs;
use crate::plan::settings::{ArmSettings, ArmValue, Expect, Settings};
use crate::plan::units::Rate;
use crate::plan::{Plan, file, keys};
use crate::plans;
use crate::verbs::mutants::apply_to_exposing_plan;
use heckle_history::prng::Seed;
use heckle_results::compare::figures::Clients;
use rand::RngExt;
use std::collections::BTreeMap;

/// Default number of pairs.
const PAIRS: u32 = 10;
/// Maximum number of pairs. More would take days.
const MAX_PAIRS: u32 = 1_000;
/// Maximum number of arms. More would not fit into a table.
const MAX_ARMS: usize = 6;
/// Maximum length of an arm's name, in characters.
const MAX_NAME: usize = 32;

/// One arm, with its settings.
#[derive(Debug, Clone)]
pub(in crate::verbs) struct ArmPlan {
    /// Its name, which is also the name of the folder of its runs.
    pub(in crate::verbs) name: String,
    /// The settings that it states, exactly as written.
    pub(in crate::verbs) stated: BTreeMap<String, String>,
    /// The common settings, overridden by its own.
    pub(in crate::verbs) settings: Settings,
}

/// A validated comparison.
#[derive(Debug, Clone)]
pub(super) struct Experiment {
    /// Its name, which is also the name of its folder.
    pub(super) name: String,
    /// The seed from which the order and the seeds of all runs are derived.
    pub(super) seed: Seed,
    /// The arms. The first one is the reference.
    pub(super) arms: Vec<ArmPlan>,
    /// Number of pairs of runs.
    pub(super) pairs: u32,
    /// Whether to run all pairs, even if too many were dropped to support any claim.
    pub(super) finish: bool,
    /// Whether all arms are the same (`--aa`).
    pub(super) aa: bool,
    /// Maximum share of the machine that other processes may use.
    pub(super) noise_limit: f64,
    pub(super) late_limit: f64,
    /// The rate of all arms.
    pub(super) rate: Rate,
    /// Whether arms differ in how they bound state, by pruning or by time to live.
    pub(super) state_differs: bool,
    /// Planned length of a run.
    pub(super) run_for: std::time::Duration,
    /// Whether clients of the workload contend, which determines the primary figures.
    pub(super) clients: Clients,
    /// The kinds of faults in every run.
    pub(super) faults: Vec<String>,
}

/// Checks everything that can be checked before the first run.
///
/// # Errors
/// The invalid setting, and the valid ones.
pub(super) fn experiment(args: &CompareArgs) -> Result<Experiment, String> {
    let (base, name, arms) = read_arms(args)?;
    let seed = match args.arms.seed.as_deref().or(base.seed.as_deref()) {
        None | Some("random") => Seed(rand::random()),
        Some(text) => text.parse()?,
    };
    let pairs = args.pairs.unwrap_or(PAIRS);
    if pairs == 0 || pairs > MAX_PAIRS {
        return Err(format!("--pairs {pairs} is not between 1 and {MAX_PAIRS}"));
    }
    let noise_limit = args.noise_limit.unwrap_or(heckle_results::compare::runs::NOISE_LIMIT);
    let late_limit = args.late_limit.unwrap_or(heckle_results::measure::LATE_RATIO_LIMIT);
    if !(0.0..=1.0).contains(&late_limit) {
        return Err(format!("--late-limit {late_limit}: a share of the ops is between 0 and 1"));
    }
    if !(0.0..=1.0).contains(&noise_limit) {
        return Err(format!("--noise-limit {noise_limit}: a share of the machine is between 0 and 1"));
    }
    let arms = arms.into_iter().map(|(name, stated)| arm(&base, name, stated)).collect::<Result<Vec<ArmPlan>, String>>()?;
    let arms = arms_to_run(arms, args.aa)?;
    let mut experiment = Experiment {
        name,
        seed,
        arms,
        pairs,
        finish: args.finish,
        aa: args.aa,
        noise_limit,
        late_limit,
        rate: Rate::Max,
        state_differs: false,
        run_for: std::time::Duration::ZERO,
        clients: Clients::Independent,
        faults: vec![],
    };
    let plans = (0..experiment.arms.len()).map(|i| experiment.plan(i, 1)).collect::<Result<Vec<Plan>, String>>()?;
    check_comparable(&experiment.arms, &plans)?;
    experiment.rate = plans[0].rate;
    experiment.clients = if plans[0].workload.has_intents() { Clients::Contend } else { Clients::Independent };
    experiment.faults = plans[0].faults.iter().map(ToString::to_string).collect();
    let of_state = |plan: &Plan| ["prune", "paxos_ttl"].map(|key| plan.system.settings().get(key).cloned());
    experiment.state_differs = plans.iter().any(|plan| of_state(plan) != of_state(&plans[0]));
    experiment.run_for = plans.iter().map(|p| p.warmup.0 + p.duration.0 + p.quiet_tail.0).max().unwrap_or_default();
    Ok(experiment)
}

/// The settings that an arm states.
pub(in crate::verbs) type Stated = BTreeMap<String, String>;
/// An arm's name and settings.
pub(in crate::verbs) type Named = (String, Stated);

/// Returns the common settings, the name of the comparison, and the name and settings of each arm.
fn read_arms(args: &CompareArgs) -> Result<(Settings, String, Vec<Named>), String> {
    let flags = args.settings.settings();
    let file = match (&args.plan, &args.preset) {
        (Some(plan), _) => plans::read(plan)?,
        (None, Some(preset)) => fit_load(self::preset(preset)?.settings(), &flags, !args.output.quiet),
        (None, None) => Settings::default(),
    };
    let from_flags = args.arms.arms.iter().map(|arm| parse_arm(arm)).collect::<Result<Vec<_>, String>>()?;
    let mut arms = if from_flags.is_empty() { file.arm.iter().map(arm_from_file).collect() } else { from_flags };
    let name = file.name.clone().unwrap_or_else(|| "compare".to_owned());
    let mut base = apply_to_exposing_plan(file.overlaid(&flags), !args.output.quiet)?;
    base.arm.clear();
    match (arms.len(), args.aa) {
        (0, false) => {
            return Err(
                "there is nothing to compare: name arms, as in --arm a:backoff=uniform --arm b:backoff=none, or a --preset, or use --aa"
                    .into(),
            );
        }
        (0, true) => arms.push(("a".into(), Stated::new())),
        // A single arm is compared with the unmodified plan.
        (1, false) => arms.insert(0, ("as-planned".into(), Stated::new())),
        _ => {}
    }
    Ok((base, name, arms))
}

/// Drops a preset's load settings if a flag names another workload: a rate that suits one workload may be far too low or too high
/// for another, whose runs would then not count.
fn fit_load(mut preset: Settings, flags: &Settings, notify: bool) -> Settings {
    let Some(workload) = flags.load.workload.as_deref().filter(|w| preset.load.workload.as_deref() != Some(w)) else { return preset };
    let rate = preset.load.rate.take();
    preset.load.intent_timeout = None;
    if let (Some(rate), None, true) = (rate, flags.load.rate, notify) {
        let own = preset.load.workload.as_deref().unwrap_or("its own");
        errln!("the preset's rate of {rate} is for workload {own}; {workload} runs at its own default rate (--rate sets another)");
    }
    preset
}

/// Finds the comparison named by `--preset`.
fn preset(name: &str) -> Result<&'static plans::Embedded, String> {
    let all: Vec<&str> = plans::presets().map(|(name, _)| name).collect();
    let found = plans::presets().find(|(preset, _)| *preset == name);
    found.map(|(_, plan)| plan).ok_or_else(|| format!("there is no preset `{name}`; {}", file::did_you_mean(name, &all)))
}

/// Parses `name:key=value,key=value`. A comma is part of a value unless a key follows it.
pub(in crate::verbs) fn parse_arm(text: &str) -> Result<Named, String> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let mut stated = Stated::new();
    let mut last: Option<String> = None;
    for piece in rest.split(',').filter(|p| !p.trim().is_empty()) {
        match (piece.split_once('='), &last) {
            (Some((key, value)), _) => {
                let key = key.trim().replace('-', "_");
                if stated.insert(key.clone(), value.trim().to_owned()).is_some() {
                    return Err(format!("--arm {text}: `{key}` occurs twice"));
                }
                last = Some(key);
            }
            (None, Some(key)) => *stated.get_mut(key).expect("it was just put there") += &format!(",{}", piece.trim()),
            (None, None) => return Err(format!("--arm {text}: write NAME:KEY=VALUE, as in new:backoff=none")),
        }
    }
    Ok((name.trim().to_owned(), stated))
}

/// Returns the name and settings of an `[[arm]]` entry.
pub(in crate::verbs) fn arm_from_file(arm: &ArmSettings) -> Named {
    let text = |value: &ArmValue| match value {
        ArmValue::Whole(n) => n.to_string(),
        ArmValue::Number(x) => x.to_string(),
        ArmValue::Text(words) => words.clone(),
        ArmValue::List(words) => words.join(","),
    };
    (arm.name.clone(), arm.settings.iter().map(|(k, v)| (k.clone(), text(v))).collect())
}

/// Applies the settings of an arm to the common ones.
///
/// # Errors
/// If its name or a setting is invalid.
pub(in crate::verbs) fn arm(base: &Settings, name: String, stated: Stated) -> Result<ArmPlan, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.chars().all(fits) {
        return Err(format!("arm `{name}`: its name is that of a folder, so use up to {MAX_NAME} letters, digits, `-`, `_` and `.`"));
    }
    if matches!(name.as_str(), "latest" | "latest-failed" | "plots") {
        return Err(format!("arm `{name}`: that name is taken in the comparison's folder"));
    }
    let mut settings = base.clone();
    for (key, value) in &stated {
        let one = keys::one_of_text(key, value, crate::systems::all()).map_err(|e| format!("arm `{name}`: {e}"))?;
        settings = settings.overlaid(&one);
    }
    Ok(ArmPlan { name, stated, settings })
}

/// Returns the arms to run: with `--aa` the first one twice, otherwise all of them, which must differ.
pub(in crate::verbs) fn arms_to_run(mut arms: Vec<ArmPlan>, aa: bool) -> Result<Vec<ArmPlan>, String> {
    if aa {
        let mut again = arms[0].clone();
        again.name += "-again";
        arms.truncate(1);
        arms.push(again);
        return Ok(arms);
    }
    if arms.len() > MAX_ARMS {
        return Err(format!("{} arms are more than {MAX_ARMS}", arms.len()));
    }
    for (i, arm) in arms.iter().enumerate() {
        if arms[..i].iter().any(|a| a.name == arm.name) {
            return Err(format!("two arms are called `{}`", arm.name));
        }
        if let Some(twin) = arms[..i].iter().find(|a| a.settings == arm.settings) {
            return Err(format!("arms `{}` and `{}` state the same; --aa runs one arm twice to show the noise", twin.name, arm.name));
        }
    }
    Ok(arms)
}

/// Checks that the settings that make runs comparable are the same in all arms.
fn check_comparable(arms: &[ArmPlan], plans: &[Plan]) -> Result<(), String> {
    let first = (&arms[0].name, &plans[0]);
    for (arm, plan) in arms.iter().zip(plans) {
        if plan.expect == Expect::Invalid {
            return Err("the plan expects a violation, and an arm with a violation is disqualified: compare plans that expect none".into());
        }
        if plan.injections != first.1.injections {
            return Err(format!(
                "arms `{}` and `{}` would meet different faults: let them differ in what does not change the schedule",
                first.0, arm.name
            ));
        }
        if plan.window() != first.1.window() {
            return Err(format!(
                "arms `{}` and `{}` are loaded at different times: warmup and duration are shared by all arms",
                first.0, arm.name
            ));
        }
        if plan.rate != first.1.rate {
            return Err(format!(
                "arms `{}` and `{}` are asked for different rates: equal offered load and saturation are compared apart",
                first.0, arm.name
            ));
        }
    }
    // One arm may state explicitly what is the other's default.
    let nameless = |plan: &Plan| Settings { name: None, ..plan.resolved.clone() };
    for (i, plan) in plans.iter().enumerate() {
        let twin = (0..i).find(|j| nameless(&plans[*j]) == nameless(plan) && arms[*j].settings != arms[i].settings);
        if let Some(j) = twin {
            return Err(format!(
                "arms `{}` and `{}` come to the same plan: what one states is what the other has anyway",
                arms[j].name, arms[i].name
            ));
        }
    }
    Ok(())
}

impl Experiment {
    /// Returns the plan of an arm's run in a pair. All arms of a pair share its seed, and therefore its schedule.
    ///
    /// # Errors
    /// If the arm's settings are invalid.
    pub(super) fn plan(&self, arm: usize, pair: u32) -> Result<Plan, String> {
        let arm = &self.arms[arm];
        let mut settings = arm.settings.clone();
        settings.name = Some(arm.name.clone());
        settings.seed = Some(self.pair_seed(pair).to_string());
        Plan::resolve(&settings, crate::systems::all()).map_err(|e| format!("arm `{}`: {e}", arm.name))
    }

    /// Returns the seed of all runs of a pair.
    pub(super) fn pair_seed(&self, pair: u32) -> Seed {
        self.seed.part(&format!("pair/{pair}"))
    }

    /// Returns the order of the arms within a pair, which is drawn separately for each pair. A drift of the machine thus affects
    /// all arms alike, which is the only assumption of the sign-flip tests.
    pub(super) fn order(&self, pair: u32) -> Vec<usize> {
        let mut rng = self.seed.stream(&format!("order/{pair}"));
        let mut order: Vec<usize> = (0..self.arms.len()).collect();
        // Fisher-Yates shuffle.
        for i in (1..order.len()).rev() {
            order.swap(i, rng.random_range(0..=i));
        }
        order
    }
}

#[cfg(test)]
mod tests;

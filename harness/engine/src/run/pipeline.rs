//! A run from plan to report, shared by `heckle run`, `demo`, `rerun` and `compare`.

use super::report::{log, read_history};
use super::{RunOptions, coverage, environment, live_file, progress, recheck};
use crate::load::live::Live;
use crate::load::phase::Phase;
use crate::plan::Plan;
use crate::plan::settings::Expect;
use crate::plan::units::Rate;
use crate::{exit, limits, machine};
use heckle_checker::judge::Checker;
use heckle_faults::schedule_file;
use heckle_results::conclude::Ending;
use heckle_results::gates::Expression;
use heckle_results::results_json::{self, BuildInfo, EnvInfo, PlanInfo, Results};
use heckle_results::terms::{Need, Terms};
use heckle_results::utc::UnixSeconds;
use heckle_results::{RunFolder, artifacts, rerun};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A run to be executed.
pub struct Job {
    /// The plan.
    pub plan: Plan,
    /// Limits on the run's figures.
    pub gates: Vec<Expression>,
    /// The parent folder of the run's folder.
    pub out: PathBuf,
    /// The engines that judge.
    pub checker: Checker,
    /// Options that do not affect the plan.
    pub options: RunOptions,
    /// The commit that this program is built from.
    pub build: BuildInfo,
    /// A warning to show next to the verdict.
    pub warning: Option<String>,
}

/// Runs the plan, judges it, draws charts and stores everything. Any error that occurs once the folder exists is recorded in its results.
///
/// # Errors
/// If the folder cannot be created or written completely.
pub fn perform(job: &Job) -> Result<(RunFolder, Results), String> {
    let plan = &job.plan;
    limits::forget();
    limits::check(plan)?;
    let mut terms = terms(job);
    let mut results = Results { seed: plan.seed.to_string(), ..Results::for_terms(&terms) };
    let started = UnixSeconds(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()));
    let folder = RunFolder::create(&job.out, &plan.name, started, rand::random(), &mut results)
        .map_err(|e| format!("cannot keep a run: {e}; name a writable folder with --out"))?;
    let live = Arc::new(Live::default());
    // The progress display also covers the time after the load, since judging and drawing may take longer than the load.
    let shown = progress::Progress::start(plan, live.clone(), job.options.progress);
    let watched = live_file::LiveFile::start(plan, &folder, live.clone());
    let began = Instant::now();
    prepare(job, &folder, &mut results).map_err(|e| format!("cannot write the run's folder: {e}"))?;
    terms.env = results.env.clone();
    let ending = super::run(plan, &folder, job.options, &terms, &live);
    let wall_s = (began.elapsed().as_secs_f64() * 1e3).round() / 1e3;
    let written = judge_and_write(&folder, &terms, Results { wall_s, ..results }, &ending, started, &live);
    drop(shown);
    drop(watched);
    let results = written.map_err(|e| format!("cannot write the run's folder: {e}"))?;
    remove_spares(&folder);
    if results.exit_code == 0 {
        // Data folders help to explain a failure. After a valid run they only fill the disk.
        for node in 1..=plan.nodes {
            let _ = std::fs::remove_dir_all(folder.node(&format!("n{node}")).join("data"));
        }
    }
    Ok((folder, results))
}

/// Removes files preallocated by nodes. They are useless once the nodes are gone, and take up most of the space.
fn remove_spares(folder: &RunFolder) {
    let entries = |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten();
    for node in entries(folder.path("nodes")) {
        let unfinished = entries(node.path().join("data")).filter(|e| e.path().extension().is_some_and(|x| x == "tmp"));
        unfinished.for_each(|e| drop(std::fs::remove_file(e.path())));
    }
}

/// Returns the terms of the run. All of them are fixed before it begins.
fn terms(job: &Job) -> Terms {
    let plan = &job.plan;
    let expect = match plan.expect {
        Expect::Valid => results_json::Expect::Valid,
        Expect::Invalid => results_json::Expect::Invalid,
    };
    let mut labels = vec![("system", plan.system.name().to_owned()), ("nodes", plan.nodes.to_string())];
    labels.extend(plan.system.labels());
    let labels = labels.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    Terms {
        plan: PlanInfo { name: plan.name.clone(), hash: plan.hash(), labels, expect },
        build: job.build.clone(),
        env: EnvInfo::default(),
        target_per_s: match plan.rate {
            Rate::PerSecond(r) => Some(r),
            Rate::Max => None,
        },
        max_rate: plan.rate == Rate::Max,
        think_ms: (plan.think.0 > std::time::Duration::ZERO).then(|| plan.think.nanos().as_ms_f64()),
        coverage: coverage::rules(plan).into_iter().map(|r| Need { id: r.id, need: r.need }).collect(),
        gates: job.gates.iter().map(|g| g.text().to_owned()).collect(),
        checker: job.checker.name().to_owned(),
        notes: job.warning.iter().chain(&job.plan.faults_left_out).cloned().collect(),
    }
}

/// Writes the files that precede the run, which suffice to run it again.
fn prepare(job: &Job, folder: &RunFolder, results: &mut Results) -> std::io::Result<()> {
    let mut env = environment::gather(folder.root(), job.build.clone());
    env.system_version = job.plan.system.version();
    results.env = env.info();
    folder.write("env.json", env.to_json().as_bytes())?;
    let resolved = toml::to_string(&job.plan.resolved).map_err(std::io::Error::other)?;
    folder.write("plan.resolved.toml", resolved.as_bytes())?;
    if job.plan.names_programs() {
        machine::seal_plan(folder, &resolved)?;
    }
    folder.write("schedule.jsonl", schedule_file::format(&job.plan.injections).as_bytes())?;
    let args: Vec<String> = job.gates.iter().skip(job.plan.gates.len()).flat_map(|g| ["--gate".to_owned(), g.text().to_owned()]).collect();
    folder.write("rerun.sh", rerun::script(&results.seed, &args).as_bytes())?;
    folder.write_results(results)
}

/// Judges the recorded history and writes everything. `before` holds the results as written before the run.
fn judge_and_write(
    folder: &RunFolder,
    terms: &Terms,
    before: Results,
    ending: &Ending,
    started: UnixSeconds,
    live: &Live,
) -> std::io::Result<Results> {
    live.enter(Phase::Judging);
    let judged = read_history(&folder.history()).and_then(|history| recheck::judge_run(history, terms, None, Some(live)));
    let (judged, mut results) = match judged {
        Ok(judged) => judged,
        Err(e) => {
            let why = match ending {
                Ending::Failed(why) => why.clone(),
                Ending::Done | Ending::Interrupted | Ending::Aborted(_) => e,
            };
            let mut results = before;
            results.conclude(&Ending::Failed(why));
            folder.finish(&results)?;
            return Ok(results);
        }
    };
    live.enter(Phase::Drawing);
    results.wall_s = before.wall_s;
    // The end record contains the same ending, unless it could not be written.
    results.conclude(ending);
    folder.write("heckle.log", log(&judged.history).as_bytes())?;
    judged.write_violations(folder)?;
    artifacts::write_all(folder, &judged.history, &mut results, started.0)?;
    Ok(results)
}

/// Returns the exit code of a finished run.
pub fn exit_code(results: &Results) -> u8 {
    u8::try_from(results.exit_code).unwrap_or(exit::BROKEN)
}

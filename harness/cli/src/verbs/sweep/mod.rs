//! `heckle sweep`: runs the same plan at several values of one setting and reports the curve, its knee, or the highest sustainable
//! rate. See `docs/sweep.md`.

mod request; // turns flags and a plan into a validated sweep
mod resume; // reads the folder of an earlier sweep

use crate::build_info::build_info;
use crate::cli::SweepArgs;
use crate::exit;
use crate::limits;
use crate::run::environment;
use crate::stop;
use crate::sweep::design::{Spec, plan_text};
use crate::sweep::drive::{Made, SweepEnvironment, drive};
use crate::sweep::order::Cell;
use crate::sweep::runner::{self, Common};
use heckle_results::experiment::ExperimentHead;
use heckle_results::gates::Expression;
use heckle_results::rerun;
use heckle_results::results_json::{BuildInfo, Status};
use heckle_results::summary::View;
use heckle_results::sweep::conclude::conclude;
use heckle_results::sweep::folder::SweepFolder;
use heckle_results::sweep::{Sweep, text};
use heckle_results::utc::UnixSeconds;
use request::Request;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A sweep that is ready to begin: its design, its folder and its results so far.
struct Session {
    spec: Spec,
    folder: SweepFolder,
    sweep: Sweep,
    /// Time limit of this session.
    budget: Option<Duration>,
}

/// Runs the verb.
pub(super) fn main(args: &SweepArgs) -> ExitCode {
    let session = match &args.resume {
        Some(folder) => match resume::session(folder, args) {
            Ok(session) => session,
            Err(e) => return super::usage("sweep", &e),
        },
        None => {
            let request = match request::request(args) {
                Ok(request) => request,
                Err(e) => return super::usage("sweep", &e),
            };
            match begin(request, args) {
                Ok(session) => session,
                Err(e) => return super::broken("sweep", &e),
            }
        }
    };
    stop::catch_interrupts();
    if !args.output.quiet {
        err!("{}", text::announcement(&session.sweep));
    }
    match sweep(session, args) {
        Ok((folder, sweep)) => {
            if args.output.json {
                outln!("{}", sweep.to_json().trim_end());
            } else {
                let shown = super::relative_to_here(folder.root()).display().to_string();
                out!("{}", text::text(&sweep, View { folder: &shown, width: super::width(), colour: super::colour() }));
            }
            ExitCode::from(u8::try_from(sweep.head.exit_code).unwrap_or(exit::BROKEN))
        }
        Err(e) => super::broken("sweep", &e),
    }
}

/// Creates the folder of a new sweep, with all files that `--resume` needs.
fn begin(request: Request, args: &SweepArgs) -> Result<Session, String> {
    let Request { spec, name, design, budget } = request;
    check_limits(&spec)?;
    let started = UnixSeconds(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()));
    let mut sweep = Sweep {
        head: ExperimentHead {
            name: name.clone(),
            seed: spec.seed.to_string(),
            again: repeat_command(&spec),
            build: build_info(),
            ..ExperimentHead::default()
        },
        arms: spec.describe_arms()?,
        design,
        ..Sweep::default()
    };
    let folder = SweepFolder::create(&args.out.out, &name, started, rand::random(), &mut sweep)
        .map_err(|e| format!("cannot keep a sweep: {e}; name a writable folder with --out"))?;
    let env = environment::gather(folder.root(), build_info());
    (sweep.head.env, sweep.head.build_profile) = (env.info(), env.build_profile.clone());
    let texts: Vec<String> = spec.arms.iter().map(|arm| plan_text(&arm.settings)).collect();
    let written = spec.arms.iter().zip(&texts).try_for_each(|(arm, text)| folder.write_arm(&arm.name, text));
    written
        .and_then(|()| crate::machine::seal_text(folder.root(), &texts.concat()))
        .and_then(|()| folder.write_sweep(&sweep))
        .map_err(|e| format!("cannot write the sweep's folder: {e}"))?;
    Ok(Session { spec, folder, sweep, budget })
}

/// Compares what every point needs with the limits of this machine, so that a sweep does not fail at its last value.
fn check_limits(spec: &Spec) -> Result<(), String> {
    let arms = spec.arms.iter().enumerate().filter(|(_, arm)| arm.left_out.is_none());
    for (i, _) in arms {
        for value in &spec.axis.values {
            limits::check(&spec.plan(i, value, 1)?)?;
        }
    }
    Ok(())
}

/// Executes the runs, draws the charts and stores everything.
fn sweep(session: Session, args: &SweepArgs) -> Result<(SweepFolder, Sweep), String> {
    let Session { spec, folder, sweep, budget } = session;
    let (noise_limit, build) = (sweep.design.noise_limit, build_info());
    let mut hooks =
        RealRuns { spec: &spec, folder: &folder, slo: &spec.slo, noise_limit, build, began: Instant::now(), quiet: args.output.quiet };
    let (sweep, ending) = drive(sweep, spec.seed, budget, &mut hooks);
    let mut sweep = conclude(sweep, &ending);
    folder.write_all(&mut sweep).map_err(|e| format!("cannot write the sweep's folder: {e}"))?;
    Ok((folder, sweep))
}

/// Executes runs on real processes.
struct RealRuns<'a> {
    spec: &'a Spec,
    folder: &'a SweepFolder,
    slo: &'a [Expression],
    noise_limit: f64,
    build: BuildInfo,
    began: Instant,
    quiet: bool,
}

impl SweepEnvironment for RealRuns<'_> {
    fn run(&mut self, cell: &Cell) -> Result<Made, String> {
        let plan = self.spec.plan(cell.arm, &cell.value, cell.repeat)?;
        let common = Common { folder: self.folder.root(), slo: self.slo, noise_limit: self.noise_limit, build: &self.build };
        runner::make(&self.spec.arms[cell.arm].name, cell, plan, common)
    }

    fn keep(&mut self, sweep: &Sweep, left: Duration) -> Result<(), String> {
        self.folder.write_sweep(sweep).map_err(|e| format!("cannot write the sweep's folder: {e}"))?;
        if let (Some(run), false) = (sweep.runs.last(), self.quiet) {
            errln!("{}", text::run_line(sweep, run, left.as_secs_f64()));
        }
        Ok(())
    }

    fn interrupted(&self) -> bool {
        stop::interrupts() > 0
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Returns the command that repeats the sweep with the same seed.
fn repeat_command(spec: &Spec) -> String {
    let mut words: Vec<String> = std::env::args().skip(1).map(|a| rerun::quote(&a)).collect();
    if !words.iter().any(|w| w == "--seed" || w.starts_with("--seed=")) {
        words.extend(["--seed".to_owned(), spec.seed.to_string()]);
    }
    format!("heckle {}", words.join(" "))
}

/// Marks a sweep as running in this process.
fn begin_session(sweep: &mut Sweep) {
    sweep.head.status = Status::Running;
    sweep.sessions += 1;
    sweep.owner = heckle_results::alive::this_process();
}

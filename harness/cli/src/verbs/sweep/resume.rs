//! Continues a sweep from its folder. The design, the seed and the settings of the arms come from there. Only the budget may be new.

use super::{Session, begin_session};
use crate::cli::SweepArgs;
use crate::machine;
use crate::plan::file;
use crate::plan::settings::Settings;
use crate::sweep::axis::Axis;
use crate::sweep::design::{ArmSpec, Spec, limit};
use heckle_results::alive;
use heckle_results::results_json::Status;
use heckle_results::sweep::Sweep;
use heckle_results::sweep::folder::SweepFolder;
use heckle_results::sweep::sweep_json::Arm;
use std::path::Path;
use std::time::Duration;

/// Opens the folder and checks that its sweep can continue here.
///
/// # Errors
/// The reason why it cannot continue.
pub(super) fn session(root: &Path, args: &SweepArgs) -> Result<Session, String> {
    let at = |e: String| format!("--resume {}: {e}", root.display());
    if args.settings.settings() != Settings::default() {
        return Err(at("its settings are fixed: leave out the flags of a plan".into()));
    }
    let folder = SweepFolder::open(root).map_err(at)?;
    let mut sweep = folder.read().map_err(at)?;
    if sweep.head.status == Status::Running && sweep.owner.as_ref().is_some_and(alive::is_running) {
        let pid = sweep.owner.as_ref().map_or(0, |h| h.pid);
        return Err(at(format!("process {pid} works on it already: wait for it")));
    }
    let spec = spec(&folder, &sweep).map_err(at)?;
    let left = sweep.design.budget_s.map(|s| Duration::from_secs_f64((s - sweep.head.wall_s).max(0.0)));
    let budget = args.budget.map(|b| b.0).or(left);
    begin_session(&mut sweep);
    folder.write_sweep(&sweep).map_err(|e| at(format!("cannot write: {e}")))?;
    Ok(Session { spec, folder, sweep, budget })
}

/// Rebuilds the design from the files of the sweep.
fn spec(folder: &SweepFolder, sweep: &Sweep) -> Result<Spec, String> {
    let design = &sweep.design;
    let values: Vec<&str> = design.values.iter().map(|v| v.text.as_str()).collect();
    let axis: Axis = format!("{}={}", design.axis, values.join(",")).parse()?;
    let texts = sweep.arms.iter().map(|arm| folder.read_arm(&arm.name)).collect::<Result<Vec<String>, String>>()?;
    let arm = |(arm, text): (&Arm, &String)| {
        let settings = file::parse(text, &format!("arms/{}.toml", arm.name), crate::systems::all())?;
        Ok(ArmSpec { name: arm.name.clone(), stated: arm.settings.clone(), settings, left_out: arm.left_out.clone() })
    };
    let spec = Spec {
        axis,
        arms: sweep.arms.iter().zip(&texts).map(arm).collect::<Result<_, String>>()?,
        repeats: design.repeats,
        find_max: design.find_max,
        slo: design.slo.iter().map(|text| limit(text)).collect::<Result<_, _>>()?,
        seed: sweep.head.seed.parse()?,
        systems: crate::systems::all(),
    };
    let plan = spec.check()?;
    let names_programs = spec.arms.iter().any(|a| a.settings.cluster.bin.is_some()) || plan.names_programs();
    if names_programs && !machine::sealed_here(folder.root(), &texts.concat()) {
        return Err("an arm names a program to start, and this machine did not write the sweep: begin a new one".into());
    }
    Ok(spec)
}

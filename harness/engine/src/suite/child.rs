//! One run as a child process, with the command that a user would type. A crash of the run does not bring down the
//! suite, and a binary of another version can be run in the same way.

use crate::orphans::end_with_parent;
use crate::plan::settings::Settings;
use crate::{exit, stop};
use heckle_history::prng::Seed;
use heckle_results::index::RunLine;
use heckle_results::results_json::{Results, RunVerdict, Status};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Interval between checks of the child.
const CHECK_EVERY: Duration = Duration::from_millis(20);
/// Number of characters to keep from the end of a failed child's output.
const MAX_OUTPUT_LETTERS: usize = 600;

/// A run to be executed.
pub struct ChildRun<'a> {
    /// The binary.
    pub exe: &'a Path,
    /// The complete plan.
    pub settings: &'a Settings,
    /// Its seed.
    pub seed: Seed,
    /// The folder below which the run is stored, and in which its plan file is written for the child.
    pub out: &'a Path,
    /// The folder of all runs: the path in the run's line is relative to it.
    pub all: &'a Path,
}

/// Executes the run and waits for it. An interrupt is forwarded once, so that the child can heal, judge and report.
pub fn run(run: &ChildRun<'_>) -> RunLine {
    let began = Instant::now();
    let ended = spawn(run).and_then(|child| wait(child).map_err(|e| format!("cannot wait for the run: {e}")));
    let mut line = match ended {
        Ok((status, stdout, stderr)) => run_line(run, status, &stdout, &stderr),
        Err(why) => broken_line(why),
    };
    if line.seed.is_empty() {
        line.seed = run.seed.to_string();
    }
    // The time of the whole process, including charts and report, since all of it counts towards the budget.
    line.wall_s = (began.elapsed().as_secs_f64() * 1e3).round() / 1e3;
    line
}

fn broken_line(reason: String) -> RunLine {
    RunLine { status: Status::Done, verdict: RunVerdict::Error, exit_code: i32::from(exit::BROKEN), reason, ..RunLine::default() }
}

fn plan_file(run: &ChildRun<'_>) -> Result<PathBuf, String> {
    let name = run.settings.name.as_deref().unwrap_or("run");
    let path = run.out.join("plans").join(format!("{name}.toml"));
    let text = toml::to_string(run.settings).map_err(|e| e.to_string())?;
    std::fs::create_dir_all(path.parent().expect("below the suite's folder"))
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    Ok(path)
}

fn spawn(run: &ChildRun<'_>) -> Result<Child, String> {
    let plan = plan_file(run)?;
    let mut command = Command::new(run.exe);
    command.arg("run").arg(&plan).arg("--seed").arg(run.seed.to_string()).arg("--out").arg(run.out).args(["--json", "--quiet"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A separate process group: Ctrl-C reaches only the suite, which forwards it once. A second one would stop the
    // child immediately.
    command.process_group(0);
    // A suite that is killed must not leave a run behind: the run is interrupted, heals its faults, and stops its nodes.
    end_with_parent(&mut command, libc::SIGTERM);
    command.spawn().map_err(|e| format!("cannot start {}: {e}", run.exe.display()))
}

fn wait(mut child: Child) -> std::io::Result<(ExitStatus, String, String)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let read = |pipe: Option<Box<dyn Read + Send>>| {
        crate::limits::thread("pipe", move || {
            let mut bytes = vec![];
            let _ = pipe.map(|mut p| p.read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let threads = read(stdout.map(|p| Box::new(p) as Box<dyn Read + Send>))
        .and_then(|out| read(stderr.map(|p| Box::new(p) as Box<dyn Read + Send>)).map(|err| (out, err)));
    let (out, err) = match threads {
        Ok(both) => both,
        Err(e) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(e);
        }
    };
    let mut handed_on = false;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if stop::interrupts() > 0 && !handed_on {
            handed_on = true;
            // SAFETY: the child has not been waited for, so its pid is still valid.
            unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) };
        }
        std::thread::sleep(CHECK_EVERY);
    };
    Ok((status, out.join().unwrap_or_default(), err.join().unwrap_or_default()))
}

fn run_line(run: &ChildRun<'_>, status: ExitStatus, stdout: &str, stderr: &str) -> RunLine {
    let ended = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    let Ok(results) = Results::from_json(stdout) else {
        let skip = stderr.chars().count().saturating_sub(MAX_OUTPUT_LETTERS);
        let last: String = stderr.chars().skip(skip).collect();
        let why = broken_line(format!("the run {ended} and left no results: {}", last.trim()));
        // A usage error comes from before the run and concerns the plan, not the machine.
        let code = status.code().filter(|c| *c == i32::from(exit::USAGE)).unwrap_or(why.exit_code);
        return RunLine { exit_code: code, ..why };
    };
    let folder = run.out.join(heckle_results::run_folder::slug(&results.plan.name)).join(&results.run_id);
    let path = folder.strip_prefix(run.all).unwrap_or(&folder).to_string_lossy().into_owned();
    let line = RunLine::of(&results, &path);
    match status.code() {
        Some(code) if code == results.exit_code => line,
        _ => RunLine {
            exit_code: i32::from(exit::BROKEN),
            reason: format!("the run {ended}, its results say {}", results.exit_code),
            ..line
        },
    }
}

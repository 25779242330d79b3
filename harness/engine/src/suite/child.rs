//! One run as a child process: the same command a person would type, so that a run that crashes takes no suite with it, and
//! a binary of another version can be run the same way.

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

/// How often the child is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Letters of a broken child's last words that are kept.
const LAST_WORDS: usize = 600;

/// A run to be made.
pub struct Errand<'a> {
    /// The binary.
    pub exe: &'a Path,
    /// The whole plan.
    pub settings: &'a Settings,
    /// Its seed.
    pub seed: Seed,
    /// The folder below which the run is kept, and where its plan file is written for the child.
    pub out: &'a Path,
    /// The folder of all runs: the path in the line is relative to it.
    pub all: &'a Path,
}

/// Makes the run and waits for it. An interrupt is handed on once, so that the child heals, judges and reports.
pub fn run(errand: &Errand<'_>) -> RunLine {
    let began = Instant::now();
    let told = spawn(errand).and_then(|child| wait(child).map_err(|e| format!("cannot wait for the run: {e}")));
    let mut line = match told {
        Ok((status, stdout, stderr)) => line(errand, status, &stdout, &stderr),
        Err(why) => broken(why),
    };
    if line.seed.is_empty() {
        line.seed = errand.seed.to_string();
    }
    // The whole process, pictures and report included: a budget is spent on these too.
    line.wall_s = (began.elapsed().as_secs_f64() * 1e3).round() / 1e3;
    line
}

fn broken(reason: String) -> RunLine {
    RunLine { status: Status::Done, verdict: RunVerdict::Error, exit_code: i32::from(exit::BROKEN), reason, ..RunLine::default() }
}

fn plan_file(errand: &Errand<'_>) -> Result<PathBuf, String> {
    let name = errand.settings.name.as_deref().unwrap_or("run");
    let path = errand.out.join("plans").join(format!("{name}.toml"));
    let text = toml::to_string(errand.settings).map_err(|e| e.to_string())?;
    std::fs::create_dir_all(path.parent().expect("below the suite's folder"))
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    Ok(path)
}

fn spawn(errand: &Errand<'_>) -> Result<Child, String> {
    let plan = plan_file(errand)?;
    let mut command = Command::new(errand.exe);
    command.arg("run").arg(&plan).arg("--seed").arg(errand.seed.to_string()).arg("--out").arg(errand.out).args(["--json", "--quiet"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: Ctrl-C reaches the suite alone, which hands it on once; twice would stop the child at once.
    command.process_group(0);
    // SAFETY: only `prctl` is called between fork and exec, which is allowed there.
    unsafe {
        command.pre_exec(|| {
            // A suite that is killed must not leave a run behind: the run is interrupted, heals, and ends its nodes.
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    command.spawn().map_err(|e| format!("cannot start {}: {e}", errand.exe.display()))
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
            // SAFETY: the child was not waited for yet, so the pid is still its own.
            unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) };
        }
        std::thread::sleep(LOOK_EVERY);
    };
    Ok((status, out.join().unwrap_or_default(), err.join().unwrap_or_default()))
}

fn line(errand: &Errand<'_>, status: ExitStatus, stdout: &str, stderr: &str) -> RunLine {
    let ended = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    let Ok(results) = Results::from_json(stdout) else {
        let skip = stderr.chars().count().saturating_sub(LAST_WORDS);
        let last: String = stderr.chars().skip(skip).collect();
        let why = broken(format!("the run {ended} and left no results: {}", last.trim()));
        // What was said before a run began is about the plan, not about the machine.
        let code = status.code().filter(|c| *c == i32::from(exit::USAGE)).unwrap_or(why.exit_code);
        return RunLine { exit_code: code, ..why };
    };
    let folder = errand.out.join(heckle_results::run_folder::slug(&results.plan.name)).join(&results.run_id);
    let path = folder.strip_prefix(errand.all).unwrap_or(&folder).to_string_lossy().into_owned();
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

//! A short command of a plan, such as one that prints a version: run with a limit of time and of output, killed with all it started when it
//! takes longer.

use heckle_system_api::limits::thread;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Bytes of output that are kept.
const MAX_OUTPUT: u64 = 64 << 10;
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(5);
/// After its end, what it wrote is there within this, unless something that it started still holds its output.
const DRAINED_WITHIN: Duration = Duration::from_millis(200);

/// How it ended, and what it wrote to its standard output.
#[derive(Debug)]
pub(crate) struct Ran {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Its output, or the beginning of it.
    pub(crate) output: String,
}

/// Runs a command in a folder.
///
/// # Errors
/// If it cannot be started, or takes longer than `within`.
pub(crate) fn run(words: &[String], folder: &Path, within: Duration) -> Result<Ran, String> {
    let (program, args) = words.split_first().ok_or("the command is empty")?;
    let shown = words.join(" ");
    let mut command = Command::new(crate::nodes::program_at(program, folder)?);
    command.args(args).current_dir(folder).process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| format!("`{shown}` cannot be started: {e}"))?;
    let stdout = child.stdout.take();
    let (send, output) = std::sync::mpsc::channel();
    let reader = thread("command-output", move || {
        let mut bytes = vec![];
        if let Some(stdout) = stdout {
            let _ = stdout.take(MAX_OUTPUT).read_to_end(&mut bytes);
        }
        let _ = send.send(bytes);
    });
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let kill = || group.map(|group| kill_process_group(group, Signal::KILL));
    if let Err(e) = reader {
        kill();
        let _ = child.wait();
        return Err(heckle_system_api::limits::no_thread(&e));
    }
    let deadline = Instant::now() + within;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
            Ok(None) => {
                kill();
                let _ = child.wait();
                return Err(format!("`{shown}` did not end within {} s and was killed", within.as_secs_f64()));
            }
            Err(e) => return Err(format!("`{shown}`: {e}")),
        }
    };
    let output = output.recv_timeout(DRAINED_WITHIN).unwrap_or_default();
    Ok(Ran { status, output: String::from_utf8_lossy(&output).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, within: Duration) -> Result<Ran, String> {
        run(&["sh".into(), "-c".into(), script.into()], Path::new("/"), within)
    }

    #[test]
    fn a_command_tells_its_status_and_output_and_never_hangs() {
        let ran = sh("echo yes; exit 3", Duration::from_secs(5)).expect("it ends");
        assert_eq!((ran.status.code(), ran.output.as_str()), (Some(3), "yes\n"));
        let began = Instant::now();
        let error = sh("sleep 60 & sleep 60", Duration::from_millis(200)).expect_err("too long");
        assert!(error.contains("did not end within 0.2 s") && began.elapsed() < Duration::from_secs(10), "{error}");
        // What it leaves behind holds its output open and is not waited for.
        let ran = sh("sleep 2 & echo done", Duration::from_secs(5)).expect("it ends");
        assert!(ran.status.success());
        let error = run(&["no-such-program".into()], Path::new("/"), Duration::from_secs(1)).expect_err("absent");
        assert!(error.contains("no-such-program"), "{error}");
    }
}

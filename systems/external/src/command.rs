//! Runs a short command from a plan, such as one that prints a version. Its time and output are limited. A command that exceeds its time
//! limit is killed, together with everything it started.

use heckle_system_api::limits::thread;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Maximum number of output bytes kept.
const MAX_OUTPUT: u64 = 64 << 10;
/// Interval between checks for whether the command has exited.
const LOOK: Duration = Duration::from_millis(5);
/// Time limit for the output to arrive after the command exits. It expires only if something that the command started still holds its
/// output open.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(200);

/// Environment variables that mark the processes of a run.
const OF_A_RUN: [&str; 4] = ["HECKLE_RUN", "HECKLE_NODE", "HECKLE_RUN_FOLDER", "HECKLE_DATA"];

/// Exit status and standard output of a command.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    /// Exit status.
    pub(crate) status: ExitStatus,
    /// The output, truncated if it is too long.
    pub(crate) output: String,
    /// The same of its standard error.
    pub(crate) errors: String,
}

/// Runs a command in a folder.
///
/// # Errors
/// Fails if the command cannot be started or takes longer than `within`.
pub(crate) fn run(words: &[String], folder: &Path, within: Duration) -> Result<CommandOutput, String> {
    let (program, args) = words.split_first().ok_or("the command is empty")?;
    let shown = words.join(" ");
    let mut command = Command::new(crate::nodes::program_at(program, folder)?);
    command.args(args).current_dir(folder).process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // What a command starts is no process of the run, even if the harness itself was started by one.
    for name in OF_A_RUN {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(|e| format!("`{shown}` cannot be started: {e}"))?;
    let readers = read(child.stdout.take()).and_then(|output| Ok((output, read(child.stderr.take())?)));
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let kill = || group.map(|group| kill_process_group(group, Signal::KILL));
    let (output, errors) = match readers {
        Ok(readers) => readers,
        Err(e) => {
            kill();
            let _ = child.wait();
            return Err(heckle_system_api::limits::no_thread(&e));
        }
    };
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
    let text = |bytes: Receiver<Vec<u8>>| String::from_utf8_lossy(&bytes.recv_timeout(DRAIN_TIMEOUT).unwrap_or_default()).into_owned();
    Ok(CommandOutput { status, output: text(output), errors: text(errors) })
}

/// Reads a pipe in the background: the first part of it is sent, and the rest is dropped, so that the writer never blocks.
fn read(pipe: Option<impl Read + Send + 'static>) -> std::io::Result<Receiver<Vec<u8>>> {
    let (send, bytes) = channel();
    thread("command-output", move || {
        let Some(mut pipe) = pipe else { return };
        let mut first = vec![];
        let _ = pipe.by_ref().take(MAX_OUTPUT).read_to_end(&mut first);
        let _ = send.send(first);
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, within: Duration) -> Result<CommandOutput, String> {
        run(&["sh".into(), "-c".into(), script.into()], Path::new("/"), within)
    }

    #[test]
    fn a_command_returns_its_status_and_output_and_never_hangs() {
        let ran = sh("echo yes; exit 3", Duration::from_secs(5)).expect("it ends");
        assert_eq!((ran.status.code(), ran.output.as_str()), (Some(3), "yes\n"));
        let began = Instant::now();
        let error = sh("sleep 60 & sleep 60", Duration::from_millis(200)).expect_err("too long");
        assert!(error.contains("did not end within 0.2 s") && began.elapsed() < Duration::from_secs(10), "{error}");
        // The run does not wait for a background process that still holds the output open.
        let ran = sh("sleep 2 & echo done", Duration::from_secs(5)).expect("it ends");
        assert!(ran.status.success());
        let error = run(&["no-such-program".into()], Path::new("/"), Duration::from_secs(1)).expect_err("absent");
        assert!(error.contains("no-such-program"), "{error}");
    }
}

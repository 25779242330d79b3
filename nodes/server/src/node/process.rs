//! A node as a separate process.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::lifecycle::run;
use super::{EXIT_FAILED, Hosting, Ready, Stopper};
use crate::log::Logger;
use crate::options::NodeOptions;

/// How long a process may take to end after its parent has exited.
const ORPHAN_GRACE: Duration = Duration::from_secs(1);
/// How often the parent is checked.
const PARENT_CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// Runs a node as this process, until SIGTERM, SIGINT, the end of its parent, or a failure.
///
/// Once the node has recovered and is listening, it prints one JSON line ([`Ready`]) to standard output. It logs to
/// standard error. The exit code is 0 after a clean stop, 64 if the options or the data folder are unusable, 65 if
/// the node's data is damaged or lost, 74 if the disk failed, and 70 otherwise. A panic in any thread is logged and
/// aborts the process.
pub fn run_node(options: NodeOptions) -> ExitCode {
    let log = Logger::to_stderr(options.id);
    abort_on_panic(log.clone());
    // With this signal ignored, a write beyond the file size limit (`ulimit -f`) fails like a write to a full disk
    // instead of killing the process. SAFETY: sets the disposition of one signal, before any thread of this process
    // exists.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let stopper = Stopper::default();
    let stdin = options.exit_on_stdin_eof.then(|| stop_on_stdin_eof(stopper.clone(), log.clone()));
    let parent = options.parent_pid.map(|parent| stop_on_parent_exit(parent, stopper.clone(), log.clone()));
    if let Some(Err(why)) = stdin.into_iter().chain(parent).find(Result::is_err) {
        log.error("failed", &[("why", &format!("cannot start a thread: {why}")), ("exit_code", &EXIT_FAILED)]);
        log.flush();
        return ExitCode::from(EXIT_FAILED);
    }
    let on_ready = |ready: &Ready| {
        let line = serde_json::to_string(ready).expect("plain data");
        // A parent that does not read standard output is no reason to exit.
        let _ = writeln!(std::io::stdout(), "{line}");
        let _ = std::io::stdout().flush();
    };
    let code = match run(options, log.clone(), stopper, Hosting::Process, on_ready) {
        Ok(()) => {
            log.info("stopped", &[]);
            ExitCode::SUCCESS
        }
        Err(error) => {
            log.error("failed", &[("why", &error), ("exit_code", &error.exit_code())]);
            ExitCode::from(error.exit_code())
        }
    };
    log.flush();
    code
}

fn abort_on_panic(log: Logger) {
    std::panic::set_hook(Box::new(move |info| {
        let backtrace = std::backtrace::Backtrace::force_capture();
        log.error("panic", &[("what", info), ("backtrace", &backtrace)]);
        log.flush();
        // A node that has broken an invariant must not send another message.
        std::process::abort();
    }));
}

fn stop_on_stdin_eof(stopper: Stopper, log: Logger) -> std::io::Result<()> {
    let watch = move || {
        let mut sink = [0; 256];
        while std::io::stdin().read(&mut sink).is_ok_and(|count| count > 0) {}
        log.warn("stdin_ended", &[]);
        stop_after_grace(&stopper, &log);
    };
    std::thread::Builder::new().name("stdin".into()).spawn(watch).map(drop)
}

fn stop_on_parent_exit(parent: u32, stopper: Stopper, log: Logger) -> std::io::Result<()> {
    let watch = move || {
        while std::os::unix::process::parent_id() == parent {
            std::thread::sleep(PARENT_CHECK_INTERVAL);
        }
        log.warn("parent_ended", &[("parent", &parent)]);
        stop_after_grace(&stopper, &log);
    };
    std::thread::Builder::new().name("parent".into()).spawn(watch).map(drop)
}

/// No process waits for an orphan, so it gets only a short time for a clean stop.
fn stop_after_grace(stopper: &Stopper, log: &Logger) {
    stopper.stop();
    std::thread::sleep(ORPHAN_GRACE);
    log.flush();
    std::process::exit(i32::from(EXIT_FAILED));
}

//! Runs the search engine in a separate process, so that its memory use cannot hurt the harness: an address-space
//! limit is set before it starts, and a timeout kills it. If it is stopped by a limit, the answer is "gave up", never a verdict.

use crate::limits;
use crate::load::live::Live;
use crate::load::phase::Phase;
use crate::orphans::end_with_parent;
use heckle_checker::search::{SearchReply, SearchRequest, SearchRunner, child_main};
use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Limits of one search.
#[derive(Debug, Clone, Copy)]
pub struct ChildProcess {
    /// Address space, in bytes.
    pub memory_bytes: u64,
    /// Wall time.
    pub time: Duration,
}

impl Default for ChildProcess {
    fn default() -> Self {
        ChildProcess { memory_bytes: 2 << 30, time: Duration::from_secs(30) }
    }
}

/// Runs searches for second opinions, which must not delay a verdict that is already decided: each search has a
/// short time limit, and so do all of them together.
pub struct SecondOpinions {
    each: ChildProcess,
    left: Cell<Duration>,
}

impl Default for SecondOpinions {
    fn default() -> Self {
        let each = ChildProcess { memory_bytes: 1 << 30, time: Duration::from_secs(1) };
        SecondOpinions { each, left: Cell::new(Duration::from_secs(5)) }
    }
}

impl SearchRunner for SecondOpinions {
    fn run(&self, request: &SearchRequest) -> SearchReply {
        let time = self.each.time.min(self.left.get());
        if time.is_zero() {
            return SearchReply::gave_up("the time for second opinions is used up");
        }
        let began = Instant::now();
        let reply = ChildProcess { time, ..self.each }.run(request);
        self.left.set(self.left.get().saturating_sub(began.elapsed()));
        reply
    }
}

/// Measures the time of searches for second opinions, so that it is not attributed to the judge.
pub struct TimedSearch<'a> {
    runner: &'a dyn SearchRunner,
    live: Option<&'a Live>,
    took: Cell<Option<Duration>>,
}

impl<'a> TimedSearch<'a> {
    /// Creates a timer. `live` displays a running search.
    pub fn new(runner: &'a dyn SearchRunner, live: Option<&'a Live>) -> Self {
        TimedSearch { runner, live, took: Cell::new(None) }
    }

    /// Whether any search was run.
    pub fn was_used(&self) -> bool {
        self.took.get().is_some()
    }

    /// Returns the total time of all searches.
    pub fn total_time(&self) -> Duration {
        self.took.get().unwrap_or_default()
    }
}

impl SearchRunner for TimedSearch<'_> {
    fn run(&self, request: &SearchRequest) -> SearchReply {
        let enter = |phase| {
            if let Some(live) = self.live {
                live.enter(phase);
            }
        };
        enter(Phase::SecondOpinion);
        let began = Instant::now();
        let reply = self.runner.run(request);
        self.took.set(Some(self.total_time() + began.elapsed()));
        enter(Phase::Judging);
        reply
    }
}

impl SearchRunner for ChildProcess {
    fn run(&self, request: &SearchRequest) -> SearchReply {
        self.try_run(request).unwrap_or_else(SearchReply::gave_up)
    }
}

impl ChildProcess {
    fn try_run(&self, request: &SearchRequest) -> Result<SearchReply, String> {
        let program = std::env::current_exe().map_err(|e| format!("cannot find this program's own file: {e}"))?;
        self.ask(Command::new(program).arg("search-child"), &serde_json::to_vec(request).map_err(|e| e.to_string())?)
    }

    fn ask(&self, command: &mut Command, question: &[u8]) -> Result<SearchReply, String> {
        let memory = self.memory_bytes;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        end_with_parent(command, libc::SIGKILL);
        // SAFETY: `setrlimit` only sets fields of the new process; nothing is allocated.
        unsafe {
            command.pre_exec(move || {
                let limit = libc::rlimit { rlim_cur: memory, rlim_max: memory };
                if libc::setrlimit(libc::RLIMIT_AS, &raw const limit) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let mut child = command.spawn().map_err(|e| format!("the search process did not start: {e}"))?;
        let mut stdin = child.stdin.take().expect("stdin was piped");
        let mut stdout = child.stdout.take().expect("stdout was piped");
        let question = question.to_vec();
        // Each pipe has its own thread, so that neither side can block the other or the timeout.
        let writing = limits::thread("question", move || stdin.write_all(&question));
        let reading = limits::thread("answer", move || {
            let mut answer = vec![];
            stdout.read_to_end(&mut answer).map(|_| answer)
        });
        let (Ok(writing), Ok(reading)) = (writing, reading) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err("the harness has no thread for the search: raise `ulimit -u` or `ulimit -v`".to_owned());
        };
        let deadline = Instant::now() + self.time;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
                Ok(None) => break Err(format!("time limit of {} s", self.time.as_secs_f64())),
                Err(e) => break Err(e.to_string()),
            }
        };
        if status.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = writing.join();
        let answer = reading.join().map_err(|_| "the search's answer could not be read".to_owned())?.map_err(|e| e.to_string())?;
        let status = status?;
        if !status.success() {
            let limit_mib = self.memory_bytes >> 20;
            return Err(format!("the search process ended with {status}, most likely at its memory limit of {limit_mib} MiB"));
        }
        serde_json::from_slice(&answer).map_err(|e| format!("the search process answered nonsense: {e}"))
    }
}

/// `heckle search-child`: reads a request from stdin, writes the reply to stdout.
///
/// # Errors
/// If a pipe cannot be read or written.
pub fn child() -> std::io::Result<()> {
    let mut question = vec![];
    std::io::stdin().read_to_end(&mut question)?;
    std::io::stdout().write_all(&child_main(&question))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::live::Watcher;

    fn limits(time_ms: u64) -> ChildProcess {
        ChildProcess { time: Duration::from_millis(time_ms), ..ChildProcess::default() }
    }

    #[test]
    fn a_failed_search_gives_up() {
        for (script, why) in
            [("exec sleep 60", "time limit"), ("kill -9 $$", "memory limit"), ("echo nonsense", "nonsense"), ("exit 3", "ended with")]
        {
            let error = limits(300).ask(Command::new("sh").args(["-c", script]), b"{}").expect_err(script);
            assert!(error.contains(why), "{script}: {error}");
        }
    }

    #[test]
    fn the_time_of_second_opinions_is_measured_separately() {
        struct Slow;
        impl SearchRunner for Slow {
            fn run(&self, _: &SearchRequest) -> SearchReply {
                std::thread::sleep(Duration::from_millis(5));
                SearchReply::gave_up("slow")
            }
        }
        let (live, slow) = (Live::default(), Slow);
        let watched = TimedSearch::new(&slow, Some(&live));
        assert!(!watched.was_used() && watched.total_time().is_zero());
        let request = SearchRequest { model: heckle_checker::search::ModelKind::CasRegister, ops: vec![], shrink: false };
        watched.run(&request);
        watched.run(&request);
        assert!(watched.was_used() && watched.total_time() >= Duration::from_millis(10));
        assert_eq!(live.read(&mut Watcher::default()).phase, Phase::Judging, "the judge goes on");
    }

    #[test]
    fn the_memory_limit_holds() {
        let tight = ChildProcess { memory_bytes: 64 << 20, ..limits(10_000) };
        // A shell variable of 1 GB cannot fit.
        let error = tight
            .ask(Command::new("sh").args(["-c", "x=$(head -c 1000000000 /dev/zero | tr '\\0' x); echo done"]), b"{}")
            .expect_err("refused");
        assert!(!error.contains("time limit"), "{error}");
    }
}

//! What the terminal shows while a run goes on: a block that is redrawn on a terminal, a line every five seconds
//! elsewhere, nothing with `--quiet`. It goes to stderr; stdout is for data.

use crate::clock::RunClock;
use crate::load::live::{Live, Reading};
use crate::plan::Plan;
use crate::plan::units::Rate;
use heckle_history::printable::printable;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// A block, redrawn in place.
    Block,
    /// Plain lines.
    Lines,
    /// Nothing.
    Quiet,
}

impl Manner {
    /// What fits the present stderr.
    pub fn fitting(quiet: bool) -> Self {
        match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Manner::Quiet,
            (false, true) => Manner::Block,
            (false, false) => Manner::Lines,
        }
    }

    fn every(self) -> Duration {
        match self {
            Manner::Block => Duration::from_millis(500),
            Manner::Lines => Duration::from_secs(5),
            Manner::Quiet => Duration::MAX,
        }
    }
}

/// Lines of the block.
const BLOCK_LINES: usize = 4;

/// The thread that draws. Dropping it draws the last state and ends it.
pub struct Progress {
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts to draw.
    pub fn start(plan: &Plan, clock: RunClock, live: Arc<Live>, manner: Manner) -> Self {
        if manner == Manner::Quiet {
            return Progress { over: None, thread: None };
        }
        let (over, told) = channel();
        let target = match plan.rate {
            Rate::PerSecond(r) => format!("{r:.0}/s asked"),
            Rate::Max => "closed loop".to_owned(),
        };
        let (window, tail) = (plan.window(), plan.quiet_tail);
        let phases = [(window.0.as_secs_f64(), "warm-up"), (window.1.as_secs_f64(), "load"), (f64::INFINITY, "quiet tail and final reads")];
        let total_s = window.1.as_secs_f64() + tail.0.as_secs_f64();
        let thread = std::thread::Builder::new().name("progress".into()).spawn(move || {
            let (mut before, mut drawn) = ((0, 0.0), false);
            loop {
                let ended = !matches!(told.recv_timeout(manner.every()), Err(RecvTimeoutError::Timeout));
                let (reading, now_s) = (live.read(), clock.now().as_secs_f64());
                let rate = (reading.invoked - before.0) as f64 / (now_s - before.1).max(1e-3);
                before = (reading.invoked, now_s);
                let phase = phases.iter().find(|(end, _)| now_s < *end).expect("the last has no end").1;
                let frame = Frame { now_s, total_s, phase, target: &target, rate, reading: &reading };
                let text = match manner {
                    Manner::Block => frame.block(drawn),
                    Manner::Lines | Manner::Quiet => frame.line(),
                };
                drawn = true;
                crate::output::drawing_to_stderr(&text);
                if ended {
                    break;
                }
            }
        });
        Progress { over: Some(over), thread: thread.ok() }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.over = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Frame<'a> {
    now_s: f64,
    total_s: f64,
    phase: &'a str,
    target: &'a str,
    rate: f64,
    reading: &'a Reading,
}

impl Frame<'_> {
    fn faults(&self) -> String {
        if self.reading.faults.is_empty() { "none".into() } else { printable(&self.reading.faults.join(", ")).into_owned() }
    }

    fn line(&self) -> String {
        let r = self.reading;
        format!(
            "{:5.1}s {}: {} ops ({:.0}/s, {}), ok {}, refused {}, failed {}, unknown {}, p50 {:.1} ms, p99 {:.1} ms, fault: {}\n",
            self.now_s,
            self.phase,
            r.invoked,
            self.rate,
            self.target,
            r.ok - r.condition_not_met,
            r.condition_not_met,
            r.failed,
            r.unknown,
            r.p50_ms,
            r.p99_ms,
            self.faults()
        )
    }

    fn block(&self, again: bool) -> String {
        let r = self.reading;
        let mut text = String::new();
        if again {
            let _ = write!(text, "\x1b[{BLOCK_LINES}A");
        }
        let clear = "\x1b[K\n";
        let filled = ((self.now_s / self.total_s).clamp(0.0, 1.0) * 30.0) as usize;
        let bar = format!("{}{}", "=".repeat(filled), " ".repeat(30 - filled));
        let _ = write!(text, "[{bar}] {:.1} / {:.0} s  {}{clear}", self.now_s, self.total_s, self.phase);
        let _ = write!(text, "  ops     {} sent, {:.0}/s ({}){clear}", r.invoked, self.rate, self.target);
        let _ = write!(
            text,
            "  answers ok {}, refused {}, failed {}, unknown {}; latency p50 {:.1} ms, p99 {:.1} ms{clear}",
            r.ok - r.condition_not_met,
            r.condition_not_met,
            r.failed,
            r.unknown,
            r.p50_ms,
            r.p99_ms
        );
        let _ = write!(text, "  fault   {}{clear}", self.faults());
        text
    }
}

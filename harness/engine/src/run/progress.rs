//! The progress display of a run: a block that is redrawn on a terminal, a line every five seconds elsewhere, nothing
//! with `--quiet`. It goes to stderr; stdout is for data.

use crate::load::live::{Live, Reading, Watcher};
use crate::plan::Plan;
use crate::plan::units::Rate;
use heckle_history::Nanos;
use heckle_history::printable::printable;
use heckle_results::stages::{PlannedStage, StageUnit};
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// The style of the progress display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressStyle {
    /// A block, redrawn in place.
    Block,
    /// Plain lines.
    Lines,
    /// Nothing.
    Quiet,
}

impl ProgressStyle {
    /// Returns the style that suits the present stderr.
    pub fn fitting(quiet: bool) -> Self {
        match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => ProgressStyle::Quiet,
            (false, true) => ProgressStyle::Block,
            (false, false) => ProgressStyle::Lines,
        }
    }

    fn interval(self) -> Duration {
        match self {
            ProgressStyle::Block => Duration::from_millis(500),
            ProgressStyle::Lines => Duration::from_secs(5),
            ProgressStyle::Quiet => Duration::MAX,
        }
    }
}

/// Number of lines in the block.
const BLOCK_LINES: usize = 4;

/// Handle to the drawing thread. Dropping it draws the final state and ends the thread.
pub struct Progress {
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts the thread.
    pub fn start(plan: &Plan, live: Arc<Live>, style: ProgressStyle) -> Self {
        if style == ProgressStyle::Quiet {
            return Progress { over: None, thread: None };
        }
        let (over, stopped) = channel();
        let target = Target::of(plan);
        let (window, tail) = (plan.window(), plan.quiet_tail);
        let total_s = window.1.as_secs_f64() + tail.0.as_secs_f64();
        let thread = std::thread::Builder::new().name("progress".into()).spawn(move || {
            let (mut before, mut drawn, mut watcher) = ((0, 0.0), false, Watcher::default());
            loop {
                let ended = !matches!(stopped.recv_timeout(style.interval()), Err(RecvTimeoutError::Timeout));
                let reading = live.read(&mut watcher);
                let now_s = reading.now.map_or(0.0, Nanos::as_secs_f64);
                let rate = (reading.invoked - before.0) as f64 / (now_s - before.1).max(1e-3);
                before = (reading.invoked, now_s);
                let phase = if reading.phase.has_load() && now_s < window.0.as_secs_f64() { "warm-up" } else { reading.phase.label() };
                let frame = Frame { now_s, total_s, phase, target: target.at(now_s), rate, reading: &reading };
                let text = match style {
                    ProgressStyle::Block => frame.block(drawn),
                    ProgressStyle::Lines | ProgressStyle::Quiet => frame.line(),
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

/// The target load of the plan, by time.
struct Target {
    /// Each stage with its end on the run's clock, in seconds.
    stages: Vec<(f64, String)>,
    whole: String,
}

impl Target {
    fn of(plan: &Plan) -> Self {
        let unit = if plan.workload.has_intents() { " intents/s" } else { "/s" };
        let whole = match plan.rate {
            Rate::PerSecond(r) => format!("{r:.0}{unit} asked"),
            Rate::Max => "closed loop".to_owned(),
        };
        let planned = plan.stages.as_ref().map_or(vec![], |stages| stages.planned(plan.warmup.nanos()));
        let n = planned.len();
        let label = |(i, stage): (usize, &PlannedStage)| {
            let what = match stage.unit {
                StageUnit::Rate => format!("{unit} asked"),
                StageUnit::Clients => " clients".to_owned(),
            };
            let ramp = if stage.from == stage.to { String::new() } else { format!("{:.0} to ", stage.from) };
            (stage.end_ns as f64 / 1e9, format!("stage {} of {n}: {ramp}{:.0}{what}", i + 1, stage.to))
        };
        Target { stages: planned.iter().enumerate().map(label).collect(), whole }
    }

    /// Returns the target at this time.
    fn at(&self, now_s: f64) -> &str {
        self.stages.iter().find(|(end_s, _)| now_s < *end_s).map_or(&self.whole, |(_, words)| words)
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

    /// Formats the ops and their outcomes so far. Rate and latency are shown only while the load sends ops: `0/s, p50
    /// 0.0 ms` during fate queries would suggest a stalled cluster.
    fn ops(&self) -> String {
        let sent = self.reading.invoked;
        if !self.reading.phase.has_load() {
            return format!("{sent} ops, no load now");
        }
        format!("{sent} ops ({:.0}/s, {})", self.rate, self.target)
    }

    fn outcomes(&self) -> String {
        let r = self.reading;
        format!("ok {}, refused {}, failed {}, unknown {}", r.ok - r.condition_not_met, r.condition_not_met, r.failed, r.unknown)
    }

    /// Formats the latency since the last frame; empty if there is no load.
    fn latency(&self) -> String {
        match (self.reading.phase.has_load(), self.reading.latency_ms) {
            (false, _) => String::new(),
            (true, Some((p50, p99))) => format!(", p50 {p50:.1} ms, p99 {p99:.1} ms"),
            (true, None) => ", nothing answered ok since the last line".into(),
        }
    }

    fn line(&self) -> String {
        format!("{:5.1}s {}: {}, {}{}, fault: {}\n", self.now_s, self.phase, self.ops(), self.outcomes(), self.latency(), self.faults())
    }

    fn block(&self, again: bool) -> String {
        let mut text = String::new();
        if again {
            let _ = write!(text, "\x1b[{BLOCK_LINES}A");
        }
        let clear = "\x1b[K\n";
        let filled = ((self.now_s / self.total_s).clamp(0.0, 1.0) * 30.0) as usize;
        let bar = format!("{}{}", "=".repeat(filled), " ".repeat(30 - filled));
        let _ = write!(text, "[{bar}] {:.1} / {:.0} s  {}{clear}", self.now_s, self.total_s, self.phase);
        let _ = write!(text, "  ops     {}{clear}", self.ops());
        let _ = write!(text, "  answers {}{}{clear}", self.outcomes(), self.latency());
        let _ = write!(text, "  fault   {}{clear}", self.faults());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::phase::Phase;

    const PHASES: [Phase; 12] = [
        Phase::Preparing,
        Phase::StartingNodes,
        Phase::Load,
        Phase::Healing,
        Phase::QuietTail,
        Phase::AskingFates,
        Phase::Settling,
        Phase::FinalReads,
        Phase::StoppingNodes,
        Phase::Judging,
        Phase::SecondOpinion,
        Phase::Drawing,
    ];

    fn texts(phase: Phase) -> [String; 2] {
        let live = Live::default();
        live.enter(phase);
        let reading = live.read(&mut Watcher::default());
        let frame = Frame { now_s: 12.0, total_s: 20.0, phase: phase.label(), target: "400/s asked", rate: 0.0, reading: &reading };
        [frame.line(), frame.block(false)]
    }

    #[test]
    fn rate_and_latency_are_shown_only_under_load() {
        for phase in PHASES {
            for text in texts(phase) {
                assert!(text.contains(phase.label()), "{text}");
                assert!(!text.contains("p50 0.0"), "no latency without an answer: {text}");
                assert_eq!(text.contains("/s"), phase == Phase::Load, "{text}");
                assert_eq!(text.contains("no load now"), phase != Phase::Load, "{text}");
            }
            assert_eq!(texts(phase)[1].lines().count(), BLOCK_LINES);
        }
    }

    #[test]
    fn the_present_stage_is_shown() {
        let stages = "[[load.stage]]\nfor = \"2s\"\nrate = 50\n[[load.stage]]\nfor = \"2s\"\nrate = 90\nramp = true\n";
        let text = format!("schema = \"heckle.plan/1\"\n[load]\nwarmup = \"1s\"\n[faults]\nkinds = []\n{stages}");
        let settings = crate::plan::file::parse(&text, "p", crate::testing::SYSTEMS).expect("well-formed");
        let target = Target::of(&Plan::resolve(&settings, crate::testing::SYSTEMS).expect("sound"));
        assert_eq!(
            [0.5, 2.9, 3.0].map(|t| target.at(t)),
            ["stage 1 of 2: 50/s asked", "stage 1 of 2: 50/s asked", "stage 2 of 2: 50 to 90/s asked"]
        );
        assert_eq!(target.at(5.0), "60/s asked", "after the last stage, the mean");
    }

    #[test]
    fn a_stall_under_load_is_shown() {
        assert!(texts(Phase::Load)[0].contains("nothing answered ok"), "{}", texts(Phase::Load)[0]);
    }
}

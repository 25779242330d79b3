//! Writes `live.json` during a run, for `heckle serve`. The file is only for display: it is not synced, errors are ignored, and it
//! has no influence on the run.

use crate::limits;
use crate::load::live::{Live, Watcher};
use crate::plan::Plan;
use crate::plan::units::Rate;
use heckle_history::Nanos;
use heckle_results::RunFolder;
use heckle_results::live_json::{self, LiveOps, LiveRun, MAX_POINTS, Point};
use heckle_results::results_json::LoadUnit;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Interval between writes.
const INTERVAL: Duration = Duration::from_secs(1);

/// Handle to the writing thread. Dropping it ends the thread and removes the file.
pub struct LiveFile {
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl LiveFile {
    /// Starts the thread. If that fails, no file is written.
    pub fn start(plan: &Plan, folder: &RunFolder, live: Arc<Live>) -> Self {
        let (over, stopped) = channel();
        let (path, temp) = (folder.path(live_json::FILE), folder.path(".live.json.tmp"));
        let mut state = State::new(plan, folder.run_id());
        let thread = limits::thread("live", move || {
            loop {
                state.update(&live);
                write(&path, &temp, &state.run);
                if !matches!(stopped.recv_timeout(INTERVAL), Err(RecvTimeoutError::Timeout)) {
                    break;
                }
            }
            for file in [path, temp] {
                let _ = std::fs::remove_file(file);
            }
        });
        LiveFile { over: Some(over), thread: thread.ok() }
    }
}

impl Drop for LiveFile {
    fn drop(&mut self) {
        self.over = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Replaces the file. Unlike results, it is not synced: a sync would compete with those of the nodes.
fn write(path: &Path, temp: &PathBuf, run: &LiveRun) {
    let _ = std::fs::write(temp, run.to_json()).and_then(|()| std::fs::rename(temp, path));
}

/// Rounds seconds to whole milliseconds.
fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

struct State {
    run: LiveRun,
    watcher: Watcher,
    /// Ops and time (in seconds) at the last point.
    before: (LiveOps, f64),
}

impl State {
    fn new(plan: &Plan, run_id: &str) -> Self {
        let (start, end) = plan.window();
        let unit = if plan.workload.has_intents() { LoadUnit::Intent } else { LoadUnit::Op };
        let run = LiveRun {
            run_id: run_id.to_owned(),
            plan: plan.name.clone(),
            window_start_s: start.as_secs_f64(),
            window_end_s: end.as_secs_f64(),
            tail_end_s: end.as_secs_f64() + plan.quiet_tail.0.as_secs_f64(),
            target_per_s: match plan.rate {
                Rate::PerSecond(rate) if plan.stages.is_none() => Some(rate),
                // Each stage has its own target.
                Rate::PerSecond(_) | Rate::Max => None,
            },
            target_unit: unit.word().into(),
            ..LiveRun::default()
        };
        State { run, watcher: Watcher::default(), before: (LiveOps::default(), 0.0) }
    }

    fn update(&mut self, live: &Live) {
        let reading = live.read(&mut self.watcher);
        let run = &mut self.run;
        run.writes += 1;
        run.now_s = milliseconds(reading.now.map_or(0.0, Nanos::as_secs_f64));
        let is_warm_up = reading.phase.has_load() && run.now_s < run.window_start_s;
        run.phase = if is_warm_up { "warm-up" } else { reading.phase.label() }.to_owned();
        run.has_load = reading.phase.has_load();
        (run.ops, run.latency) = live.by_kind();
        run.faults = live.faults();
        (run.judge, run.stopping) = live.judge();
        let (ops, (before, since_s)) = (run.all_ops(), self.before);
        let length_s = milliseconds(run.now_s - since_s);
        // Outside the load, a curve at zero would look like a stall.
        if length_s > 0.0 && (run.has_load || ops != before) {
            let (p50_ms, p99_ms) = reading.latency_ms.unzip();
            if run.points.len() == MAX_POINTS {
                run.points.remove(0);
            }
            run.points.push(Point { t_s: run.now_s, length_s, ops: ops.since(before), p50_ms, p99_ms });
        }
        self.before = (ops, run.now_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::RunClock;
    use crate::load::phase::Phase;
    use crate::plan::settings::Settings;
    use heckle_history::Seen;
    use heckle_results::Results;
    use heckle_results::utc::UnixSeconds;
    use heckle_system_api::connection::Outcome;

    fn plan() -> Plan {
        let settings: Settings = toml::from_str("name = \"watched\"\n[load]\nrate = 200\n").expect("TOML");
        Plan::resolve(&settings, crate::testing::SYSTEMS).expect("makes sense")
    }

    fn state(live: &Live) -> State {
        live.set_clock(RunClock::start());
        State::new(&plan(), "20260101T000000Z-0001")
    }

    #[test]
    fn points_are_differences_and_have_a_limit() {
        let live = Live::default();
        let mut state = state(&live);
        state.update(&live);
        assert_eq!((state.run.points.len(), state.run.phase.as_str()), (0, "measuring the machine"), "nothing is sent yet");
        live.enter(Phase::Load);
        for _ in 0..MAX_POINTS + 5 {
            live.invoked("cas");
            live.completed("cas", Outcome::Ok(Seen::Applied), Nanos::from_ms(2));
            // Move the last point back: a point must cover some time, and this clock has a resolution of a millisecond.
            state.before.1 = -1.0;
            state.update(&live);
        }
        let run = &state.run;
        assert_eq!((run.points.len(), run.phase.as_str(), run.target_per_s), (MAX_POINTS, "warm-up", Some(200.0)));
        assert!(run.points.iter().all(|p| p.ops.invoked == 1 && p.ops.applied == 1 && p.p50_ms.is_some()), "{:?}", run.points[0]);
        assert_eq!(LiveRun::from_json(&run.to_json()).as_ref(), Some(run));
        live.enter(Phase::Judging);
        state.update(&live);
        assert_eq!(state.run.points.len(), MAX_POINTS, "no point without load");
    }

    #[test]
    fn the_file_is_there_during_the_run_only() {
        let out = std::env::temp_dir().join(format!("heckle-live-{}", std::process::id()));
        let folder = RunFolder::create(&out, "p", UnixSeconds(0), 1, &mut Results::default()).expect("writable");
        let path = folder.path(live_json::FILE);
        let file = LiveFile::start(&plan(), &folder, Arc::default());
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !path.exists() {
            assert!(std::time::Instant::now() < deadline, "the file is written at once");
            std::thread::yield_now();
        }
        let text = std::fs::read_to_string(&path).expect("complete");
        assert!(LiveRun::from_json(&text).is_some_and(|run| run.plan == "watched" && run.writes >= 1), "{text}");
        drop(file);
        let left: Vec<_> = std::fs::read_dir(folder.root()).expect("there").map(|e| e.expect("a file").file_name()).collect();
        assert_eq!(left, ["results.json"]);
        // A folder that cannot be written to is not an error.
        std::fs::remove_dir_all(&out).expect("there");
        drop(LiveFile::start(&plan(), &folder, Arc::default()));
        assert!(!out.exists());
    }
}

//! The live page, its events, and the figures for Prometheus.

use super::*;
use heckle_results::alive;
use heckle_results::live_json::{JudgeState, LiveFault, LiveOps, LiveRun, Point};
use std::io::{BufRead, BufReader};

const LIVE: &str = "plan/20260102T000000Z-0002";
const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\u{1b}[2J";

/// Returns the results of a run in progress in this process.
fn running() -> Results {
    let mut results = Results { harness: alive::this_process(), started_utc: "2026-01-02T00:00:00Z".into(), ..Results::default() };
    results.run_id = "20260102T000000Z-0002".into();
    results.plan.name = HOSTILE.into();
    results
}

fn state(writes: u64) -> LiveRun {
    let ops = LiveOps { invoked: 40 * writes, applied: 30 * writes, ..LiveOps::default() };
    LiveRun {
        plan: HOSTILE.into(),
        writes,
        phase: HOSTILE.into(),
        has_load: true,
        ops: [("cas".to_owned(), ops)].into(),
        points: vec![Point { t_s: 1.0, length_s: 1.0, ops, p50_ms: Some(2.0), p99_ms: Some(9.0) }],
        faults: vec![LiveFault { label: HOSTILE.into(), began_s: 0.5, ended_s: None }],
        judge: JudgeState::NoViolation,
        ..LiveRun::default()
    }
}

impl Rig {
    fn write(&self, file: &str, text: &str) {
        let path = self.root.join("runs").join(LIVE).join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        // Replace the file atomically, as a run does, so that a reader sees a complete file.
        let temp = path.with_extension("tmp");
        std::fs::write(&temp, text).and_then(|()| std::fs::rename(&temp, &path)).expect("writable");
    }

    fn watch(&self, target: &str) -> Events {
        let mut stream = self.connect();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
        // Long enough for a busy machine: a test that waits this long has failed.
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        Events(BufReader::new(stream))
    }
}

struct Events(BufReader<TcpStream>);

impl Events {
    /// Returns the name and data of the next event. The name is empty at the end of the stream.
    fn next(&mut self) -> (String, serde_json::Value) {
        let (mut name, mut data) = (String::new(), serde_json::Value::Null);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).expect("an event in time") == 0 {
                return (name, data);
            }
            let line = line.trim_end_matches('\n');
            match line.split_once(": ") {
                Some(("event", words)) => name = words.to_owned(),
                Some(("data", json)) => data = serde_json::from_str(json).expect("one line of JSON"),
                _ if line.is_empty() && !name.is_empty() => return (name, data),
                _ => {}
            }
        }
    }
}

#[test]
fn a_run_is_watched_from_its_first_state_to_its_verdict() {
    let rig = Rig::new("watched", false);
    let mut events = rig.watch("/live/events");
    assert_eq!(events.next().0, "idle");
    rig.write("results.json", &running().to_json());
    rig.write("live.json", &state(1).to_json());
    let (name, data) = events.next();
    assert_eq!((name.as_str(), &data["path"], &data["run"]["writes"]), ("live", &LIVE.into(), &1.into()));
    assert_eq!((&data["run"]["ops"]["cas"]["applied"], &data["run"]["points"][0]["invoked"]), (&30.into(), &40.into()));
    rig.write("live.json", "{ damaged");
    rig.write("live.json", &state(2).to_json());
    assert_eq!(events.next().1["run"]["writes"], 2);

    let index = rig.get("/");
    assert!(index.contains("watch it live") && index.contains("href=\"/live?run=plan%2F20260102T000000Z-0002\""), "{index}");
    let page = rig.get("/live");
    for part in ["no violation so far", ">60<", "src=\"/assets/live.js\"", "&lt;img"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<img") && !page.contains('\u{1b}'), "{page}");
    let metrics = rig.get("/metrics");
    assert!(header(&metrics, "Content-Type").is_some_and(|t| t.starts_with("text/plain; version=0.0.4")), "{metrics}");
    assert!(metrics.contains("op=\"cas\",outcome=\"applied\"} 60\n") && metrics.contains("state=\"running\"} 1\n"), "{metrics}");
    assert!(!metrics.contains('\u{1b}'), "{metrics}");

    let mut asked = rig.watch(&format!("/live/events?run={LIVE}"));
    assert_eq!(asked.next().0, "live");
    let over = Results { status: Status::Done, verdict: RunVerdict::Valid, exit_code: 0, ..running() };
    rig.write("results.json", &over.to_json());
    for events in [&mut events, &mut asked] {
        let (name, data) = events.next();
        assert_eq!((name.as_str(), &data["words"], &data["class"]), ("over", &"valid".into(), &"good".into()));
    }
    assert_eq!(asked.next().0, "", "a page that asked for one run is done");
    assert!(rig.get(&format!("/live?run={LIVE}")).contains("Over: valid."));
}

#[test]
fn metrics_are_those_of_the_latest_run_or_the_one_asked_for() {
    let rig = Rig::new("metrics", false);
    let latest = rig.get("/metrics");
    assert!(latest.contains("heckle_run_verdict{plan=\"<b>plan</b>\",run=\"\",verdict=\"invalid\"} 1\n"), "{latest}");
    std::fs::write(rig.root.join("runs").join(RUN).join("metrics.prom"), "# as the run wrote it\n").expect("writable");
    assert!(
        rig.get("/metrics").ends_with("# as the run wrote it\n") && rig.get(&format!("/metrics?run={RUN}")).contains("as the run wrote it")
    );
    for target in ["/metrics?run=plan/none", "/metrics?run=../outside", "/live?run=plan/none"] {
        assert_eq!(status(&rig.get(target)), 404, "{target}");
    }
}

#[test]
fn watching_pages_are_limited_and_head_does_not_wait() {
    let rig = Rig::new("watchers", false);
    let mut watching: Vec<Events> = (0..events::MAX_WATCHERS).map(|_| rig.watch("/live/events")).collect();
    for one in &mut watching {
        assert_eq!(one.next().0, "idle");
    }
    assert_eq!(status(&rig.get("/live/events")), 503);
    let head = rig.send(b"HEAD /live/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(status(&head) == 200 && header(&head, "Content-Type") == Some("text/event-stream"), "{head}");
    assert_eq!(status(&rig.get("/")), 200, "other pages are served");
    drop(watching);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut again = rig.watch("/live/events");
    while again.next().0 != "idle" {
        assert!(Instant::now() < deadline, "no place was given back");
        again = rig.watch("/live/events");
    }
}

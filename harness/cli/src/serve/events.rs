//! The live page's events: the state of a run in progress, about once a second, and its verdict when it is over.

use super::Site;
use super::request::Request;
use super::sending::write_until;
use super::watching;
use heckle_results::catalogue::Entry;
use heckle_results::groups::ended;
use heckle_results::live_json::LiveRun;
use heckle_results::results_json::Status;
use heckle_results::terminal::Style;
use serde_json::json;
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Maximum number of pages that watch runs at the same time.
pub(super) const MAX_WATCHERS: usize = 16;
/// Interval between checks of the run.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Interval between comments that keep an idle connection alive.
const ALIVE_EVERY: Duration = Duration::from_secs(5);
/// Maximum duration of a connection. The browser opens a new one by itself.
const MAX_CONNECTION_TIME: Duration = Duration::from_secs(3600);
/// Time limit for the peer to accept an event.
const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The last event sent, so that nothing is sent twice.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sent {
    Nothing,
    Idle,
    Live(String, u64),
    Over(String),
}

/// Sends events until the peer disconnects, the requested run is over, or the server ends.
///
/// # Errors
/// If the peer is gone.
pub(super) fn send(stream: &TcpStream, request: &Request, site: &Site) -> io::Result<()> {
    let asked = request.query.iter().find(|(key, _)| key == "run").map(|(_, path)| path.as_str()).filter(|path| !path.is_empty());
    let began = Instant::now();
    let (mut sent, mut alive) = (Sent::Nothing, Instant::now());
    // Time, in milliseconds, that the browser waits before it reconnects.
    write_now(stream, "retry: 2000\n\n")?;
    while began.elapsed() < MAX_CONNECTION_TIME && !site.over.load(Ordering::SeqCst) {
        let (now, event) = look(site, asked, &sent);
        if now != sent {
            write_now(stream, &event)?;
            (sent, alive) = (now, Instant::now());
            if matches!((&sent, asked), (Sent::Over(_), Some(_))) {
                return Ok(());
            }
        } else if alive.elapsed() >= ALIVE_EVERY {
            write_now(stream, ": alive\n\n")?;
            alive = Instant::now();
        }
        if is_gone(stream)? {
            return Ok(());
        }
    }
    Ok(())
}

fn write_now(stream: &TcpStream, text: &str) -> io::Result<()> {
    write_until(stream, text.as_bytes(), Instant::now() + EVENT_TIMEOUT)
}

/// Waits until the next check, and returns whether the peer has closed its end by then. Ignores any data from the peer.
fn is_gone(mut stream: &TcpStream) -> io::Result<bool> {
    let until = Instant::now() + LOOK_EVERY;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut [0; 512]) {
            Ok(0) => return Ok(true),
            Ok(_) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {}
            Err(e) => return Err(e),
        }
    }
}

/// Returns the current state, and the event that reports it. The event is empty if there is nothing new.
fn look(site: &Site, asked: Option<&str>, sent: &Sent) -> (Sent, String) {
    let Ok(catalogue) = site.catalogue() else { return (sent.clone(), String::new()) };
    // Without a requested run, the page stays with its current run until that run is over, and then switches to the newest.
    let shown = match sent {
        Sent::Live(path, _) => Some(path.as_str()),
        Sent::Nothing | Sent::Idle | Sent::Over(_) => None,
    };
    let entry = asked.or(shown).and_then(|path| catalogue.at(path)).or_else(|| catalogue.running().next().filter(|_| asked.is_none()));
    match entry {
        None => match sent {
            Sent::Over(_) => (sent.clone(), String::new()),
            _ => (Sent::Idle, event("idle", &json!({}))),
        },
        Some(entry) if is_running(entry) => match watching::live_run(site, &entry.path) {
            Some(run) => live_event(entry, &run),
            // The run has no state file yet, or is about to end.
            None => (sent.clone(), String::new()),
        },
        Some(entry) => (Sent::Over(entry.path.clone()), over_event(entry)),
    }
}

fn is_running(entry: &Entry) -> bool {
    ended(entry.status, entry.verdict).1 == Status::Running.word()
}

fn live_event(entry: &Entry, run: &LiveRun) -> (Sent, String) {
    (Sent::Live(entry.path.clone(), run.writes), event("live", &json!({"path": entry.path, "run": run})))
}

fn over_event(entry: &Entry) -> String {
    let (style, words) = ended(entry.status, entry.verdict);
    let class = match style {
        Style::Good => "good",
        Style::Bad => "bad",
        Style::Doubt => "doubt",
        Style::Dim | Style::Strong | Style::Plain => "dim",
    };
    event("over", &json!({"path": entry.path, "name": entry.name, "class": class, "words": words, "reason": entry.reason}))
}

/// Formats an event. JSON text has no line breaks, which would end its line of data.
fn event(name: &str, data: &serde_json::Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

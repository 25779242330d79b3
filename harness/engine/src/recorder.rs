//! Everything that happens, in the order in which it happened, to disk and to the judge while the run goes on.
//!
//! An event is stamped and enqueued under one lock, so file order is time order. A thread of its own encodes,
//! writes and judges: what an op waits for here is a clock reading and a push. The queue is bounded; should the
//! disk fall behind by that much, recording waits, which shows as late ops instead of as lost events.

use crate::clock::RunClock;
use crate::stop::{Stop, StopReason};
use heckle_checker::online::OnlineJudge;
use heckle_history::writer::Writer;
use heckle_history::{EndRecord, Event, Header, Names, Nanos};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Events between those who act and the thread that writes: some 30 MB at most.
const QUEUE_EVENTS: usize = 65_536;
/// What a harness killed with SIGKILL may lose.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// Where events go. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    clock: RunClock,
    queue: Arc<Mutex<Option<SyncSender<Event>>>>,
}

/// The thread behind a [`Recorder`].
pub struct RecorderThread {
    recorder: Recorder,
    thread: JoinHandle<Result<Drained, std::io::Error>>,
}

/// A history with all its events, which still lacks its end record.
struct Drained {
    writer: Writer<BufWriter<File>>,
    /// When the live judge saw the first violation.
    detected: Option<Nanos>,
}

impl Recorder {
    /// Opens the history at `path`. With `judge`, every event is judged as it comes, and a violation asks for a stop.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn start(
        path: &Path,
        header: &Header,
        names: Arc<Names>,
        clock: RunClock,
        judge: Option<OnlineJudge>,
        stop: Stop,
    ) -> std::io::Result<RecorderThread> {
        let writer = Writer::new(BufWriter::new(File::create(path)?), header)?;
        let (send, receive) = sync_channel(QUEUE_EVENTS);
        let thread = std::thread::Builder::new().name("recorder".into()).spawn(move || {
            let written = drain(&receive, writer, &names, judge, clock, &stop);
            if let Err(e) = &written {
                stop.ask(StopReason::Broken(format!("the history cannot be written: {}", crate::limits::named(e))));
            }
            written
        })?;
        Ok(RecorderThread { recorder: Recorder { clock, queue: Arc::new(Mutex::new(Some(send))) }, thread })
    }

    /// Stamps and keeps what `event` makes of the present time, and gives that time back.
    pub fn record(&self, event: impl FnOnce(Nanos) -> Event) -> Nanos {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if let Some(queue) = &*queue {
            // The thread is gone only after a failed write, and then the run is already being stopped.
            let _ = queue.send(event(now));
        }
        now
    }
}

impl RecorderThread {
    /// A handle to record with.
    pub fn handle(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Ends the history with a record of its end, into which `more` goes; it is given the time at which the live judge saw a
    /// violation, if it did.
    ///
    /// # Errors
    /// If it could not be written to its end.
    ///
    /// # Panics
    /// If the judge panicked.
    pub fn finish(self, more: impl FnOnce(Option<Nanos>) -> BTreeMap<String, Json>) -> std::io::Result<EndRecord> {
        *self.recorder.queue.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let Drained { writer, detected } = self.thread.join().expect("the recorder's thread does not panic")?;
        let (file, end) = writer.finish(more(detected))?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_data()?;
        Ok(end)
    }
}

fn drain(
    events: &Receiver<Event>,
    mut writer: Writer<BufWriter<File>>,
    names: &Names,
    mut judge: Option<OnlineJudge>,
    clock: RunClock,
    stop: &Stop,
) -> std::io::Result<Drained> {
    let mut detected = None;
    let mut flushed = Instant::now();
    loop {
        match events.recv_timeout(FLUSH_EVERY) {
            Ok(event) => {
                writer.write(&event, names)?;
                if judge.as_mut().and_then(|j| j.feed(&event, names)).is_some() {
                    // One is enough to stop for; the judgement of the whole history names them all.
                    judge = None;
                    detected = Some(clock.now());
                    stop.ask(StopReason::Violation);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if flushed.elapsed() >= FLUSH_EVERY {
            writer.flush()?;
            flushed = Instant::now();
        }
    }
    Ok(Drained { writer, detected })
}

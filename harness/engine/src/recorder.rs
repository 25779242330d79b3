//! Records all events in order, to disk and to the online judge, while the run goes on.
//!
//! An event is stamped and enqueued under one lock, so file order is time order. A separate thread encodes, writes
//! and judges: an op only waits for a clock reading and a push. The queue is bounded. If the disk falls behind by a
//! full queue, recording blocks, which shows as late ops instead of lost events.

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

/// Capacity of the queue between the recording threads and the writing thread, in events: about 30 MB at most.
const QUEUE_EVENTS: usize = 65_536;
/// Maximum time whose events a harness killed with SIGKILL may lose.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// Handle for recording events. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    clock: RunClock,
    queue: Arc<Mutex<Option<SyncSender<Event>>>>,
}

/// The thread that writes what [`Recorder`]s enqueue.
pub struct RecorderThread {
    recorder: Recorder,
    thread: JoinHandle<Result<UnfinishedHistory, std::io::Error>>,
}

/// A history with all its events, but without its end record.
struct UnfinishedHistory {
    writer: Writer<BufWriter<File>>,
    /// When the online judge saw the first violation.
    detected: Option<Nanos>,
}

impl Recorder {
    /// Creates the history at `path`. With `judge`, every event is judged as it is recorded, and a violation requests
    /// a stop.
    ///
    /// # Errors
    /// If the file cannot be created.
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

    /// Calls `event` with the present time, enqueues the result, and returns that time.
    pub fn record(&self, event: impl FnOnce(Nanos) -> Event) -> Nanos {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if let Some(queue) = &*queue {
            // The thread ends early only after a failed write, and then the run is already being stopped.
            let _ = queue.send(event(now));
        }
        now
    }
}

impl RecorderThread {
    /// Returns a handle for recording.
    pub fn handle(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Ends the history with an end record that contains the result of `more`. `more` gets the time at which the
    /// online judge saw a violation, if any.
    ///
    /// # Errors
    /// If the file could not be written completely.
    ///
    /// # Panics
    /// If the judge panicked.
    pub fn finish(self, more: impl FnOnce(Option<Nanos>) -> BTreeMap<String, Json>) -> std::io::Result<EndRecord> {
        *self.recorder.queue.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let UnfinishedHistory { writer, detected } = self.thread.join().expect("the recorder's thread does not panic")?;
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
) -> std::io::Result<UnfinishedHistory> {
    let mut detected = None;
    let mut flushed = Instant::now();
    loop {
        match events.recv_timeout(FLUSH_EVERY) {
            Ok(event) => {
                writer.write(&event, names)?;
                if judge.as_mut().and_then(|j| j.feed(&event, names)).is_some() {
                    // One violation is enough to stop; the judgement of the whole history finds all of them.
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
    Ok(UnfinishedHistory { writer, detected })
}

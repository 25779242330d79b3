//! Writes all events in order to disk and passes them to the online judge during the run.
//!
//! An event is stamped and enqueued under one lock, so file order is time order. A separate thread takes the queued events, at
//! most a thousand times a second, and encodes, writes and judges them, so an op only waits for a clock reading and a push. The
//! queue is bounded. If the disk falls behind by a full queue, recording blocks, which shows up as late ops instead of lost events.

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
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Capacity of the queue between the recording threads and the writing thread, in events: about 30 MB at most.
const QUEUE_EVENTS: usize = 65_536;
/// Maximum age of unflushed events, and so the most that is lost if the harness is killed with SIGKILL.
const FLUSH_EVERY: Duration = Duration::from_millis(100);
/// Time that a small batch waits for more events: waking the writing thread for each event costs more than writing it.
const BATCH_DELAY: Duration = Duration::from_millis(1);
/// Number of events from which a batch is written without waiting for more.
const MIN_FULL_BATCH: usize = 1_024;

/// Handle for recording events. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    clock: RunClock,
    queue: Arc<Queue>,
}

/// Events recorded but not yet written.
#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    /// Signals the first event of a batch, or that the queue was closed.
    filled: Condvar,
    /// Signals that a full queue was emptied, or closed.
    emptied: Condvar,
}

#[derive(Default)]
struct QueueState {
    events: Vec<Event>,
    /// Whether the writing thread waits for an event.
    waiting: bool,
    /// Whether new events are dropped, because the recording is over or the writing thread has failed.
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// Moves the queued events to `batch`, which must be empty. If there are none, waits up to [`FLUSH_EVERY`] for one. Returns
    /// `false` once the queue is closed and empty.
    fn take(&self, batch: &mut Vec<Event>) -> bool {
        let mut state = self.lock();
        if state.events.is_empty() && !state.closed {
            state.waiting = true;
            state = self.filled.wait_timeout(state, FLUSH_EVERY).unwrap_or_else(PoisonError::into_inner).0;
            state.waiting = false;
        }
        if state.events.len() < MIN_FULL_BATCH && !state.events.is_empty() && !state.closed {
            drop(state);
            std::thread::sleep(BATCH_DELAY);
            state = self.lock();
        }
        std::mem::swap(&mut state.events, batch);
        self.emptied.notify_all();
        !batch.is_empty() || !state.closed
    }
}

/// Closes the queue when the writing thread ends, so that nothing waits for it.
struct CloseAtEnd(Arc<Queue>);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The thread that writes what [`Recorder`]s enqueue.
pub struct RecorderThread {
    recorder: Recorder,
    thread: JoinHandle<Result<UnfinishedHistory, std::io::Error>>,
}

/// A history with all its events, but without its end record.
struct UnfinishedHistory {
    writer: Writer<BufWriter<File>>,
    /// Time at which the online judge detected the first violation.
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
        let queue = Arc::new(Queue::default());
        let closing = CloseAtEnd(queue.clone());
        let thread = std::thread::Builder::new().name("recorder".into()).spawn(move || {
            let written = drain(&closing.0, writer, &names, judge, clock, &stop);
            if let Err(e) = &written {
                stop.ask(StopReason::Broken(format!("the history cannot be written: {}", crate::limits::named(e))));
            }
            written
        })?;
        Ok(RecorderThread { recorder: Recorder { clock, queue }, thread })
    }

    /// Calls `event` with the current time, enqueues the result, and returns that time.
    pub fn record(&self, event: impl FnOnce(Nanos) -> Event) -> Nanos {
        let mut queue = self.queue.lock();
        while queue.events.len() >= QUEUE_EVENTS && !queue.closed {
            queue = self.queue.emptied.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let now = self.clock.now();
        // The thread ends early only after a failed write, in which case the run is already being stopped.
        if !queue.closed {
            queue.events.push(event(now));
            let wake = std::mem::take(&mut queue.waiting);
            drop(queue);
            if wake {
                self.queue.filled.notify_one();
            }
        }
        now
    }
}

impl RecorderThread {
    /// Returns a handle for recording.
    pub fn handle(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Ends the history with an end record that contains the result of `more`. `more` receives the time at which
    /// the online judge detected a violation, if any.
    ///
    /// # Errors
    /// If the file could not be written completely.
    ///
    /// # Panics
    /// If the judge panicked.
    pub fn finish(self, more: impl FnOnce(Option<Nanos>) -> BTreeMap<String, Json>) -> std::io::Result<EndRecord> {
        self.recorder.queue.close();
        let UnfinishedHistory { writer, detected } = self.thread.join().expect("the recorder's thread does not panic")?;
        let (file, end) = writer.finish(more(detected))?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_data()?;
        Ok(end)
    }
}

fn drain(
    queue: &Queue,
    mut writer: Writer<BufWriter<File>>,
    names: &Names,
    mut judge: Option<OnlineJudge>,
    clock: RunClock,
    stop: &Stop,
) -> std::io::Result<UnfinishedHistory> {
    let mut detected = None;
    let mut flushed = Instant::now();
    let mut flush_when_due = |writer: &mut Writer<BufWriter<File>>| {
        if flushed.elapsed() >= FLUSH_EVERY {
            writer.flush()?;
            flushed = Instant::now();
        }
        std::io::Result::Ok(())
    };
    let mut batch = vec![];
    while queue.take(&mut batch) {
        for (i, event) in batch.drain(..).enumerate() {
            writer.write(&event, names)?;
            if judge.as_mut().and_then(|j| j.feed(&event, names)).is_some() {
                // Stop at the first violation: the offline judgement of the whole history finds the rest.
                judge = None;
                detected = Some(clock.now());
                stop.ask(StopReason::Violation);
            }
            // A full queue takes longer to write than `FLUSH_EVERY`.
            if i % MIN_FULL_BATCH == MIN_FULL_BATCH - 1 {
                flush_when_due(&mut writer)?;
            }
        }
        flush_when_due(&mut writer)?;
    }
    Ok(UnfinishedHistory { writer, detected })
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::operation::{History, Keep};
    use heckle_history::{Call, Completion, Invoke, OpId, Path as OpPath, ProcessId, Seen};

    /// Several threads record more events than the queue holds: none is lost, and the file is ordered by time.
    #[test]
    fn all_events_are_written_in_order() {
        const THREADS: u32 = 4;
        const OPS: u64 = QUEUE_EVENTS as u64 / 2;
        let path = std::env::temp_dir().join(format!("heckle-recorder-{}.zst", std::process::id()));
        let mut names = Names::default();
        let key = names.key("k");
        let recording = Recorder::start(&path, &Header::default(), Arc::new(names), RunClock::start(), None, Stop::default());
        let recording = recording.expect("a writable folder");
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let recorder = recording.handle();
                scope.spawn(move || {
                    for i in 0..OPS {
                        let op = OpId(u64::from(thread) * OPS + i);
                        let (process, call, path) = (ProcessId(thread), Call::Read, OpPath::Consensus);
                        let (client, intended, node, intent, attempt, payload) = (None, None, None, None, None, None);
                        let invoke = |t| Invoke { op, process, client, t, intended, key, call, node, intent, attempt, payload, path };
                        recorder.record(|t| Event::Invoke(invoke(t)));
                        let (seen, node, reason, diagnostics) = (Seen::Value(None), None, None, None);
                        recorder.record(|t| Event::Ok(Completion { op, t, seen, node, reason, diagnostics }));
                    }
                });
            }
        });
        let late = recording.handle();
        let end = recording.finish(|_| [].into()).expect("a writable folder");
        late.record(|_| panic!("an event after the end is not made"));
        let file = std::fs::File::open(&path).expect("written");
        // The reader rejects times that go backwards.
        let history = History::read(file, Keep::OpsOnly).expect("well-formed");
        let _ = std::fs::remove_file(&path);
        assert_eq!((history.ops.len() as u64, end.events), (u64::from(THREADS) * OPS, 2 * u64::from(THREADS) * OPS));
        assert!(history.ops.iter().all(|op| op.completed >= op.invoked && op.completed != Nanos::NEVER));
    }
}

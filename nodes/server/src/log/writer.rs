//! Writes log lines in a separate thread. The event loop only queues them: an unread pipe blocks its writer, and a
//! node stuck on an unread log would look like a failed node.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Maximum number of bytes waiting to be written. Further lines are dropped and counted.
const MAX_QUEUED_BYTES: usize = 1 << 20;
/// Maximum wait for the last lines of a process that is about to exit.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// The queue of lines, and the thread that writes them.
#[derive(Debug)]
pub(super) struct LogWriter {
    queue: Mutex<Queue>,
    /// Wakes the thread.
    work: Condvar,
    /// Wakes threads that wait for the queue to be empty.
    idle: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<String>,
    bytes: usize,
    /// Lines dropped since the last report, and in total.
    unreported: u64,
    dropped: u64,
    writing: bool,
}

impl LogWriter {
    /// Starts the thread. It ends with the process.
    pub(super) fn start(sink: impl Write + Send + 'static) -> Arc<LogWriter> {
        let writer = Arc::new(LogWriter { queue: Mutex::default(), work: Condvar::new(), idle: Condvar::new() });
        let shared = Arc::clone(&writer);
        // Without the thread, lines are dropped. A process that cannot start threads does not get far anyway.
        let _ = std::thread::Builder::new().name("log".to_owned()).spawn(move || shared.write_all(sink));
        writer
    }

    /// Queues a line. Once there is room again after lines were dropped, `report` produces a line with their number.
    pub(super) fn push(&self, line: String, report: impl FnOnce(u64) -> String) {
        let mut queue = self.lock();
        if queue.bytes + line.len() > MAX_QUEUED_BYTES {
            queue.unreported += 1;
            queue.dropped += 1;
            return;
        }
        if queue.unreported > 0 {
            let count = std::mem::take(&mut queue.unreported);
            queue.push(report(count));
        }
        queue.push(line);
        drop(queue);
        self.work.notify_one();
    }

    /// Number of lines dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Waits until everything is written, but at most [`FLUSH_TIMEOUT`].
    pub(super) fn flush(&self) {
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        let mut queue = self.lock();
        while queue.writing || !queue.lines.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            queue = self.idle.wait_timeout(queue, left).expect("logging does not panic").0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("logging does not panic")
    }

    fn write_all(&self, mut sink: impl Write) {
        let mut queue = self.lock();
        loop {
            while queue.lines.is_empty() {
                self.idle.notify_all();
                queue = self.work.wait(queue).expect("logging does not panic");
            }
            let lines = std::mem::take(&mut queue.lines);
            queue.bytes = 0;
            queue.writing = true;
            drop(queue);
            let text: String = lines.into_iter().collect();
            // A failed write to the log must not stop a working node.
            let _ = sink.write_all(text.as_bytes()).and_then(|()| sink.flush());
            queue = self.lock();
            queue.writing = false;
        }
    }
}

impl Queue {
    fn push(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A sink that accepts nothing until its channel is opened.
    struct Blocked {
        open: mpsc::Receiver<()>,
        written: Arc<Mutex<String>>,
    }

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            // An error means that the test has opened it permanently.
            let _ = self.open.recv();
            self.written.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_is_not_read_drops_lines_and_says_how_many() {
        let (open, receiver) = mpsc::channel();
        let written = Arc::<Mutex<String>>::default();
        let writer = LogWriter::start(Blocked { open: receiver, written: Arc::clone(&written) });
        let push = |line: &str| writer.push(line.to_owned(), |count| format!("dropped={count}\n"));
        let line = format!("{}\n", "x".repeat(1_023));
        // Enough for the part that the thread has taken but cannot write, and a full queue. None of these calls
        // blocks.
        let pushed = 3 * MAX_QUEUED_BYTES / line.len();
        for _ in 0..pushed {
            push(&line);
        }
        let dropped = writer.dropped();
        assert!((pushed as u64 / 3..pushed as u64).contains(&dropped), "{dropped} of {pushed} lines were dropped");
        drop(open);
        writer.flush();
        push("last\n");
        writer.flush();
        let written = written.lock().unwrap();
        assert!(written.ends_with(&format!("dropped={dropped}\nlast\n")), "{}", &written[written.len() - 100..]);
        assert_eq!(written.matches('x').count() / 1_023, pushed - dropped as usize, "all other lines are there");
    }
}

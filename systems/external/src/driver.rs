//! The client driver of a run: one process that speaks protocol 1. Two threads serve its pipes, and operations wait for their answers by
//! id.
//!
//! Whatever a driver does, nothing hangs and memory use stays bounded: the write queue and the length of a line are limited, and every
//! answer must match a pending request. A driver that breaks the protocol ends the run with an error that names the driver, and its
//! open operations have unknown outcomes.

mod reader; // reads the output of a driver

use crate::protocol::{self, Answer, Hello};
use heckle_system_api::connection::{Op, Outcome, Reply};
use heckle_system_api::identity::Mistaken;
use heckle_system_api::limits::{no_thread, thread};
use heckle_system_api::process::{Helper, Helpers, ProcessSpec};
use reader::Reader;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::ChildStdin;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Time limit for a driver to introduce itself.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Extra time, after an operation's own timeout, in which the driver may still answer.
const GRACE: Duration = Duration::from_secs(1);
/// Time limit for a driver to report which node leads.
const LEADER_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit for a driver to exit after its input is closed.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum number of lines waiting to be written. A driver never has this many operations open.
const MAX_QUEUED: usize = 65_536;
/// Maximum number of abandoned operations whose answers may still arrive.
const MAX_ABANDONED: usize = 65_536;

/// A running driver.
pub(crate) struct Driver {
    command: String,
    hello: Hello,
    lines: Mutex<Option<SyncSender<String>>>,
    table: Arc<Mutex<Table>>,
    helper: Arc<Mutex<Box<dyn Helper>>>,
    mistaken: Mistaken,
}

/// Requests that have not been answered yet.
#[derive(Default)]
struct Table {
    next: u64,
    clients: u64,
    open: BTreeMap<u64, Waiting>,
    /// Abandoned requests, whose late answers are counted and ignored.
    abandoned: BTreeSet<u64>,
    counts: Counts,
    /// Whether the run is over, so that the driver may exit.
    closing: bool,
}

enum Waiting {
    Op(oneshot::Sender<Answer>),
    Leader(SyncSender<Option<String>>),
}

/// Counts of a driver's irregularities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Answers that arrived after their operation was abandoned.
    pub(crate) late: u64,
    /// Answers that violate the protocol.
    pub(crate) malformed: u64,
    /// Operations that got no answer.
    pub(crate) silent: u64,
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Driver {
    /// Starts a driver and waits until it has introduced itself. `first` is the first line sent to it.
    ///
    /// # Errors
    /// Fails if the driver cannot be started or does not introduce itself.
    pub(crate) fn start(spec: &ProcessSpec, first: String, helpers: &dyn Helpers, mistaken: Mistaken) -> Result<Arc<Driver>, String> {
        let words = spec.args.iter().map(|arg| arg.to_string_lossy().into_owned());
        let command = spec.program.iter().map(|p| p.display().to_string()).chain(words).collect::<Vec<_>>().join(" ");
        let mut helper = helpers.start(spec)?;
        let (stdin, stdout) = helper.pipes().ok_or("the driver has no pipes")?;
        let helper = Arc::new(Mutex::new(helper));
        let (lines, queue) = sync_channel(MAX_QUEUED);
        thread("driver-writer", move || write(stdin, &queue)).map_err(|e| no_thread(&e))?;
        let _ = lines.try_send(first);
        let table = Arc::new(Mutex::new(Table::default()));
        let (introduced, hello) = channel();
        let reader = Reader { command: command.clone(), table: table.clone(), helper: helper.clone(), mistaken: mistaken.clone() };
        thread("driver-reader", move || reader.run(stdout, &introduced)).map_err(|e| no_thread(&e))?;
        let silent = |_| {
            let said = lock(&helper).last_words();
            format!("it did not introduce itself within {} s{}", HELLO_TIMEOUT.as_secs(), log_of(&said))
        };
        let hello = hello.recv_timeout(HELLO_TIMEOUT).map_err(silent).and_then(|line| protocol::hello(&line?));
        let hello = hello.map_err(|why| {
            lock(&table).closing = true;
            lock(&helper).kill();
            format!("the driver `{command}`: {why}")
        })?;
        Ok(Arc::new(Driver { command, hello, lines: Mutex::new(Some(lines)), table, helper, mistaken }))
    }

    /// Returns the name and version that the driver reports.
    pub(crate) fn name(&self) -> &str {
        &self.hello.driver
    }

    /// Returns a client number that no other client has.
    pub(crate) fn new_client(&self) -> u64 {
        let mut table = lock(&self.table);
        table.clients += 1;
        table.clients
    }

    /// Returns whether the driver supports a call.
    pub(crate) fn has(&self, call: &str) -> bool {
        self.hello.calls.iter().any(|known| known == call)
    }

    /// Returns the irregularities counted so far.
    pub(crate) fn counts(&self) -> Counts {
        lock(&self.table).counts
    }

    /// Sends an operation and waits for its answer, at most for the operation's timeout plus `GRACE`.
    pub(crate) async fn call(&self, client: u64, node: &str, op: &Op) -> Reply {
        let name = protocol::call_name(op.call);
        if !self.has(name) {
            let has = self.hello.calls.join(", ");
            let why = format!("the driver `{}` has no call `{name}`; it has: {has}. Choose a mix for it: [load] mix", self.command);
            self.mistaken.end(why);
            return Reply::because(Outcome::NotApplied, "not_sent: the driver has no such call");
        }
        let (answer, answered) = oneshot::channel();
        let id = self.open(Waiting::Op(answer));
        let began = Instant::now();
        if let Err(why) = self.send(protocol::request(id, client, node, op)) {
            lock(&self.table).open.remove(&id);
            return Reply::because(Outcome::NotApplied, format!("not_sent: {why}"));
        }
        match tokio::time::timeout(op.timeout + GRACE, answered).await {
            // A refusal that took as long as the timeout cannot be distinguished from a timeout.
            Ok(Ok(Answer::Fail(why))) if began.elapsed() >= op.timeout => Reply::because(Outcome::Unknown, format!("late_fail: {why}")),
            Ok(Ok(answer)) => protocol::reply(op.call, answer),
            Ok(Err(_)) => Reply::because(Outcome::Unknown, "driver: it ended"),
            Err(_) => {
                self.abandon(id);
                Reply::because(Outcome::Unknown, "driver: no answer")
            }
        }
    }

    /// Asks the driver which node leads.
    ///
    /// # Errors
    /// Fails if the driver does not know or does not answer in time.
    pub(crate) fn leader(&self) -> Result<String, String> {
        let (answer, answered) = sync_channel(1);
        let id = self.open(Waiting::Leader(answer));
        self.send(protocol::leader_request(id))?;
        match answered.recv_timeout(LEADER_TIMEOUT) {
            Ok(node) => node.ok_or_else(|| "the driver knows no leader".to_owned()),
            Err(_) => {
                self.abandon(id);
                Err(format!("the driver did not say within {} s who leads", LEADER_TIMEOUT.as_secs()))
            }
        }
    }

    fn open(&self, waiting: Waiting) -> u64 {
        let mut table = lock(&self.table);
        table.next += 1;
        let id = table.next;
        table.open.insert(id, waiting);
        id
    }

    fn send(&self, line: String) -> Result<(), String> {
        let lines = lock(&self.lines);
        match lines.as_ref().map(|lines| lines.try_send(line)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => {
                let why = format!("the driver `{}` does not read: {MAX_QUEUED} lines wait for it", self.command);
                self.mistaken.end(why.clone());
                Err(why)
            }
            Some(Err(TrySendError::Disconnected(_))) | None => Err("the driver ended".into()),
        }
    }

    fn abandon(&self, id: u64) {
        let mut table = lock(&self.table);
        table.open.remove(&id);
        table.counts.silent += 1;
        table.abandoned.insert(id);
        if table.abandoned.len() > MAX_ABANDONED {
            table.abandoned.pop_first();
        }
    }

    /// Kills the driver.
    pub(crate) fn kill(&self) {
        lock(&self.table).closing = true;
        lock(&self.helper).kill();
    }

    /// Closes the driver's input and returns whether the driver then exited in time. If it did not, it is killed when dropped.
    pub(crate) fn finish(&self) -> bool {
        lock(&self.table).closing = true;
        *lock(&self.lines) = None;
        let deadline = Instant::now() + END_TIMEOUT;
        while lock(&self.helper).ended().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        lock(&self.helper).ended().is_some()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.finish();
        // Also kills anything that the driver left running in the background.
        lock(&self.helper).kill();
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.command)
    }
}

/// Formats the end of a driver's log for an error message.
fn log_of(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("\nthe end of its log:\n  {}", lines.join("\n  ")) }
}

fn write(mut stdin: ChildStdin, queue: &Receiver<String>) {
    while let Ok(mut line) = queue.recv() {
        line.push('\n');
        // The reader thread finds out why.
        if stdin.write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

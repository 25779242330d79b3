//! The thread that reads a driver's output and enforces the protocol.

use super::{GRACE, Table, Waiting, lock, log_of};
use crate::protocol::{self, Answer, MAX_LINE, Message};
use heckle_system_api::identity::Mistaken;
use heckle_system_api::process::Helper;
use std::io::{BufRead, BufReader, Read};
use std::process::ChildStdout;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Reads a driver's output.
pub(super) struct Reader {
    pub(super) command: String,
    pub(super) table: Arc<Mutex<Table>>,
    pub(super) helper: Arc<Mutex<Box<dyn Helper>>>,
    pub(super) mistaken: Mistaken,
}

impl Reader {
    pub(super) fn run(&self, stdout: ChildStdout, introduced: &std::sync::mpsc::Sender<Result<String, String>>) {
        let mut lines = BufReader::new(stdout);
        let first = next_line(&mut lines);
        let has_first = matches!(first, Ok(Some(_)));
        let said = first.and_then(|line| line.ok_or_else(|| self.how_it_ended()));
        let _ = introduced.send(said);
        if !has_first {
            return;
        }
        let why = loop {
            match next_line(&mut lines) {
                Ok(Some(line)) => {
                    if let Err(why) = self.take(&line) {
                        break why;
                    }
                }
                Ok(None) => break self.how_it_ended(),
                Err(why) => break why,
            }
        };
        let closing = {
            let mut table = lock(&self.table);
            // Dropping the senders ends every open operation without a reply.
            table.open.clear();
            table.closing
        };
        if !closing {
            self.mistaken.end(format!("the driver `{}`: {why}", self.command));
        }
        // The driver may keep writing, and must not block on a full pipe before it is stopped.
        let _ = std::io::copy(&mut lines, &mut std::io::sink());
    }

    /// Delivers an answer to the operation that is waiting for it.
    fn take(&self, line: &str) -> Result<(), String> {
        let message = protocol::message(line)?;
        let id = match &message {
            Message::Answer { id, .. } | Message::Leader { id, .. } => *id,
        };
        let mut table = lock(&self.table);
        let Some(waiting) = table.open.remove(&id) else {
            if table.abandoned.remove(&id) {
                table.counts.late += 1;
                return Ok(());
            }
            let shown = protocol::shown(line);
            return Err(match id {
                0 => format!("it answered 0, which is no id: `{shown}`"),
                id if id <= table.next => format!("it answered {id} twice: `{shown}`"),
                id => format!("it answered {id}, an id that was never sent: `{shown}`"),
            });
        };
        match (message, waiting) {
            (Message::Answer { reply, .. }, Waiting::Op(answer)) => {
                table.counts.malformed += u64::from(matches!(reply, Answer::Malformed(_)));
                drop(table);
                let _ = answer.send(reply);
                Ok(())
            }
            (Message::Leader { node, .. }, Waiting::Leader(answer)) => {
                let _ = answer.try_send(node);
                Ok(())
            }
            _ => Err(format!("it answered {id} with an answer of another kind: `{}`", protocol::shown(line))),
        }
    }

    fn how_it_ended(&self) -> String {
        let deadline = Instant::now() + GRACE;
        loop {
            let mut helper = lock(&self.helper);
            if let Some(how) = helper.ended() {
                return format!("it ended with {how}{}", log_of(&helper.last_words()));
            }
            drop(helper);
            if Instant::now() > deadline {
                return "it closed its output".into();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Reads the next line. Returns `None` at the end of the output.
///
/// # Errors
/// Fails if the line is too long.
fn next_line(from: &mut impl BufRead) -> Result<Option<String>, String> {
    let mut line = vec![];
    let read = from.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line);
    match read {
        Ok(0) | Err(_) => Ok(None),
        Ok(n) if n > MAX_LINE => Err(format!("it wrote a line of more than {} KiB", MAX_LINE >> 10)),
        Ok(_) => Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned())),
    }
}

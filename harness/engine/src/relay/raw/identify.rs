//! The thread that identifies diallers. It answers all waiting requests together, so that the descriptors of each
//! process are read only once.

use super::OnUnknown;
use super::owners::{Finder, Owner, Owners, processes_with_socket};
use super::sockets::{Sockets, v4};
use heckle_faults::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time limit for identifying a dialler, after which the dialler counts as a stranger. A process has its environment
/// as soon as it runs its program, so identification takes this long only on a busy machine.
const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(5);
/// First pause between two lookups of a dialler, and the maximum up to which it doubles.
const LOOKUP_PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// A connection whose dialler is to be identified.
#[derive(Debug, Clone, Copy)]
pub(in crate::relay) struct DiallerQuery {
    /// The relay's number of the connection.
    pub(in crate::relay) connection: u64,
    /// The node that was dialled.
    pub(in crate::relay) to: Node,
    /// The dialler's own address.
    pub(in crate::relay) dialler: SocketAddr,
    /// The dialled address, which belongs to the relay.
    pub(in crate::relay) dialled: SocketAddr,
}

/// The result of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) enum Identification {
    /// The owner of the socket, which a second lookup has just confirmed.
    Known(Owner),
    /// The socket was closed before its owner was found.
    Gone,
    /// The owner could not be found, which has been reported.
    Unknown,
}

/// Handle to the running thread. Dropping it ends the thread.
#[derive(Debug)]
pub(in crate::relay) struct Identifier {
    questions: Sender<DiallerQuery>,
}

struct PendingLookup {
    question: DiallerQuery,
    local: SocketAddrV4,
    remote: SocketAddrV4,
    since: Instant,
}

impl Identifier {
    /// Starts the thread. `answer` returns whether the relay is still running.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(in crate::relay) fn start(
        owners: Owners,
        on_unknown: OnUnknown,
        answer: impl Fn(u64, Identification) -> bool + Send + 'static,
    ) -> io::Result<(Identifier, JoinHandle<()>)> {
        let (questions, inbox) = channel();
        let work = move || run(&inbox, &owners, &on_unknown, &answer);
        let thread = std::thread::Builder::new().name("relay-identify".into()).spawn(work)?;
        Ok((Identifier { questions }, thread))
    }

    /// Enqueues a request. The relay bounds the number of open requests.
    pub(in crate::relay) fn submit(&self, question: DiallerQuery) {
        // The thread ends only after the relay does.
        let _ = self.questions.send(question);
    }
}

fn run(inbox: &Receiver<DiallerQuery>, owners: &Owners, on_unknown: &OnUnknown, answer: &impl Fn(u64, Identification) -> bool) {
    let (sockets, mut finder) = (Sockets::new(), Finder::default());
    let (mut open, mut wait) = (vec![], LOOKUP_PAUSES[0]);
    loop {
        let next = if open.is_empty() { inbox.recv().map_err(|_| RecvTimeoutError::Disconnected) } else { inbox.recv_timeout(wait) };
        match next {
            Ok(first) => {
                let new = std::iter::once(first).chain(inbox.try_iter());
                // The relay's ports use IPv4, so both ends of a connection do.
                open.extend(new.filter_map(|question| {
                    Some(PendingLookup { question, local: v4(question.dialler)?, remote: v4(question.dialled)?, since: Instant::now() })
                }));
                wait = LOOKUP_PAUSES[0];
            }
            Err(RecvTimeoutError::Timeout) => wait = (wait * 2).min(LOOKUP_PAUSES[1]),
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let answers = look_up(&mut open, &sockets, &mut finder, owners, on_unknown);
        if !answers.into_iter().all(|(connection, found)| answer(connection, found)) {
            return;
        }
    }
}

/// Looks up all open requests once, and removes those that are answered.
fn look_up(
    open: &mut Vec<PendingLookup>,
    sockets: &Sockets,
    finder: &mut Finder,
    owners: &Owners,
    on_unknown: &OnUnknown,
) -> Vec<(u64, Identification)> {
    let inode = |pending: &PendingLookup| sockets.inode(pending.local, pending.remote);
    let before: Vec<_> = open.iter().map(inode).collect();
    let wanted: BTreeSet<u64> = before.iter().filter_map(|found| found.as_ref().ok().copied().flatten()).collect();
    let found: BTreeMap<u64, Owner> = finder.find(owners, &wanted);
    let mut answers = vec![];
    let mut before = before.into_iter();
    open.retain(|pending| {
        let first = before.next().expect("one for each");
        let answer = match &first {
            Ok(None) => Some(Identification::Gone),
            Ok(Some(inode_before)) => match found.get(inode_before) {
                // The addresses may have passed to another socket between the two lookups.
                Some(owner) => (inode(pending).is_ok_and(|again| again == Some(*inode_before))).then_some(Identification::Known(*owner)),
                None => None,
            },
            Err(_) => None,
        };
        let late = pending.since.elapsed() > IDENTIFY_TIMEOUT;
        let answer = answer.or_else(|| {
            late.then(|| {
                on_unknown.call(describe_unknown(pending, &first));
                Identification::Unknown
            })
        });
        answers.extend(answer.map(|answer| (pending.question.connection, answer)));
        answer.is_none()
    });
    answers
}

/// Describes a dialler without a known owner.
fn describe_unknown(pending: &PendingLookup, inode: &io::Result<Option<u64>>) -> String {
    let DiallerQuery { to, dialler, dialled, .. } = pending.question;
    let who = match inode {
        Ok(Some(inode)) => match processes_with_socket(*inode) {
            all if all.is_empty() => format!("socket {inode} is open in no process that this user can see"),
            all => format!("socket {inode} is open in {}", all.join(", ")),
        },
        Ok(None) => "it changes hands faster than it can be looked up".to_owned(),
        Err(e) => format!("the kernel cannot be queried: {e}"),
    };
    format!(
        "{dialler} dialled the relay's port {dialled} of {to}, and after {} s it is not known whether a node or a client did: {who}. Links can \
        only be cut where each dialler is known; `heckle doctor` says whether they can be identified here",
        IDENTIFY_TIMEOUT.as_secs()
    )
}

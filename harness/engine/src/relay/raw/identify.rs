//! The thread that finds out who dials. It takes all questions that wait and answers them together: the descriptors of a process are
//! read once for all of them.

use super::OnUnknown;
use super::owners::{Finder, Owner, Owners, who_has};
use super::sockets::{Sockets, v4};
use heckle_faults::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A dialler that is not known by then is a stranger. A process has its environment as soon as it runs its program, so what is left to
/// wait for is a busy machine.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);
/// First wait before a dialler is looked for again; it doubles up to the second.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// A connection whose dialler is wanted.
#[derive(Debug, Clone, Copy)]
pub(in crate::relay) struct Question {
    /// The relay's number of the connection.
    pub(in crate::relay) connection: u64,
    /// The node that was dialled.
    pub(in crate::relay) to: Node,
    /// The dialler's own address.
    pub(in crate::relay) dialler: SocketAddr,
    /// The relay's address, which was dialled.
    pub(in crate::relay) dialled: SocketAddr,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) enum Found {
    /// Whose the socket is, and still was a moment ago.
    Known(Owner),
    /// It was closed before that was known.
    Gone,
    /// It stayed unknown, which was reported.
    Unknown,
}

/// A running thread. It ends when this is dropped.
#[derive(Debug)]
pub(in crate::relay) struct Identifier {
    questions: Sender<Question>,
}

struct Asked {
    question: Question,
    local: SocketAddrV4,
    remote: SocketAddrV4,
    since: Instant,
}

impl Identifier {
    /// Starts the thread; `answer` returns whether anyone still listens.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub(in crate::relay) fn start(
        owners: Owners,
        on_unknown: OnUnknown,
        answer: impl Fn(u64, Found) -> bool + Send + 'static,
    ) -> io::Result<(Identifier, JoinHandle<()>)> {
        let (questions, inbox) = channel();
        let work = move || run(&inbox, &owners, &on_unknown, &answer);
        let thread = std::thread::Builder::new().name("relay-identify".into()).spawn(work)?;
        Ok((Identifier { questions }, thread))
    }

    /// Asks. The relay bounds how many questions are open.
    pub(in crate::relay) fn ask(&self, question: Question) {
        // The thread ends only after the relay does.
        let _ = self.questions.send(question);
    }
}

fn run(inbox: &Receiver<Question>, owners: &Owners, on_unknown: &OnUnknown, answer: &impl Fn(u64, Found) -> bool) {
    let (sockets, mut finder) = (Sockets::new(), Finder::default());
    let (mut open, mut wait) = (vec![], LOOK_AGAIN[0]);
    loop {
        let next = if open.is_empty() { inbox.recv().map_err(|_| RecvTimeoutError::Disconnected) } else { inbox.recv_timeout(wait) };
        match next {
            Ok(first) => {
                let new = std::iter::once(first).chain(inbox.try_iter());
                // The relay's ports are of IPv4, so both ends are.
                open.extend(new.filter_map(|question| {
                    Some(Asked { question, local: v4(question.dialler)?, remote: v4(question.dialled)?, since: Instant::now() })
                }));
                wait = LOOK_AGAIN[0];
            }
            Err(RecvTimeoutError::Timeout) => wait = (wait * 2).min(LOOK_AGAIN[1]),
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let answers = look(&mut open, &sockets, &mut finder, owners, on_unknown);
        if !answers.into_iter().all(|(connection, found)| answer(connection, found)) {
            return;
        }
    }
}

/// One look at everything that is open; takes out what is answered.
fn look(open: &mut Vec<Asked>, sockets: &Sockets, finder: &mut Finder, owners: &Owners, on_unknown: &OnUnknown) -> Vec<(u64, Found)> {
    let inode = |asked: &Asked| sockets.inode(asked.local, asked.remote);
    let before: Vec<_> = open.iter().map(inode).collect();
    let wanted: BTreeSet<u64> = before.iter().filter_map(|found| found.as_ref().ok().copied().flatten()).collect();
    let found: BTreeMap<u64, Owner> = finder.find(owners, &wanted);
    let mut answers = vec![];
    let mut before = before.into_iter();
    open.retain(|asked| {
        let first = before.next().expect("one for each");
        let answer = match &first {
            Ok(None) => Some(Found::Gone),
            Ok(Some(inode_before)) => match found.get(inode_before) {
                // Between two looks the addresses may have become another socket's.
                Some(owner) => (inode(asked).is_ok_and(|again| again == Some(*inode_before))).then_some(Found::Known(*owner)),
                None => None,
            },
            Err(_) => None,
        };
        let late = asked.since.elapsed() > KNOWN_WITHIN;
        let answer = answer.or_else(|| {
            late.then(|| {
                on_unknown.call(stranger(asked, &first));
                Found::Unknown
            })
        });
        answers.extend(answer.map(|answer| (asked.question.connection, answer)));
        answer.is_none()
    });
    answers
}

/// What is known of a dialler that nobody is known to own.
fn stranger(asked: &Asked, inode: &io::Result<Option<u64>>) -> String {
    let Question { to, dialler, dialled, .. } = asked.question;
    let who = match inode {
        Ok(Some(inode)) => match who_has(*inode) {
            all if all.is_empty() => format!("socket {inode} is open in no process that this user can see"),
            all => format!("socket {inode} is open in {}", all.join(", ")),
        },
        Ok(None) => "it changes hands faster than it can be looked up".to_owned(),
        Err(e) => format!("the kernel cannot be asked: {e}"),
    };
    format!(
        "{dialler} dialled the relay's port {dialled} of {to}, and after {} s it is not known whether a node or a client did: {who}. Links can \
        only be cut where each dialler is known; `heckle doctor` says whether they can be identified here",
        KNOWN_WITHIN.as_secs()
    )
}
